"""Teaching by a clean model: ATKD beside KL, reverse KL and JS, on perfect or imperfect rows."""
