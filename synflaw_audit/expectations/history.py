"""What a project has stored of a validation: its earlier scores, and where its flagged rows lie.

Data Docs gives a renderer the result of one expectation and nothing else: neither the suite, nor
the checkpoint, nor what went before. All of that stands in the stores of the project, where the
result is found again by the id of its audit. Great Expectations renders before other actions run,
so the folder of the flagged rows is told from the checkpoint's action and not looked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from synflaw_audit.expectations.action import ACTION_TYPE
from synflaw_audit.expectations.compat import project_manager
from synflaw_audit.expectations.folders import ValidationFolder
from synflaw_audit.expectations.runs import META

# Earlier runs are looked for among as many stored results, and read as long as these are small:
# results at COMPLETE may hold a hundred thousand rows each, and a page must not wait for them.
RUNS = 20
BYTES = 32_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastScore:
    """What one run found of an expectation.

    Attributes:
        time: Of the run.
        score: In [0, 1].
        success: Whether it was within the limit of that time.
    """

    time: datetime
    score: float
    success: bool


@dataclass(frozen=True)
class History:
    """What the project has stored of a validation.

    Attributes:
        scores: Of every expectation, by its id: those of earlier runs over the same partition of
            the same asset, and last the validation's own.
        found: Whether the validation is stored at all.
        folder: Where the checkpoint's action leaves its flagged rows, as the action's ``directory``
            has it: relative to the project's folder, or absolute. None if it has no such action.
    """

    scores: Mapping[str, tuple[PastScore, ...]] = field(default_factory=dict)
    found: bool = False
    folder: Path | None = None


def history(result: Any) -> History:
    """The history of the validation that a result of one of our expectations is part of.

    Never raises: a page is shown without it where a store cannot be read.
    """
    audit = str((result.meta or {}).get(META) or "")
    batch = str(result.expectation_config.kwargs.get("batch_id") or "")
    if not audit or not batch:
        return History()
    try:
        return _history(audit, batch)
    except Exception as error:  # whatever a store of files, of a database or of a bucket raises
        _log.warning("no history of %s: %s", batch, type(error).__name__)
        return History()


@lru_cache(maxsize=16)  # a page asks once for each of its expectations
def _history(audit: str, batch: str) -> History:
    own: Mapping[str, Any] | None = None
    partition: ValidationFolder | None = None
    runs: list[tuple[datetime, Mapping[str, Any]]] = []
    for key, text in _stored(batch):
        if own is None and audit not in text:
            continue  # a later run: the page is of an older one
        validation = json.loads(text)
        here = _partition(key, validation)
        own, partition = own or validation, partition or here
        if here == partition:  # partitions of one asset may share a batch id
            runs.insert(0, (key.run_id.run_time, validation))
    if own is None or partition is None:
        return History()
    directory = _directory((own.get("meta") or {}).get("checkpoint_id"))
    folder = None if directory is None else partition.below(Path(directory))
    return History(_scores(runs), True, folder)


def _stored(batch: str) -> Iterator[tuple[Any, str]]:
    """The stored validations of a batch, the newest first, each with its key."""
    store = project_manager.get_validation_results_store()
    if store.cloud_mode:
        return
    keys = [key for key in store.list_keys() if key.batch_identifier == batch]
    left = BYTES
    for key in sorted(keys, key=lambda key: key.run_id.run_time, reverse=True)[:RUNS]:
        text = store.store_backend.get(store.key_to_tuple(key))
        left -= len(text)
        if left < 0:
            return
        yield key, text


def _partition(key: Any, validation: Mapping[str, Any]) -> ValidationFolder:
    definition = (validation.get("meta") or {}).get("active_batch_definition") or {}
    return ValidationFolder.of(key.expectation_suite_identifier.name, definition)


def _scores(
    runs: list[tuple[datetime, Mapping[str, Any]]],
) -> dict[str, tuple[PastScore, ...]]:
    scores: dict[str, tuple[PastScore, ...]] = {}
    for time, validation in runs:
        for found in validation.get("results") or []:
            identity = (found.get("expectation_config") or {}).get("id")
            score = (found.get("result") or {}).get("observed_value")
            if identity and META in (found.get("meta") or {}) and isinstance(score, int | float):
                one = PastScore(time, float(score), bool(found.get("success")))
                scores[identity] = (*scores.get(identity, ()), one)
    return scores


def _directory(checkpoint_id: str | None) -> str | None:
    """The directory that a stored checkpoint's action writes to."""
    if checkpoint_id is None:
        return None
    store = project_manager.get_checkpoints_store()
    for key in store.list_keys():
        text = store.store_backend.get(store.key_to_tuple(key))
        if checkpoint_id in text:
            for action in json.loads(text).get("actions") or []:
                if action.get("type") == ACTION_TYPE:
                    return str(action["directory"])
    return None
