"""What a format says, word for word: the stretches that an audit found answers to repeat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Report
from synflaw_audit.run import measure
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.settings import AuditSettings
from synflaw_audit.text.templates import SLOT
from synflaw_audit.verdicts.catalogue import load_checks

Position = Literal["opening", "middle", "closing"]

POSITIONS: tuple[Position, ...] = get_args(Position)
# Of the records, or of the flagged rows, that say a stretch: fewer are no format.
LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Wording:
    """A stretch of words that answers repeat.

    Attributes:
        text: The words, as they are commonest.
        position: Where they stand in an answer; one that is a whole answer opens it.
        share: Of the records (of the flagged rows, where only these are known) that say them.
    """

    text: str
    position: Position
    share: float


def read_wordings(path: str | Path) -> tuple[Wording, ...]:
    """The wordings of an audit's ``report.json`` or ``flagged.parquet``, or of the folder of both.

    Raises:
        InputError: It is neither, or names no format.
    """
    path = Path(path)
    file = path / "report.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; give an audit's report.json or flagged.parquet")
    if file.suffix == ".parquet":
        found = _of_flagged(file)
    else:
        try:
            found = wordings_of_report(Report.from_json(file.read_bytes()))
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
    if not found:
        raise InputError(f"{file}: names no wording that answers share, so there is no format")
    return found


def wordings_of_report(report: Report) -> tuple[Wording, ...]:
    """The wordings of a report's answer templates, the commonest first of each position."""
    found = []
    for template in report.templates:
        if template.id.startswith("A"):
            worded = template.variants or (template,)
            found += [(each.pattern, each.share) for each in worded]
    return _of_patterns(found)


def wordings_of(source: Any, sketched: Corpus | None = None) -> tuple[Wording, ...]:
    """The wordings of a corpus's answer templates.

    Args:
        source: The corpus, as ``synflaw_audit.audit`` takes it.
        sketched: The same, where it has been read already.

    Raises:
        InputError: It cannot be read, or its answers share no wording.
    """
    corpus = sketched
    if corpus is None:
        corpus = measure(open_engine(source, AuditSettings()), load_checks()).corpus
    found = []
    for template in corpus.answer_templates.templates:
        variants = template.variants or ((template.pattern, 1.0),)
        found += [(pattern, template.share * share) for pattern, share in variants]
    if not (wordings := _of_patterns(found)):
        raise InputError(f"{source}: its answers share no wording, so there is no format")
    return wordings


def _of_patterns(patterns: Iterable[tuple[str, float]]) -> tuple[Wording, ...]:
    shares: defaultdict[tuple[Position, str], float] = defaultdict(float)
    for pattern, share in patterns:
        pieces = pattern.split(SLOT)
        for number, piece in enumerate(pieces):
            position: Position = (
                "opening" if number == 0 else "closing" if number == len(pieces) - 1 else "middle"
            )
            shares[position, piece.strip()] += share
    return _commonest(shares)


def _of_flagged(path: Path) -> tuple[Wording, ...]:
    try:
        table = pq.read_table(path, columns=["answer", "template_spans"])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not the flagged rows of an audit: {error}") from error
    counts: Counter[tuple[Position, str]] = Counter()
    for row in table.to_pylist():
        answer = row["answer"]
        for span in row["template_spans"]:
            before, after = answer[: span["start"]].strip(), answer[span["end"] :].strip()
            counts[_position(before, after), answer[span["start"] : span["end"]].strip()] += 1
    rows = max(len(table), 1)
    return _commonest({key: count / rows for key, count in counts.items()})


def _position(before: str, after: str) -> Position:
    """Where a span stands, by the text on its two sides."""
    if not before:
        return "opening"
    return "middle" if after else "closing"


def _commonest(shares: Mapping[tuple[Position, str], float]) -> tuple[Wording, ...]:
    """The wordings that enough rows say, by position, the commonest first."""
    found = [
        Wording(text, position, min(share, 1.0))
        for (position, text), share in shares.items()
        if share >= LEAST_SHARE and any(map(str.isalnum, text))
    ]
    return tuple(sorted(found, key=lambda each: (POSITIONS.index(each.position), -each.share)))
