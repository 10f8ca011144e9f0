"""The readers of files, by the ending of a file's name."""

from __future__ import annotations

from synflaw_audit.errors import InputError
from synflaw_audit.reading.base import Reader
from synflaw_audit.registry import Registry

# What reads a file with this ending.
READERS: Registry[Reader] = Registry(
    "reader",
    "synflaw_audit.readers",
    {
        "jsonl": "synflaw_audit.reading.text:TextFile",
        "ndjson": "synflaw_audit.reading.text:TextFile",
        "json": "synflaw_audit.reading.text:TextFile",
        "csv": "synflaw_audit.reading.text:TextFile",
        "tsv": "synflaw_audit.reading.text:TextFile",
        "parquet": "synflaw_audit.reading.tables:TableFile",
        "arrow": "synflaw_audit.reading.tables:TableFile",
        "feather": "synflaw_audit.reading.tables:TableFile",
        "ipc": "synflaw_audit.reading.tables:TableFile",
    },
    requires=("pieces",),
    error=InputError,
)
