"""A model in 4 or 8 bits, and whether what was repaired stays so."""
