"""What one pass keeps of a corpus, and the corpus as the measures see it."""
