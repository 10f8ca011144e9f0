"""How large one thing in a corpus may be; what is larger is said to be, and is not held.

They are far above anything that a model is trained on, and keep one hostile or broken row, cell,
header or packed file from taking the memory of a whole machine.
"""

from __future__ import annotations

# Bytes of a line, a row of a JSON document or of CSV; characters of a question and its answer.
LONGEST_ROW = 1 << 24
# Columns of a table or of a CSV file.
MOST_COLUMNS = 1 << 17
# A packed file may expand freely to this many bytes, and from there on to so many times its own.
EXPANDS_FREELY = 1 << 28
MOST_EXPANSION = 200
# Characters of a JSON document that holds its columns one after another.
HELD_COLUMNS = 1 << 28
# Fields and bytes of the first rows, from which a file's schema is found.
SAMPLE_ROWS = 256
SAMPLE_FIELDS = 1 << 20
SAMPLE_BYTES = 1 << 25


def too_long() -> str:
    """What is said of a row that is larger than any may be."""
    size = LONGEST_ROW
    return f"longer than {size >> 20} MiB" if size >= 1 << 20 else f"longer than {size} bytes"
