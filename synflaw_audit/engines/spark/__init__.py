"""The two passes on Spark."""
