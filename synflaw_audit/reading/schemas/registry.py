"""The schemas by name: ours, which are tried in this order, and those that packages add."""

from __future__ import annotations

from synflaw_audit.errors import InputError
from synflaw_audit.reading.schemas.base import Schema
from synflaw_audit.registry import Registry

_HERE = "synflaw_audit.reading.schemas"

# Where two read the same answers from a file, the earlier one stands: it knows more of them.
SCHEMAS: Registry[type[Schema]] = Registry(
    "schema",
    "synflaw_audit.schemas",
    {
        "preference": f"{_HERE}.preferences:Preference",
        "conversation": f"{_HERE}.conversations:Conversation",
        "pair": f"{_HERE}.pairs:Pair",
        "transcript": f"{_HERE}.transcripts:Transcript",
    },
    requires=("readings", "fitted", "columns", "options", "records"),
    error=InputError,
)
