"""The second pass: the rows and words that carry the format, and where they are written."""
