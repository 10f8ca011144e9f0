"""The flagged rows in a result, under the names and in the shapes of Great Expectations' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synflaw_audit.expectations.compat import SerializableDictDot, convert_to_json_serializable
from synflaw_audit.expectations.decisions import ExpectationVerdict
from synflaw_audit.expectations.runs import AuditRun
from synflaw_audit.expectations.subset import Subset

# The most characters of a text in a stored result; results are kept for every run.
TEXT = 1_000
# A statement that names more rows than these is no longer one that anybody runs.
QUERY_ROWS = 1_000
# The labels of rows that are typed, and stored, as they are.
PLAIN = (str, int)


def unexpected(
    subset: Subset, decision: ExpectationVerdict, run: AuditRun, result_format: Mapping[str, Any]
) -> dict[str, Any]:
    """The flagged rows under the names, and in the shapes, of Great Expectations' own results."""
    level = str(getattr(result_format["result_format"], "value", result_format["result_format"]))
    count = subset.count(decision.failing)
    percent = 100 * count / max(run.rows.read, 1)
    body: dict[str, Any] = {
        "unexpected_count": count,
        "unexpected_percent": percent,
        "unexpected_percent_total": 100 * count / max(run.rows.seen, 1),
        "unexpected_percent_nonmissing": percent,
    }
    if level == "BOOLEAN_ONLY":
        return body
    shown = _Shown(subset, decision.failing, run, result_format)
    body |= shown.basic()
    if level != "BASIC":
        body |= shown.summary()
    if level == "COMPLETE":
        body |= shown.complete()
    return body


class _Shared(list[Any], SerializableDictDot):
    """A list of JSON values that nobody changes: copies share it, and it need not be converted.

    Great Expectations copies and converts a result, value by value, each time that it stores it or
    shows it, and there may be a hundred thousand rows in one.
    """

    def __deepcopy__(self, memo: object) -> _Shared:
        return self

    def to_json_dict(self) -> Any:
        """The list, as JSON; the name is Great Expectations'."""
        return self


class _Shown:
    """The flagged rows of one expectation, as far as a result format asks for them."""

    def __init__(
        self,
        subset: Subset,
        checks: Sequence[str],
        run: AuditRun,
        result_format: Mapping[str, Any],
    ) -> None:
        self._subset, self._checks, self._run = subset, checks, run
        self._names = list(result_format.get("unexpected_index_column_names") or [])
        self._values = not result_format.get("exclude_unexpected_values")
        self._rows = bool(result_format.get("include_unexpected_rows"))
        self._query = result_format.get("return_unexpected_index_query") is not False
        self._most = int(result_format["partial_unexpected_count"])
        self._partial = subset.rows(checks, self._most)

    def basic(self) -> dict[str, Any]:
        """What every format that names rows has."""
        body: dict[str, Any] = {}
        if self._values:
            body["partial_unexpected_list"] = [self._value(row) for row in self._partial]
        if self._names:
            body["unexpected_index_column_names"] = self._names
        if self._rows and self._values:
            body["unexpected_rows"] = self._whole_rows()
        return body

    def summary(self) -> dict[str, Any]:
        """What SUMMARY adds."""
        body: dict[str, Any] = {"partial_unexpected_index_list": self._index(self._partial)}
        if self._values:
            body["flagged_examples"] = [_example(row) for row in self._worst()]
        return body

    def complete(self) -> dict[str, Any]:
        """What COMPLETE adds."""
        columns = ["row", "question", "answer"] if self._values else ["row"]
        every = self._subset.rows(self._checks, None, columns)
        index = _Shared(self._index(every))
        body: dict[str, Any] = {"unexpected_index_list": index}
        if self._values:
            body["unexpected_list"] = _Shared(self._value(row) for row in every)
        if self._query and (query := self._index_query(every, index)):
            body["unexpected_index_query"] = query
        return body

    def _worst(self) -> list[dict[str, Any]]:
        """The rows that are most of all format, for a person to look at."""
        return self._subset.worst(self._checks, self._most)

    def _value(self, row: Mapping[str, Any]) -> dict[str, str]:
        """A flagged row as Great Expectations names the values of several columns: by these."""
        question, answer = self._run.columns
        pair = {question: row["question"]} if question else {}
        return {**pair, answer: row["answer"]}

    def _index(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Where flagged rows are: their index columns, or their labels in pandas, or numbers."""
        if self._names:
            return [{name: row["index"].get(name) for name in self._names} for row in rows]
        labels = self._labels(rows)
        return [one if type(one) in PLAIN else convert_to_json_serializable(one) for one in labels]

    def _labels(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        numbers = [row["row"] for row in rows]
        frame = self._run.batch.frame
        return numbers if frame is None else list(frame.index.take(numbers).tolist())

    def _whole_rows(self) -> Any:
        """The rows themselves, with all columns where they are at hand."""
        frame = self._run.batch.frame
        if frame is not None:
            return frame.iloc[[row["row"] for row in self._partial]]
        return [{**self._value(row), **row["index"]} for row in self._partial]

    def _index_query(self, every: Sequence[Mapping[str, Any]], index: Sequence[Any]) -> str | None:
        """What finds the rows again, where they can be named: for pandas and SQL."""
        if (frame := self._run.batch.frame) is not None:
            labels = self._labels(every)
            if frame.index.is_unique and all(type(label) in PLAIN for label in labels):
                return f"df.filter(items={labels}, axis=0)"
            # A time, a pair, a label twice: none that can be typed. Rows have numbers, too, but
            # those that a row condition chose are counted among themselves.
            numbers = [row["row"] for row in every]
            return None if self._run.outcome.condition else f"df.iloc[{numbers}]"
        table = self._run.batch.table
        if table is None or not self._names or not 0 < len(index) <= QUERY_ROWS:
            return None
        return table.selecting(index)


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    """A flagged row with what is format in it, cut to a length fit for a page."""
    spans = [[span["start"], span["end"]] for span in row["template_spans"]]
    return {
        "row": row["row"],
        "index": row["index"],
        "question": row["question"][:TEXT],
        "answer": row["answer"][:TEXT],
        "template": row["template"],
        "template_spans": [[s, min(e, TEXT)] for s, e in spans if s < TEXT],
        "score": row["score"],
        "reason": row["reason"],
    }
