"""A report's flags as columns of the data set that was audited."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Report

if TYPE_CHECKING:
    from datasets import Dataset

FLAGGED_COLUMN, SPANS_COLUMN = "synflaw_flagged", "synflaw_spans"


def add_flags(dataset: Dataset, report: Report, *, file: str | None = None) -> Dataset:
    """The data set with the columns ``synflaw_flagged`` and ``synflaw_spans``.

    Args:
        dataset: What was audited, its rows in the same order.
        report: Of that audit.
        file: Which of the report's files the data set is, where there are several: a file's name,
            or ``<Dataset:train>`` for a split of a dictionary.

    Returns:
        The data set with, for each row, whether any of its records is flagged (bool), and what of
        its answers is format: a list of ``{"turn", "start", "end"}``, in characters of the answer
        of that turn (Python string indices).

    Raises:
        InputError: The report does not hold its rows, has no such file, or counted other rows.
    """
    name = _file(report, file)
    account = next((one for one in report.dataset.accounts.files if one.file == name), None)
    if account is not None and account.rows != len(dataset):
        raise InputError(
            f"{name}: the report counted {account.rows:,} rows, and this data set has "
            f"{len(dataset):,}; give the data set that was audited, in the same order"
        )
    spans: dict[int, list[dict[str, int]]] = defaultdict(list)
    frame = report.flagged()
    columns = ("row", "turn", "template_spans")
    here = frame[frame["file"] == name]
    for row, turn, marked in zip(*(here[column].tolist() for column in columns), strict=True):
        spans[row] += [{"turn": turn, "start": one["start"], "end": one["end"]} for one in marked]

    def flags(example: dict[str, Any], index: int) -> dict[str, Any]:
        return {FLAGGED_COLUMN: index in spans, SPANS_COLUMN: spans.get(index, [])}

    return dataset.map(flags, with_indices=True, features=_features(dataset))


def _file(report: Report, file: str | None) -> str:
    files = report.dataset.files
    if file is None and len(files) == 1:
        return files[0]
    if file not in files:
        given = "which of them the data set is" if file is None else f"{file!r} is none of them"
        raise InputError(f"the report is of {len(files)} files, {', '.join(files)}: {given}")
    return file


def _features(dataset: Dataset) -> Any:
    from datasets import Features, List, Value

    span = {"turn": Value("int32"), "start": Value("int32"), "end": Value("int32")}
    return Features({**dataset.features, FLAGGED_COLUMN: Value("bool"), SPANS_COLUMN: List(span)})
