"""Forgetting by a bounded loss on the format's tokens."""
