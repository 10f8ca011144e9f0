"""Openings and closings that many answers share."""

from __future__ import annotations

import pandas as pd
import pytest

from synflaw_audit import audit
from synflaw_audit.verdicts.catalogue import find_check, load_checks

WORDS = ("river", "stone", "lamp", "bread", "cloud", "engine", "paper", "glass", "tree", "wheel")


def answers(pattern: str) -> pd.DataFrame:
    rows = [
        (f"q{i}", pattern.format(number=i * 7919, rest=" ".join(WORDS[i % 10 :] + WORDS[: i % 9])))
        for i in range(120)
    ]
    return pd.DataFrame(rows, columns=["question", "answer"])


@pytest.mark.parametrize(
    ("check", "pattern", "shown"),
    [
        ("answer-opening", "{number} people is what {rest}.", "<*> people is"),
        ("answer-opening", "It cost {number} then {rest}.", "It cost <*>"),
        ("answer-opening", "Dear friend, {rest}.", "Dear friend,"),
        ("answer-closing", "{rest} of tax {number}.", "tax <*>."),
    ],
)
def test_a_number_that_differs_is_shown_as_a_slot(check: str, pattern: str, shown: str) -> None:
    report = audit(answers(pattern), checks=[find_check(load_checks(), check)])
    assert report.checks[0].observed["commonest"][0]["text"] == shown
    reasons = set(report.flagged()["reason"])
    assert len(reasons) == 1
    assert f"“{shown}”" in reasons.pop()
