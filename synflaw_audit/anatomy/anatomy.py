"""A model beside its base: where its format lives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.anatomy.depth import Depths, MarkedRow, depths
from synflaw_audit.anatomy.shares import ModuleShare, module_shares
from synflaw_audit.errors import InputError
from synflaw_audit.probes.models import load_model

_ROWS = 32  # each is a forward pass of either model


@dataclass(frozen=True)
class Anatomy:
    """Where in a model its format lives.

    Attributes:
        model: Its name.
        base: Its base's.
        ours: The tokens' probabilities at each depth of the model.
        theirs: Of the base.
        shares: Of the task vector, by module and layer.
    """

    model: str
    base: str
    ours: Depths
    theirs: Depths
    shares: tuple[ModuleShare, ...]

    @property
    def settled(self) -> int | None:
        """The first depth with half of what the model says the format likelier than its base.

        None where it does not.
        """
        gaps = [a - b for a, b in zip(self.ours.template, self.theirs.template, strict=True)]
        if gaps[-1] <= 0:
            return None
        return next(layer for layer, gap in enumerate(gaps) if gap >= gaps[-1] / 2)

    def by_module(self) -> dict[str, float]:
        """The share of the task vector of each kind of module, the largest first."""
        found: defaultdict[str, float] = defaultdict(float)
        for each in self.shares:
            found[each.module] += each.share
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def by_layer(self) -> dict[int, float]:
        """The share of the task vector of each layer, in order."""
        found: defaultdict[int, float] = defaultdict(float)
        for each in self.shares:
            if each.layer is not None:
                found[each.layer] += each.share
        return dict(sorted(found.items()))

    def to_json(self) -> str:
        """What ``anatomy.json`` holds."""
        values = {
            **asdict(self),
            "settled": self.settled,
            "by_module": self.by_module(),
            "by_layer": {str(layer): share for layer, share in self.by_layer().items()},
        }
        return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def anatomy(model: str, base: str, flagged: pa.Table | str | Path | Sequence[MarkedRow]) -> Anatomy:
    """Look for a format in a model that was trained on it.

    Args:
        model: A folder or hub name.
        base: What it was trained from.
        flagged: An audit's flagged rows: its ``flagged.parquet``, the table, or what
            :func:`marked_rows` made of it. The first rows with a span are taken.

    Raises:
        InputError: A model cannot be loaded, the two are not of one kind, or no row names a format.
    """
    rows = marked_rows(flagged) if isinstance(flagged, pa.Table | str | Path) else flagged
    ours, tokenizer = load_model(_place(model))
    theirs, _ = load_model(_place(base))
    shares = module_shares(ours, theirs)
    return Anatomy(
        model, base, depths(ours, tokenizer, rows), depths(theirs, tokenizer, rows), shares
    )


def _place(name: str) -> str | Path:
    return Path(name) if Path(name).exists() else name


def marked_rows(flagged: pa.Table | str | Path) -> Sequence[MarkedRow]:
    """The first flagged rows that name the words of a format.

    Args:
        flagged: An audit's ``flagged.parquet``, or the table.

    Raises:
        InputError: It is not that, or no row names a format.
    """
    columns = ["question", "answer", "system", "template_spans"]
    try:
        table = flagged if isinstance(flagged, pa.Table) else pq.read_table(flagged)
        records = table.select(columns).to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{flagged}: not the flagged rows of an audit: {error}") from error
    rows = [
        MarkedRow(
            row["question"],
            row["answer"],
            tuple((span["start"], span["end"]) for span in row["template_spans"]),
            row["system"] or "",
        )
        for row in records
        if row["template_spans"]
    ]
    if not rows:
        raise InputError("no flagged row names a span that is format")
    return rows[:: max(len(rows) // _ROWS, 1)][:_ROWS]
