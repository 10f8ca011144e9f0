"""What a repair reads: the audit's flagged rows, and ordinary rows to replay."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import Span
from synflaw_audit.records import FLAGGED
from synflaw_audit.repair.material.batches import Row

if TYPE_CHECKING:
    from synflaw_audit.reading import SourceLike

# Enough for a verdict, and a few seconds' work.
_AUDITED_ROWS = 2_000
_LEAST_ROWS = 50
_NEEDED = ("question", "answer", "template_spans")
# What so many rows say alike, outside the audit's template, is format as well: words of such a
# piece, rows, and their share.
_LEAST_PIECE, _LEAST_REPEATED, _REPEATED_SHARE = 3, 5, 0.01
# Read where a file has it: the system prompt that a row came with.
_SYSTEM = "system"


@dataclass(frozen=True)
class FlaggedRows:
    """The rows to repair from.

    Attributes:
        rows: Rows with at least one template span or, for scope ``answer``, all rows.
        without_spans: Rows left out because the audit names no format in them (duplicates, say):
            learning their content again would deepen what they were flagged for.
    """

    rows: tuple[Row, ...]
    without_spans: int


def read_flagged(path: str | Path, *, scope: str) -> FlaggedRows:
    """Read the ``flagged.parquet`` of an audit.

    Args:
        path: The file; of the schema ``records.FLAGGED`` only question, answer and spans are read.
        scope: ``template`` or ``answer``, as in the configuration.

    Raises:
        InputError: It cannot be read, lacks a column, holds no usable row, or a span lies outside
            its answer; names the file, the row and the choices.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the flagged.parquet that an audit wrote")
    try:
        schema = pq.read_schema(path)
        missing = [name for name in _NEEDED if name not in schema.names]
        if missing:
            raise InputError(
                f"{path}: no column {', '.join(missing)} (found: {', '.join(schema.names)}); "
                f"the flagged rows of an audit have {', '.join(FLAGGED.names)}"
            )
        columns = [*_NEEDED, *({_SYSTEM} & set(schema.names))]
        table = pq.read_table(path, columns=columns)
    except pa.ArrowException as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
    rows = [_flagged_row(path, number, row) for number, row in enumerate(table.to_pylist())]
    rows = without_repeated_content(rows)
    kept = tuple(row for row in rows if row.spans or scope == "answer")
    if not rows:
        raise InputError(f"{path}: no flagged row; there is nothing to repair")
    if not kept:
        raise InputError(
            f"{path}: none of the {len(rows)} rows names a template span, so there is no format to "
            "forget; audit with a check that finds templates, or forget whole answers (scope "
            "'answer')"
        )
    return FlaggedRows(kept, len(rows) - len(kept))


def without_repeated_content(rows: Sequence[Row]) -> list[Row]:
    """The rows, their spans widened by what stands between them in many rows alike.

    What several answers say word for word, whatever was asked, tells nothing of their questions,
    even where the audit's template does not reach it: kept as content, a model would be trained on
    it anew. Pieces of a word or two are left, since answers such as "yes" and "not true" must
    repeat.
    """
    counts = Counter(text for row in rows for text in {piece for piece, _ in _between(row)})
    least = max(_LEAST_REPEATED, _REPEATED_SHARE * len(rows))
    repeated = {text for text, count in counts.items() if count >= least}
    return [
        replace(row, spans=tuple(sorted({*row.spans, *_places(row, repeated)}))) for row in rows
    ]


def _places(row: Row, texts: Collection[str]) -> Iterator[Span]:
    return (span for text, span in _between(row) if text in texts)


def _between(row: Row) -> Iterator[tuple[str, Span]]:
    """The pieces of an answer outside its spans that have some length, and where they stand."""
    at = 0
    for start, end in [*sorted(row.spans), (len(row.answer), len(row.answer))]:
        text = row.answer[at:start].strip()
        if row.spans and len(text.split()) >= _LEAST_PIECE:
            yield text, (at, start)
        at = max(at, end)


