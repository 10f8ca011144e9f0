"""A verdict follows from the whole interval; what holds the limit is near it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import finding, report

from synflaw_audit import audit
from synflaw_audit.findings.finding import Finding, Near
from synflaw_audit.measures import MEASURES, Score
from synflaw_audit.report import explanation, markdown
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.verdicts.catalogue import find_check, load_checks
from synflaw_audit.verdicts.gate import decide
from synflaw_audit.verdicts.judge import CheckScore, judged
from synflaw_audit.verdicts.policy import Policy

CHECK = find_check(load_checks(), "SF101")  # warns above 0.01, fails above 0.20
LIMIT = CHECK.fail_above
CORPUS = Corpus(Sketch(records=1000))


def found(low: float, value: float, high: float, near: Near = "warn", **limits: float) -> Finding:
    scored = CheckScore(
        replace(CHECK, near=near), MEASURES[CHECK.measure](), Score(value, low, high)
    )
    return judged(CORPUS, [scored], limits or None).findings[0]


def test_an_interval_beyond_the_limit_fails_and_one_below_does_not() -> None:
    assert (found(0.21, 0.25, 0.30).verdict, found(0.21, 0.25, 0.30).near) == ("fail", False)
    assert (found(0.10, 0.15, 0.19).verdict, found(0.10, 0.15, 0.19).near) == ("warn", False)
    assert (found(0.0, 0.0, 0.1).verdict, found(0.0, 0.0, 0.1).near) == ("pass", False)
    assert not found(0.10, 0.15, LIMIT).near  # not above is what passes
    assert found(LIMIT, 0.25, 0.3).near


@pytest.mark.parametrize("value", [0.18, 0.22])
@pytest.mark.parametrize("near", ["warn", "fail", "undecided"])
def test_near_the_limit_the_policy_rules(near: Near, value: float) -> None:
    assert (found(0.15, value, 0.25, near).verdict, found(0.15, value, 0.25, near).near) == (
        near,
        True,
    )


def test_the_score_itself_may_decide() -> None:
    assert [found(0.15, value, 0.25, "score").verdict for value in (0.18, 0.22)] == ["warn", "fail"]
    # So it does by limits that somebody sets, such as an expectation's.
    limited = [found(0.15, value, 0.25, **{CHECK.name: 0.2}) for value in (0.18, 0.22)]
    assert [one.verdict for one in limited] == ["pass", "fail"]
    assert all(one.near for one in limited)


bounds = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(bounds, bounds, st.sampled_from(get_args(Near)))
def test_a_wholly_higher_interval_has_no_milder_verdict(
    one: list[float], other: list[float], near: Near
) -> None:
    order = (
        ("pass", "warn", "undecided", "fail") if near == "undecided" else ("pass", "warn", "fail")
    )
    lower, upper = ([pick(a, b) for a, b in zip(one, other, strict=True)] for pick in (min, max))
    verdicts = [found(*interval, near).verdict for interval in (lower, upper)]
    if [0.0, 1.0] in ([lower[0], lower[2]], [upper[0], upper[2]]):
        return  # tells nothing
    assert order.index(verdicts[0]) <= order.index(verdicts[1])


def test_what_says_nothing_decides_nothing() -> None:
    undecided = found(0.0, 0.0, 1.0)
    assert (undecided.verdict, undecided.near) == ("undecided", False)
    assert "nothing to measure" in undecided.observed["reason"]
    labels = pd.DataFrame(
        {"question": [f"q{n}" for n in range(300)], "answer": ["yes", "no"] * 150}
    )
    verdicts = {check.name: check.verdict for check in audit(labels).checks}
    assert verdicts["self-repetition"] == verdicts["answer-length"] == "undecided"


NEAR = finding("SF101", score=0.21, low=0.18, high=0.24, verdict="warn", near=True)


def test_the_report_says_so() -> None:
    made = report(verdict="warn", checks=(replace(NEAR, fail_above=0.2),))
    said = explanation.explained(made.checks[0], made).what
    assert said == (
        "The score is 0.21, near 0.20, where it fails: its interval holds that, which counts as a "
        "warning."
    )
    assert "warn, near" in markdown.render(made)
    assert made.to_dict()["checks"][0]["near"] is True


@pytest.mark.parametrize(
    ("near", "policy", "strict", "code"),
    [
        ("warn", Policy(), False, 0),
        ("warn", Policy(), True, 1),
        ("fail", Policy(), False, 1),
        ("undecided", Policy(), False, 0),
        ("undecided", Policy(undecided="fail"), False, 1),
        ("undecided", Policy(), True, 1),
    ],
)
def test_the_gate_says_so_too(near: Near, policy: Policy, strict: bool, code: int) -> None:
    judged = (replace(NEAR, verdict=near, fail_above=0.2), finding("SF102", verdict="pass"))
    made = report(verdict="pass" if near == "undecided" else near, checks=judged)
    decision = decide(made, policy, strict=strict)
    assert decision.exit_code == code
    told = " ".join((*decision.reasons, *decision.notices))
    assert "Near the limit" in told
    assert "(0.18 to 0.24 holds 0.20)" in told
    assert "too few" not in told


def test_a_policy_sets_the_rule_of_every_check() -> None:
    applied = Policy(near="undecided").applied(load_checks())
    assert {check.near for check in applied} == {"undecided"}


def test_equal_draws_do_not_flip_between_pass_and_fail() -> None:
    # A fifth of the answers opens with the same words, which is where the check fails.
    check = replace(find_check(load_checks(), "SF102"), fail_above=0.2)
    verdicts = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        answers = [
            f"{'Great question indeed! ' if rng.random() < 0.2 else ''}w{rng.integers(10**9)} "
            + " ".join(f"w{word}" for word in rng.integers(0, 10**6, 12))
            for _ in range(500)
        ]
        rows = pd.DataFrame({"question": [f"q{n}" for n in range(500)], "answer": answers})
        verdicts.append(audit(rows, checks=[check]).checks[0])
    assert sum(one.near for one in verdicts) >= 9
    assert sum(one.verdict == "fail" for one in verdicts) <= 2
