"""What a repair is judged by: likelihoods on held-out rows, answers to ordinary questions."""
