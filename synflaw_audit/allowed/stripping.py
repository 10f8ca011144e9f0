"""Answers without the formats that are intended, and the way back to their characters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synflaw_audit.allowed.formats import Allow, Range
from synflaw_audit.findings.finding import Span
from synflaw_audit.text.tokens import Ints


@dataclass(frozen=True)
class Stripped:
    """Answers without allowed formats.

    Attributes:
        answers: Arrow string array [rows], what is left.
        kept: By row, for each row that has lost something: the stretches that are left, as where
            each begins in what is left, where in the answer, and its length.
        counts: int64 [formats], how many rows have each.
    """

    answers: pa.Array
    kept: dict[int, tuple[tuple[int, int, int], ...]]
    counts: Ints

    def restored(self, row: int, spans: Sequence[Span]) -> list[Span]:
        """Spans of what is left as spans of the whole answer; none holds an allowed word."""
        if row not in self.kept:
            return list(spans)
        stretches = self.kept[row]
        begins = [begin for begin, _, _ in stretches]
        found: list[Span] = []
        for start, end in spans:
            for begin, at, length in stretches[max(bisect_right(begins, start) - 1, 0) :]:
                if begin >= end:
                    break
                first, last = max(start, begin), min(end, begin + length)
                if first < last:
                    found.append((first - begin + at, last - begin + at))
        return found


@dataclass(frozen=True)
class Allowances:
    """The formats that are intended, of one corpus."""

    formats: tuple[Allow, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.formats)

    def stripped(self, answers: pa.Array) -> Stripped:
        """Answers without these formats: Arrow string array [rows]."""
        counts = np.zeros(len(self.formats), dtype=np.int64)
        left: list[str] = []
        kept: dict[int, tuple[tuple[int, int, int], ...]] = {}
        for row, answer in enumerate(answers.to_pylist()):
            found = [one.ranges(answer) for one in self.formats]
            counts += [bool(ranges) for ranges in found]
            taken = _merged([span for ranges in found for span in ranges], answer)
            if not taken:
                left.append(answer)
                continue
            text, stretches = _without(answer, taken)
            left.append(text)
            kept[row] = stretches
        return Stripped(pa.array(left, pa.string()), kept, counts)

    def applied(self, records: pa.RecordBatch) -> tuple[pa.RecordBatch, Stripped]:
        """Records (schema ``records.RECORDS``) with what is left of their answers."""
        stripped = self.stripped(records.column("answer"))
        place = records.schema.get_field_index("answer")
        answers = stripped.answers.cast(records.schema.field(place).type)
        return records.set_column(place, records.schema.field(place), answers), stripped


class Remainder:
    """What is left of records without allowed formats, batch by batch, and how many had each."""

    def __init__(self, allowed: Allowances, counts: tuple[int, ...] = ()) -> None:
        """Goes on from what has been counted, or begins with nothing."""
        self._allowed = allowed
        self.counts = counts or (0,) * len(allowed.formats)

    def of(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """A batch's records; the same batch where nothing is allowed."""
        if not self._allowed:
            return records
        left, stripped = self._allowed.applied(records)
        self.counts = tuple(map(sum, zip(self.counts, stripped.counts.tolist(), strict=True)))
        return left


def _merged(ranges: list[Range], answer: str) -> list[Range]:
    """The ranges, those that white space alone parts as one, with the white space around them."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        while start > 0 and answer[start - 1].isspace():
            start -= 1
        while end < len(answer) and answer[end].isspace():
            end += 1
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _without(answer: str, taken: list[Range]) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    """What is left of an answer, and its stretches; a space or a line break parts them."""
    text = ""
    stretches: list[tuple[int, int, int]] = []
    position = 0
    for start, end in [*taken, (len(answer), len(answer))]:
        if position < start:
            if text:
                gap = answer[stretches[-1][1] + stretches[-1][2] : position]
                text += "\n" if "\n" in gap else " "
            stretches.append((len(text), position, start - position))
            text += answer[position:start]
        position = end
    return text, tuple(stretches)
