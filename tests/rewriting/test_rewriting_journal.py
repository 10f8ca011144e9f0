"""What was said is kept, and is not asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.rewriting import Rewriter, RewriteRow, WantedForm
from synflaw_audit.rewriting.journal import CandidateJournal


class Echo(Rewriter):
    """Says the answer in capitals, and remembers what it was asked."""

    def __init__(self, name: str = "echo") -> None:
        self.called: list[str] = []
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def candidates(self, row: RewriteRow, form: WantedForm) -> list[str]:
        self.called.append(row.answer)
        return [row.answer.upper()]

    def many(
        self, work: Sequence[tuple[RewriteRow, WantedForm]]
    ) -> Iterator[tuple[int, list[str]]]:
        yield from reversed(list(super().many(work)))  # in whatever order


WORK = [(RewriteRow("q", text), WantedForm()) for text in ("one", "two", "one", "three")]
SAID = {0: ["ONE"], 1: ["TWO"], 2: ["ONE"], 3: ["THREE"]}


def test_rows_that_ask_the_same_are_asked_for_once_and_all_are_answered(tmp_path: Path) -> None:
    echo = Echo()
    assert dict(CandidateJournal(tmp_path / "j").answered(echo, WORK)) == SAID
    assert sorted(echo.called) == ["one", "three", "two"]
    again = Echo()
    assert dict(CandidateJournal(tmp_path / "j").answered(again, WORK)) == SAID
    assert again.called == []


def test_another_rewriter_or_form_is_another_question(tmp_path: Path) -> None:
    list(CandidateJournal(tmp_path / "j").answered(Echo(), WORK))
    other = Echo("other")
    list(CandidateJournal(tmp_path / "j").answered(other, WORK))
    assert len(other.called) == 3
    formal = Echo()
    list(
        CandidateJournal(tmp_path / "j").answered(
            formal, [(row, WantedForm(register="formal")) for row, _ in WORK]
        )
    )
    assert len(formal.called) == 3


@pytest.mark.parametrize("left", [b'{"key":"a', b'{"key": 1, "texts"'])
def test_half_a_line_is_cut_off(left: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    list(CandidateJournal(path).answered(Echo(), WORK))
    whole = path.read_bytes()
    path.write_bytes(whole + left)
    assert len(CandidateJournal(path)) == 3
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line", [b"[]\n", b'{"key": "a"}\n', b"no\n", b'{"key": "a", "texts": 3}\n']
)
def test_a_file_of_something_else_is_refused(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(line)
    with pytest.raises(InputError, match="line 1 is not what a rewriting wrote"):
        CandidateJournal(tmp_path / "j")
