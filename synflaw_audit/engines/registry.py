"""The engines by name, and which of them reads a corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from synflaw_audit.engines.base import Engine, only
from synflaw_audit.errors import InputError, SynflawError
from synflaw_audit.registry import Registry
from synflaw_audit.settings import AuditSettings

# What ``--engine`` may name.
ENGINES: Registry[type[Engine]] = Registry(
    "engine",
    "synflaw_audit.engines",
    {
        "local": "synflaw_audit.engines.local.engine:LocalEngine",
        "spark": "synflaw_audit.engines.spark.engine:SparkEngine",
        "ray": "synflaw_audit.engines.ray:RayEngine",
    },
    requires=("is_native", "opened", "first_pass", "second_pass"),
    error=InputError,
)


def open_engine(source: Any, settings: AuditSettings) -> Engine:
    """The engine that reads what a caller names as a corpus.

    Args:
        source: An engine, which is taken as it is; a data set of an engine's own kind, which that
            engine reads unasked; or anything else, which the engine that is named reads.
        settings: Which engine, what it is told, and how rows become records.

    Raises:
        InputError: There is no such engine, it does not read such a source, or an option is not
            for it.
        MissingExtraError: The engine's library is not installed.
        PluginError: The engine is another package's, and cannot be used.
    """
    if isinstance(source, Engine):
        only(settings, engine=f"{source.name}, which is open already")
        return source
    name = settings.engine
    if name == "local" and not _read_here(source):
        name = _native(source) or name
    return ENGINES.find(name).opened(source, settings)


def _read_here(source: object) -> bool:
    """Whether a source is of a kind that this machine reads for sure; then no engine is asked."""
    library = type(source).__module__.partition(".")[0]
    named = isinstance(source, str | os.PathLike | Sequence | pa.Table)
    return named or library in ("pandas", "datasets")


def _native(source: object) -> str | None:
    """The engine whose own kind of data set a source is."""
    for name in ENGINES:
        try:
            if ENGINES[name].is_native(source):
                return name
        except (SynflawError, ImportError):
            continue  # its library is missing, or it is broken: then this is no data set of its own
    return None
