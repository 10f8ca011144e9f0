"""What the rows of a file hold, found out or named: questions, answers and what stands beside them.

One family of layouts a module: ``pairs`` (a column each), ``conversations`` (a column of
messages), ``preferences`` (chosen and rejected), ``transcripts`` (chats rendered into one text),
``nested`` (any of these inside objects). ``find`` chooses one by a file's first rows,
``vocabulary`` has the names that corpora use, ``messages`` and ``rendered`` read conversations, and
``exchange`` says what a row gives, and puts a changed answer back into it.
"""

from __future__ import annotations

from synflaw_audit.reading.schemas.base import Schema
from synflaw_audit.reading.schemas.conversations import Conversation
from synflaw_audit.reading.schemas.exchange import Exchange, Segment, TextEdit, edited
from synflaw_audit.reading.schemas.find import (
    COLUMNS_ARE_NAMED,
    Recognition,
    find_schema,
    names_answer,
    recognise,
    unread_columns,
)
from synflaw_audit.reading.schemas.options import SchemaOptions
from synflaw_audit.reading.schemas.pairs import Pair
from synflaw_audit.reading.schemas.registry import SCHEMAS

__all__ = [
    "COLUMNS_ARE_NAMED",
    "SCHEMAS",
    "Conversation",
    "Exchange",
    "Pair",
    "Recognition",
    "Schema",
    "SchemaOptions",
    "Segment",
    "TextEdit",
    "edited",
    "find_schema",
    "names_answer",
    "recognise",
    "unread_columns",
]
