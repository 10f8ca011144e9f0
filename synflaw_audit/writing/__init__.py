"""The corpus in its own format again: what is kept of it, and what is not, file by file.

A row goes as a whole, with every column, and in its place among the others: a conversation with its
worst turn. The same file names, kinds, schemas and compressions come out, so that whatever trained
on the corpus trains on what is kept of it.
"""

from __future__ import annotations

from synflaw_audit.writing.corpus import (
    FileSplit,
    Original,
    Split,
    quarantined_rows,
    write_split,
)
from synflaw_audit.writing.edits import AnswerEdit, Editor
from synflaw_audit.writing.rows import RowSet

__all__ = [
    "AnswerEdit",
    "Editor",
    "FileSplit",
    "Original",
    "RowSet",
    "Split",
    "quarantined_rows",
    "write_split",
]
