"""Ways to take a format out of a model."""