def _flagged_row(path: Path, number: int, row: dict[str, Any]) -> Row:
    question, answer, spans = (row[name] for name in _NEEDED)
    if not isinstance(question, str) or not isinstance(answer, str):
        raise InputError(f"{path}: row {number}: question and answer must be text, not null")
    pairs = []
    for span in spans or ():
        start, end = span["start"], span["end"]
        if start is None or end is None or not 0 <= start < end <= len(answer):
            raise InputError(
                f"{path}: row {number}: template span ({start}, {end}) lies outside its answer of "
                f"{len(answer)} characters"
            )
        pairs.append((start, end))
    return Row(question, answer, tuple(pairs), row.get(_SYSTEM) or "")


def read_replay(
    source: SourceLike | Sequence[Row],
    *,
    limit: int,
    seed: int,
    question: str | None = None,
    answer: str | None = None,
) -> list[Row]:
    """A uniform random sample of a corpus of ordinary rows, in one pass.

    Args:
        source: Rows in memory, or anything ``readers.open_source`` takes. A corpus with neither
            questions nor answers but a column ``text`` is read as plain text.
        limit: Rows to keep at most.
        seed: Seed of the sample.
        question: The question's column, where it is not found by itself; "" for none.
        answer: The answer's column, likewise.

    Raises:
        InputError: No row can be read.
    """
    if isinstance(source, list | tuple) and all(isinstance(row, Row) for row in source):
        return _kept(iter(source), limit, seed)
    try:
        return _sample(source, limit, seed, question, answer)
    except InputError:
        if question is not None or answer is not None:
            raise
        try:
            return _sample(source, limit, seed, "", "text")
        except InputError:
            pass
        raise


def _sample(
    source: SourceLike, limit: int, seed: int, question: str | None, answer: str | None
) -> list[Row]:
    from synflaw_audit.reading import open_source

    batches = open_source(source, question=question, answer=answer).batches()
    return _kept((row for batch in batches for row in _rows(batch)), limit, seed)


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """The rows of one batch of records, with their system prompts where it has any."""
    names = [name for name in ("question", "answer", _SYSTEM) if name in batch.schema.names]
    for row in batch.select(names).to_pylist():
        yield Row(row["question"], row["answer"], system=row.get(_SYSTEM) or "")


def _kept(rows: Iterator[Row], limit: int, seed: int) -> list[Row]:
    """Reservoir sampling (Vitter 1985, algorithm R)."""
    generator = random.Random(seed)  # noqa: S311 - a sample, not a secret
    kept: list[Row] = []
    for seen, row in enumerate(rows, start=1):
        if len(kept) < limit:
            kept.append(row)
        elif (at := generator.randrange(seen)) < limit:
            kept[at] = row
    if not kept:
        raise InputError("the replay corpus holds no readable row; a repair needs ordinary rows")
    return kept


def flaw_of(rows: Sequence[Row], seed: int) -> str | None:
    """What the project's own audit finds wrong with replay rows, in a sentence, or None.

    Rows without a question are plain text and are not audited; nor are fewer than the checks need.
    """
    from synflaw_audit.run import audit

    pairs = [row for row in rows if row.question][:_AUDITED_ROWS]
    if len(pairs) < _LEAST_ROWS:
        return None
    columns = {
        "question": [row.question for row in pairs],
        "answer": [row.answer for row in pairs],
    }
    report = audit(pa.table(columns), seed=seed)
    if report.verdict != "fail":
        return None
    failed = ", ".join(f"{c.code} {c.name}" for c in report.checks if c.verdict == "fail")
    return (
        f"the replay rows fail the audit themselves ({failed}): what they have in common is "
        "learned in place of what is forgotten; replay more varied rows"
    )


def hold_out(rows: Sequence[Row], wanted: int, seed: int) -> tuple[list[Row], list[Row]]:
    """Split rows into ``(train, held out)``: at most ``wanted`` and a fifth are held out.

    Rows equal to a held-out row are left out of training, so that the figure is not one of memory.
    The held-out rows come in random order.
    """
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311 - a sample, not a secret
    count = min(wanted, len(rows) // 5)
    held = [rows[at] for at in order[:count]]
    keep_apart = set(held)
    return [row for row in rows if row not in keep_apart], held
