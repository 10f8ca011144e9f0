"""The dress rehearsal: train a little on a corpus, and probe what that did to the model."""
