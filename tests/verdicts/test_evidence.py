"""Every figure that a check quotes as evidence stands in the file it names."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from synflaw_audit.verdicts.catalogue import Check, Evidence, load_checks

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w.]*\d)(%?)")
REPRODUCED = [
    pytest.param(check, evidence, id=f"{check.name}-{number}")
    for check in load_checks()
    for number, evidence in enumerate(check.evidence, 1)
    if evidence.reproduced
]


def figures(text: str) -> list[tuple[Decimal, bool]]:
    """The numbers of a text, each with whether it is a percentage."""
    # The names of corpora, models and formats hold digits that are no figures.
    return [
        (Decimal(match.group().rstrip("%").replace(",", "")), bool(match[1]))
        for match in NUMBER.finditer(re.sub(r"[A-Za-z][\w+-]*\d[\w+-]*|\d+-\w+", "", text))
    ]


def stands(figure: tuple[Decimal, bool], known: list[tuple[Decimal, bool]]) -> bool:
    """Whether the file states the figure, at least as exactly; shares may be percentages."""
    value, percentage = figure
    places = -int(value.as_tuple().exponent)
    for other, is_percentage in known:
        scaled = other * 100 if percentage and not is_percentage else other
        scaled = scaled / 100 if is_percentage and not percentage else scaled
        if round(scaled, places) == value:
            return True
    return False


RANKED = re.compile(r"at (-?\d\.\d+) \(Spearman\)")


@pytest.mark.parametrize(("check", "evidence"), REPRODUCED)
def test_a_correlation_stands_in_the_row_of_the_check(check: Check, evidence: Evidence) -> None:
    text = (ROOT / evidence.where).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if f"check {check.name} |" in line]
    for quoted in RANKED.findall(evidence.claim):
        assert any(f"| {quoted} |" in row for row in rows), f"{quoted} is in no row of {check.name}"


@pytest.mark.parametrize(("check", "evidence"), REPRODUCED)
def test_figures_stand_in_the_file(check: Check, evidence: Evidence) -> None:
    known = figures((ROOT / evidence.where).read_text(encoding="utf-8"))
    missing = [str(f[0]) for f in figures(evidence.claim) if not stands(f, known)]
    assert not missing, f"{evidence.where} does not state {', '.join(missing)}"


def test_a_figure_that_the_file_does_not_state_is_found() -> None:
    known = figures("| answer-template | 0.831 | 12% |")
    assert stands((Decimal("0.83"), False), known)
    assert stands((Decimal("0.12"), False), known)
    assert stands((Decimal(12), True), known)
    assert not stands((Decimal("0.84"), False), known)
