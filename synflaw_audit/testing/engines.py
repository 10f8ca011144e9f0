"""What is taken for granted of an engine.

A part is a function that opens the engine on a ``pyarrow`` table with the columns ``question`` and
``answer``: as your engine is opened, with the rows put wherever it reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from synflaw_audit.engines.base import Engine, FirstPass, Outputs, SecondPass, silent
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.reading import open_source
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import corpora
from synflaw_audit.verdicts.catalogue import defaults, load_checks
from synflaw_audit.verdicts.judge import judge

Opens = Callable[[pa.Table], Engine]


@dataclass(frozen=True)
class Passes:
    """What both passes gave."""

    first: FirstPass
    second: SecondPass


def check_describes_the_corpus(opens: Opens) -> None:
    """It has a name, names what it reads, and says how the columns are understood."""
    engine = opens(_rows())
    require(isinstance(engine, Engine), f"{type(engine).__name__} is no Engine")
    require(bool(engine.name), "it has no name")
    require(len(engine.files) > 0, "it names no file or table")
    require(set(engine.schemas()) == set(engine.files), "schemas() is not of its files")
    _first(engine)


def check_the_sketch_is_the_local_engines(opens: Opens) -> None:
    """The first pass sees the same records, whatever their order."""
    found, expected = _first(opens(_rows())), _local().first
    require(
        found.sketch.records == expected.sketch.records,
        f"{found.sketch.records} records instead of {expected.sketch.records}",
    )
    same = sorted(found.sketch.answer.to_pylist()) == sorted(expected.sketch.answer.to_pylist())
    require(same, "its sketch holds other answers than the local engine's")


def check_the_flagged_rows_are_the_local_engines(opens: Opens) -> None:
    """The second pass flags the same rows with the same words."""
    found, expected = _passes(opens(_rows())).second, _local().second
    require(
        (found.flagged, found.tokens) == (expected.flagged, expected.tokens),
        f"{found.flagged} rows flagged of {found.tokens} tokens, "
        f"not {expected.flagged} of {expected.tokens}",
    )
    columns = ["question", "answer", "template_spans"]
    rows = [sorted(map(str, each.rows().select(columns).to_pylist())) for each in (found, expected)]
    require(rows[0] == rows[1], "it flags other rows or other words than the local engine")


def check_passes_can_be_repeated(opens: Opens) -> None:
    """The corpus can be read again: by another first pass, and another second one."""
    engine = opens(_rows())
    one, other = _passes(engine), _passes(engine)
    require(one.first.sketch.records == other.first.sketch.records, "other records the second time")
    require(one.second.flagged == other.second.flagged, "other rows flagged the second time")


def _rows() -> pa.Table:
    rows = corpora()["templated"][:300]
    return pa.table({"question": [q for q, _ in rows], "answer": [a for _, a in rows]})


def _first(engine: Engine) -> FirstPass:
    return engine.first_pass(Outputs(), silent)


def _passes(engine: Engine) -> Passes:
    first = _first(engine)
    flagger = judge(Corpus(first.sketch), defaults(load_checks())).flagger
    return Passes(first, engine.second_pass(flagger, Outputs(), silent))


@cache
def _local() -> Passes:
    return _passes(LocalEngine(open_source(_rows())))
