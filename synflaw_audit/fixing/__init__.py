"""A corpus repaired: what carries a format is left out, thinned out, or cut out of its answers.

``strategies`` says what becomes of each flagged row, ``cutting`` takes a format out of an answer,
``run`` writes the corpus and audits it again. Whatever says rows otherwise is one more strategy.
"""

from __future__ import annotations

from synflaw_audit.fixing.run import fix, preview
from synflaw_audit.fixing.strategies import Cap, Cut, Drop, FixPlan, Keep, Strategy

__all__ = ["Cap", "Cut", "Drop", "FixPlan", "Keep", "Strategy", "fix", "preview"]
