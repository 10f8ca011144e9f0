"""What became of each flagged answer that was to be said anew; ``rewrites.parquet`` holds it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.records import SPAN
from synflaw_audit.rewriting.base import RewriteRow
from synflaw_audit.rewriting.judges.content import ContentScore

SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("turn", pa.int32(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("original", pa.string(), nullable=False),
        pa.field("template_spans", pa.list_(SPAN), nullable=False),
        # The one that replaces the answer, or the last that was rejected; null if there was none.
        pa.field("rewritten", pa.string()),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("why", pa.string(), nullable=False),  # not; "" if accepted
        pa.field("form", pa.string()),
        pa.field("rewriter", pa.string(), nullable=False),
        pa.field("candidates", pa.int32(), nullable=False),
        pa.field("facts_kept", pa.int32()),
        pa.field("facts_lost", pa.list_(pa.string())),
        pa.field("facts_invented", pa.list_(pa.string())),
        pa.field("coverage", pa.float64()),
        pa.field("credibility", pa.float64()),  # null where the discriminator decides nothing
        pa.field("credibility_of_original", pa.float64()),
        pa.field("novelty", pa.float64()),
        pa.field("round", pa.int32()),
    ]
)
_BATCH_ROWS = 1024


@dataclass
class Candidate:
    """A text that is proposed for an answer, and what the judges say of it.

    Attributes:
        text: The text.
        form: The form that was wanted.
        content: Of its content; None until it is judged.
        credibility: The probability that it belongs to its question; nan if nothing is known.
        objection: Why it is not accepted; "" as long as nothing speaks against it.
    """

    text: str
    form: str
    content: ContentScore | None = None
    credibility: float = math.nan
    objection: str = ""


@dataclass
class Rewritten:
    """A flagged turn, what was proposed for it, and what was chosen.

    Attributes:
        file: That it stands in.
        row: In the file.
        turn: In the row.
        source: The answer that is said anew.
        group: Its template, or why it is flagged.
        candidates: What was proposed, each text once.
        chosen: The one that replaces the answer, if any does.
        given_up: The last that was, until it had a format in common with others.
        novelty: How far that is from those chosen before, in [0, 1].
        round: In which it was chosen, from 1.
        original_credibility: Of the answer's content.
        missing: Why nothing was proposed.
    """

    file: str
    row: int
    turn: int
    source: RewriteRow
    group: str
    candidates: list[Candidate] = field(default_factory=list)
    chosen: Candidate | None = None
    given_up: Candidate | None = None
    novelty: float = math.nan
    round: int = 0
    original_credibility: float = math.nan
    missing: str = "nothing was proposed"

    @property
    def why(self) -> str:
        """Why no rewrite is accepted; "" if one is."""
        if self.chosen is not None:
            return ""
        shown = self.shown
        return self.missing if shown is None else shown.objection

    @property
    def shown(self) -> Candidate | None:
        """The one that is chosen, or that came nearest to it."""
        found = self.chosen or self.given_up
        return found or (self.candidates[-1] if self.candidates else None)

    def to_row(self, rewriter: str) -> dict[str, object]:
        """A row of ``SCHEMA``."""
        shown = self.shown
        content = None if shown is None else shown.content
        return {
            "file": self.file,
            "row": self.row,
            "turn": self.turn,
            "question": self.source.question,
            "original": self.source.answer,
            "template_spans": [{"start": a, "end": b} for a, b in self.source.spans],
            "rewritten": None if shown is None else shown.text,
            "accepted": self.chosen is not None,
            "why": self.why,
            "form": None if shown is None else shown.form,
            "rewriter": rewriter,
            "candidates": len(self.candidates),
            "facts_kept": None if content is None else content.kept,
            "facts_lost": None if content is None else list(map(str, content.lost)),
            "facts_invented": None if content is None else list(map(str, content.invented)),
            "coverage": None if content is None else content.coverage,
            "credibility": None if shown is None else _number(shown.credibility),
            "credibility_of_original": _number(self.original_credibility),
            "novelty": _number(self.novelty),
            "round": self.round or None,
        }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def write_rewrites(path: Path, rewrites: Iterable[Rewritten], rewriter: str) -> None:
    """Writes ``rewrites.parquet``, a row for each flagged turn, in the corpus's order."""
    rows = (each.to_row(rewriter) for each in rewrites)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        while batch := list(islice(rows, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
