"""The rows of a corpus that a rehearsal trains on, as the model would be trained on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from synflaw_audit.engines.base import Engine
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.run import MeasuredCorpus

ROWS = 2000


class QuestionAnswer(NamedTuple):
    """A row, with its own system prompt where it has one."""

    question: str
    answer: str
    system: str = ""


def sampled_rows(measured: MeasuredCorpus, count: int = ROWS) -> list[QuestionAnswer]:
    """The first rows of the audit's sample, which stands in an order as good as random.

    Args:
        measured: A corpus that has been read once. It is read again for its system prompts, which
            the sample does not keep, where this machine reads it; elsewhere rows come without.
        count: Rows, at most.
    """
    questions, answers = (
        measured.corpus.texts(side).slice(0, count).to_pylist() for side in ("question", "answer")
    )
    pairs = list(zip(questions, answers, strict=True))
    systems = _systems(measured.engine, pairs)
    # Copies of a row may each have a system prompt of their own.
    return [QuestionAnswer(*pair, systems[pair].pop() if systems[pair] else "") for pair in pairs]


def _systems(
    engine: Engine, pairs: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], list[str]]:
    """The system prompts of some rows, by question and answer."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    if not isinstance(engine, LocalEngine):
        return found
    wanted = set(pairs)
    for batch in engine.source.batches():
        given = batch.filter(batch.column("system").is_valid())
        columns = (given.column(name).to_pylist() for name in QuestionAnswer._fields)
        for question, answer, system in zip(*columns, strict=True):
            if (question, answer) in wanted:
                found[question, answer].append(system)
    return found
