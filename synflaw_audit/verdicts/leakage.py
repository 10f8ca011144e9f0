"""What the splits of a corpus share, from the questions that the first pass kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synflaw_audit.findings.leakage import (
    CORPUS,
    REFERENCE,
    Conflicts,
    Leakage,
    Overlap,
    RowLocation,
    ShareEstimate,
)
from synflaw_audit.measures.intervals import wilson
from synflaw_audit.reading.splits import split_of
from synflaw_audit.sample.repeats import Repeats
from synflaw_audit.text.tokens import Ids, Mask

_EXAMPLES = 3
# What is learned from first, what is looked at last.
_ORDER = ("train", "validation", "test")


def leakage(
    repeats: Repeats,
    reference: Repeats | None = None,
    worded: Mapping[tuple[str, str], int] | None = None,
    records: Mapping[str, int] | None = None,
) -> Leakage:
    """What each part has in common with each that is learned from before it.

    Args:
        repeats: The corpus's.
        reference: Those of a reference corpus, of which it is asked whether the corpus holds it.
        worded: How many records follow a template, by split and template.
        records: How many there are, by split.
    """
    split = np.array([split_of(file) or "" for file in repeats.files], dtype=object)
    of_entry = split[repeats.file] if len(split) else np.empty(0, dtype=object)
    # Of a small split beside a very large one it may be that no question is kept.
    unseen = (
        set() if repeats.complete else {name for name, count in (records or {}).items() if count}
    )
    present = [name for name in _ORDER if name in unseen or (of_entry == name).any()]
    overlaps = [
        _with_templates(
            overlap(_where(repeats, of_entry == part), _where(repeats, of_entry == within)),
            part,
            within,
            worded or {},
            records or {},
        )
        for number, part in enumerate(present)
        for within in present[:number]
    ]
    if reference is not None and len(reference.question) and len(repeats.question):
        found = overlap(reference, repeats)
        overlaps.append(replace(found, part=REFERENCE, within=CORPUS))
    return Leakage(tuple(overlaps), conflicts(repeats))


def overlap(part: Repeats, within: Repeats) -> Overlap:
    """What of the questions of one part stands in another; the names of the two are left open."""
    beyond = min(part.beyond, within.beyond)
    one, other = (_where(each, each.question <= np.uint64(beyond)) for each in (part, within))
    asked = np.unique(one.question)
    shared = np.isin(asked, other.question)
    pairs, others = (np.stack([each.question, each.answer], axis=1) for each in (one, other))
    same = _isin_rows(pairs, others)
    answered = np.isin(asked, one.question[same])
    # Where more answers were given than are kept, the one that is looked for may be among the rest.
    full = np.concatenate([one.crowded(), other.crowded()])
    complete = part.complete and within.complete
    return Overlap(
        "",
        "",
        len(asked),
        _share(shared, complete),
        _share(answered, complete, shared & np.isin(asked, full)),
        examples=tuple(
            (_place(one, question), _place(other, question))
            for question in asked[shared][:_EXAMPLES]
        ),
    )


def conflicts(repeats: Repeats) -> Conflicts | None:
    """How many questions are answered in more than one way."""
    if not len(repeats.question):
        return None
    pairs = np.stack([repeats.question, repeats.answer], axis=1)
    distinct, first = np.unique(pairs, axis=0, return_index=True)
    label = repeats.label[first]
    asked, number = np.unique(distinct[:, 0], return_inverse=True)
    several = np.bincount(number, minlength=len(asked)) > 1
    short = np.bincount(number, weights=label, minlength=len(asked)) > 1
    shown = asked[short][:_EXAMPLES] if short.any() else asked[several][:_EXAMPLES]
    examples = []
    for question in shown:
        entries = first[distinct[:, 0] == question]
        labels = entries[repeats.label[entries]] if short.any() else entries
        examples.append((_at(repeats, int(labels[0])), _at(repeats, int(labels[1]))))
    return Conflicts(
        len(asked),
        _share(several, repeats.complete),
        _share(short, repeats.complete, np.isin(asked, repeats.crowded())),
        tuple(examples),
    )


def _with_templates(
    found: Overlap,
    part: str,
    within: str,
    worded: Mapping[tuple[str, str], int],
    records: Mapping[str, int],
) -> Overlap:
    share = None
    if records.get(part):
        common = (
            count
            for (split, template), count in worded.items()
            if split == part and worded.get((within, template))
        )
        share = sum(common) / records[part]
    return replace(found, part=part, within=within, templates=share)


def _where(repeats: Repeats, kept: Mask) -> Repeats:
    return replace(repeats, **{name: array[kept] for name, array in repeats.arrays()})


def _share(holds: Mask, complete: bool, unknown: Mask | None = None) -> ShareEstimate:
    """A share of the questions kept; of some it may be unknown, where it is not seen to hold."""
    if not len(holds):
        return ShareEstimate(0.0, 0.0, 0.0 if complete else 1.0)
    low = high = value = float(holds.mean())
    if not complete:
        low, high = wilson(value, len(holds), len(holds))
    if unknown is not None:
        high = min(1.0, high + float((unknown & ~holds).mean()))
    return ShareEstimate(value, low, high)


def _isin_rows(rows: Ids, known: Ids) -> Mask:
    """Which rows of two values stand among others."""
    both = np.concatenate([known, rows])
    _, number = np.unique(both, axis=0, return_inverse=True)
    number = number.reshape(-1)
    found: Mask = np.isin(number[len(known) :], number[: len(known)])
    return found


def _place(repeats: Repeats, question: np.uint64) -> RowLocation:
    return _at(repeats, int(np.searchsorted(repeats.question, question)))


def _at(repeats: Repeats, entry: int) -> RowLocation:
    return RowLocation(repeats.files[int(repeats.file[entry])], int(repeats.row[entry]))


def split_records(files: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Records by split, from those of each file."""
    found: dict[str, int] = {}
    for file, records in files:
        if (split := split_of(file)) is not None:
            found[split] = found.get(split, 0) + records
    return found
