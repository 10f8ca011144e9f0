"""Preferring answers without the format to answers with it: what others have published."""
