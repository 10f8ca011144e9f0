from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import finding, report

from synflaw_audit.findings.report import Report, TemplateSummary
from synflaw_audit.verdicts.baseline import since
from synflaw_audit.verdicts.gate import decide
from synflaw_audit.verdicts.policy import Policy


def scored(score: float, *, noise: float = 0.02, **changes: object) -> Report:
    """A report of one stable check, which fails above 0.4 and warns above 0.2."""
    verdict = "fail" if score > 0.4 else "warn" if score > 0.2 else "pass"
    found = finding("SF101", name="answer-template", score=score, verdict=verdict)
    found = replace(found, low=max(0.0, score - noise), high=min(1.0, score + noise))
    return report(verdict=verdict, checks=(found,), templates=(), **changes)


def template(pattern: str, share: float, identity: str = "A1") -> TemplateSummary:
    return TemplateSummary(identity, pattern, share, round(1000 * share), ())


@given(st.floats(0, 1), st.floats(0, 0.2))
def test_a_corpus_beside_itself_is_not_new(score: float, noise: float) -> None:
    made = scored(score, noise=noise)
    assert decide(made, baseline=made).exit_code == 0
    assert since(made, made).risen == ()


@given(st.floats(0.41, 1), st.floats(0, 1), st.floats(0.001, 0.1))
def test_only_a_rise_beyond_the_noise_of_both_fails(now: float, then: float, noise: float) -> None:
    rise = now - then
    low, high = min(noise, now), min(noise, 1 - then)
    beyond = rise > (low**2 + high**2) ** 0.5
    decision = decide(scored(now, noise=noise), baseline=scored(then, noise=noise))
    if abs(rise - (low**2 + high**2) ** 0.5) > 1e-9:
        assert decision.exit_code == int(beyond)


def test_what_is_known_is_said_with_its_score_before() -> None:
    decision = decide(scored(0.51), baseline=scored(0.5))
    assert decision.notices[0] == (
        "Known from the baseline, and no worse: SF101 answer-template (0.51, before 0.50)."
    )
    assert decision.failed == ()


def test_a_check_that_the_baseline_lacks_or_could_not_decide_is_new() -> None:
    assert decide(scored(0.5), baseline=report(checks=())).failed == ("SF101",)
    open_then = report(checks=(finding("SF101", name="answer-template", verdict="undecided"),))
    assert decide(scored(0.5), baseline=open_then).exit_code == 1


def test_strict_lets_a_known_warning_pass_and_no_new_one() -> None:
    assert decide(scored(0.3), strict=True, baseline=scored(0.3)).exit_code == 0
    assert decide(scored(0.3), strict=True, baseline=scored(0.1)).exit_code == 1


def test_the_policys_own_limits_hold_whatever_the_baseline_was() -> None:
    made = scored(0.5)
    assert decide(made, Policy(max_risk=0.05), baseline=made).exit_code == 1


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("Based on what you say, it <*>", 0),
        ("Based on what you say it <*> may", 0),
        ("Thank you for asking. <*>", 1),
    ],
)
def test_another_template_of_the_same_share_is_new(pattern: str, code: int) -> None:
    then = replace(scored(0.5), templates=(template("Based on what you say, it <*>", 0.5),))
    now = replace(scored(0.5), templates=(template(pattern, 0.5),))
    decision = decide(now, baseline=then)
    assert decision.exit_code == code
    assert any("Not among the baseline's templates" in said for said in decision.notices) == code


def test_what_was_mended_and_made_otherwise_is_said() -> None:
    now = replace(scored(0.1), config={"seed": 1}, versions={"synflaw-audit": "0.2.0"})
    notices = " ".join(decide(now, baseline=scored(0.5)).notices)
    assert "Passes now, and did not in the baseline: answer-template." in notices
    assert "setting seed, 0 then and 1 now" in notices
    assert "version of synflaw-audit, '0.1.0' then and '0.2.0' now" in notices
