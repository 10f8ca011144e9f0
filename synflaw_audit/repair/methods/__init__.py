"""Ways to take a format out of a model, each a file or a folder."""
