from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import finding, report

from synflaw_audit.errors import CatalogueError
from synflaw_audit.findings.accounts import Accounts, FileAccount, Skipped
from synflaw_audit.findings.report import Dataset, Flagged, Report, Risk
from synflaw_audit.verdicts.catalogue import Check, CheckExample, CheckExampleRow
from synflaw_audit.verdicts.gate import decide
from synflaw_audit.verdicts.policy import Override, Policy, load_policy

FIRST = Check(
    code="SF101",
    name="answer-template",
    title="Answers follow a template",
    measure="templates",
    warn_above=0.2,
    fail_above=0.4,
    min_records=50,
    status="experimental",
    since="0.1.0",
    why="why",
    advice=(),
    examples=(CheckExample("pass", (CheckExampleRow("q", "a"),)),),
)
SECOND = replace(FIRST, code="SF102", name="answer-opening")
CHECKS = (FIRST, SECOND)

FAILED = report(verdict="fail", checks=(finding("SF101", verdict="fail", score=0.5),))
WARNED = report(verdict="warn", checks=(finding("SF101", verdict="warn", score=0.3),))
PASSED = report()
REJECTED = "2 of 1,002 rows (0.20%) could not be read; see rejected.jsonl."
UNDECIDED = report(
    verdict="undecided",
    dataset=Dataset(("a",), 12, 0, {}, 90),
    checks=(finding("SF101", verdict="undecided"),),
)
PARTLY = report(checks=(finding("SF101"), finding("SF102", verdict="undecided")))


def lossy(skipped: tuple[str, ...] = (), **account: Any) -> Report:
    """A report that passes but for what was not read."""
    files = (FileAccount("a.jsonl", **account),)
    accounts = Accounts(files, tuple(Skipped(path, "unknown ending") for path in skipped))
    return report(dataset=Dataset(("a.jsonl",), 1000, 0, {}, 90, accounts))


def copied(records: int, distinct: int) -> Report:
    """A report that passes but for how many rows are different."""
    return report(dataset=Dataset(("a",), records, 0, {}, 90, distinct=distinct))


@pytest.mark.parametrize(
    ("made", "policy", "strict", "code"),
    [
        (PASSED, Policy(), False, 0),
        (PASSED, Policy(), True, 0),
        (WARNED, Policy(), False, 0),
        (WARNED, Policy(), True, 1),
        (FAILED, Policy(), False, 1),
        (FAILED, Policy(), True, 1),
        (UNDECIDED, Policy(), False, 2),
        (UNDECIDED, Policy(), True, 1),
        (UNDECIDED, Policy(undecided="fail"), False, 1),
        (PARTLY, Policy(), False, 0),
        (PARTLY, Policy(), True, 1),
        (PARTLY, Policy(undecided="fail"), False, 1),
        (report(risk=Risk(0.5, 0.4, 0.6, "")), Policy(max_risk=0.5), False, 0),
        (report(risk=Risk(0.51, 0.4, 0.6, "")), Policy(max_risk=0.5), False, 1),
        (report(flagged_summary=Flagged(1, 0.001)), Policy(max_flagged_share=0.0), False, 0),
        (report(flagged_summary=Flagged(1, 0.1, 1, 0.1)), Policy(max_flagged_share=0.0), False, 1),
        (lossy(rows=1000, records=990, rejected=10, rejections=10), Policy(), False, 0),
        (lossy(rows=1000, records=989, rejected=11, rejections=11), Policy(), False, 1),
        (lossy(rows=9, records=8, rejected=1, rejections=1), Policy(max_rejected_share=0.2), 0, 0),
        (lossy(rows=9, records=80, rejected=0, rejections=8), Policy(), False, 1),
        (lossy(rows=9, records=9, damage=("cut",), exact=False), Policy(), False, 1),
        (lossy(rows=9, records=9, damage=("cut",)), Policy(damaged="warn"), True, 0),
        (lossy(skipped=("x.bin",)), Policy(), True, 0),
        (lossy(skipped=("x.bin",)), Policy(skipped="fail"), False, 1),
        (lossy(rows=9, records=9, unread=("notes",)), Policy(), True, 0),
        (copied(400, 1), Policy(), False, 1),
        (copied(3000, 10), Policy(), False, 1),
        (copied(1000, 199), Policy(), False, 1),
        (copied(900, 300), Policy(), False, 0),
        (copied(49, 1), Policy(), False, 0),
        (copied(1000, 0), Policy(), False, 2),
        (report(verdict="undecided", checks=()), Policy(), False, 2),
        (report(flagged_summary=Flagged(0, 0.0)), Policy(max_flagged_share=0.0), False, 0),
    ],
)
def test_what_passes(made: Report, policy: Policy, strict: bool, code: int) -> None:
    decision = decide(made, policy, strict=strict)
    assert decision.exit_code == code
    assert bool(decision.reasons) == (code != 0)
    assert orjson.loads(decision.to_json())["outcome"] == decision.outcome


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(max_emission=0.4, max_instruction_loss=0.1), 0),
        (Policy(max_emission=0.39), 1),
        (Policy(max_instruction_loss=0.09), 1),
        (Policy(), 0),
    ],
)
def test_a_policy_may_rest_on_a_rehearsal(policy: Policy, code: int) -> None:
    measured = {"emission": 0.4, "instruction_loss": 0.1}
    decision = decide(PASSED, policy, rehearsed=measured)
    assert decision.exit_code == code
    assert all("measured" in reason for reason in decision.reasons)


def test_a_damage_that_could_not_be_measured_does_not_pass() -> None:
    measured = {"emission": float("nan"), "instruction_loss": 0.0}
    assert decide(PASSED, Policy(max_emission=0.5), rehearsed=measured).exit_code == 1


def test_a_policy_that_needs_a_rehearsal_says_so() -> None:
    with pytest.raises(CatalogueError, match=r"max_emission needs .* --rehearsal"):
        decide(PASSED, Policy(max_emission=0.5))


def test_what_passes_with_a_flaw_is_said() -> None:
    assert "SF101 check-sf101 (0.30 is above 0.20)" in decide(WARNED).notices[0]
    assert "12 records: too few to decide check-sf101" in decide(UNDECIDED).notices[0]
    assert decide(PASSED).notices == (REJECTED,)


def test_reasons_name_the_offender_and_the_limit() -> None:
    summary = Flagged(500, 0.5, 500, 0.5)
    made = replace(FAILED, risk=Risk(0.9, 0.8, 1.0, ""), flagged_summary=summary)
    decision = decide(made, Policy(max_risk=0.5, max_flagged_share=0.1))
    assert decision.reasons == (
        "1 of 1 check failed: SF101 check-sf101 (0.50 is above 0.40).",
        "The risk, 0.9, is above the policy's 0.5.",
        "The flagged share, 0.5, is above the policy's 0.1.",
    )


def test_an_experimental_failure_counts_as_the_warning_it_is() -> None:
    made = report(verdict="warn", checks=(finding("SF101", verdict="fail", score=0.5),))
    assert decide(made).exit_code == 0
    assert "SF101" in decide(made).notices[0]
    assert decide(made, strict=True).exit_code == 1


@given(
    verdict=st.sampled_from(["pass", "warn", "fail", "undecided"]),
    risk=st.floats(0, 1),
    limit=st.floats(0, 1),
    share=st.floats(0, 1),
)
def test_stricter_never_lets_more_through(
    verdict: str, risk: float, limit: float, share: float
) -> None:
    made = report(
        verdict=verdict,
        checks=(finding(verdict=verdict),),
        risk=Risk(risk, risk, risk, ""),
        flagged_summary=Flagged(1, share, 1, share),
    )
    if decide(made).outcome != "pass":
        stricter = (
            Policy(undecided="fail"),
            Policy(max_risk=limit),
            Policy(max_flagged_share=limit),
        )
        assert decide(made, strict=True).outcome != "pass"
        assert all(decide(made, policy).outcome != "pass" for policy in stricter)


class TestPolicy:
    @staticmethod
    def load(tmp_path: Path, text: str) -> Policy:
        file = tmp_path / "policy.toml"
        file.write_text(text, encoding="utf-8")
        return load_policy(file, CHECKS)

    def test_an_empty_file_is_the_default(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, "") == Policy()

    def test_the_example_of_the_documentation_is_valid(self, tmp_path: Path) -> None:
        import synflaw_audit.verdicts.policy as module

        text = (module.__doc__ or "").split("```")[1].removeprefix("toml\n")
        text = text.replace("SF301", "SF102").replace("answer-duplicate", "answer-template")
        (tmp_path / "answer.schema.json").write_text('{"type": "object"}')
        policy = self.load(tmp_path, text)
        assert policy.undecided == "fail"
        assert policy.max_risk == 0.5
        changed = replace(FIRST, warn_above=0.05, fail_above=0.1, near="fail", status="promoted")
        assert policy.applied(CHECKS) == (changed,)

    def test_one_threshold_may_change_alone(self, tmp_path: Path) -> None:
        policy = self.load(tmp_path, "[checks.sf101]\nfail_above = 0.9\n")
        assert policy.applied(CHECKS) == (replace(FIRST, fail_above=0.9), SECOND)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("max_risks = 1", "unknown key 'max_risks'.*Did you mean 'max_risk'"),
            ('undecided = "warn"', "undecided: .*'pass', 'fail'"),
            ("max_risk = 2", "max_risk: .*<= 1"),
            ("max_flagged_share = '5%'", "max_flagged_share: Expected"),
            ("[checks.answer-tmplate]", "'answer-tmplate'.*Did you mean 'answer-template'"),
            ("[checks.SF101]\nwarn = 0.1", "unknown key in checks SF101 'warn'"),
            ("[checks.SF101]\nwarn_above = 1.1", "checks SF101 warn_above: .*<= 1"),
            ("[checks.SF101]\nwarn_above = 0.5", "answer-template: warn_above, 0.5, would be ab"),
            ("[checks.SF101]\n[checks.answer-template]", "names SF101 'answer-template' twice"),
            (
                "[checks.SF101]\nenabled = false\n[checks.SF102]\nenabled = false",
                "disables every check",
            ),
            ("checks = [", "not TOML"),
            ('promote = ["answer-openng"]', "Did you mean 'answer-opening'"),
            ('damaged = "ignore"', "damaged: .*'warn', 'fail'"),
            ("max_rejected_share = 2", "max_rejected_share: .*<= 1"),
        ],
    )
    def test_what_is_not_valid_is_refused(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(CatalogueError, match=rf"policy\.toml: .*{says}"):
            self.load(tmp_path, text)

    def test_promoting_a_check_lets_it_fail(self, tmp_path: Path) -> None:
        policy = self.load(tmp_path, 'promote = ["answer-opening"]')
        assert policy.applied(CHECKS) == (FIRST, replace(SECOND, status="promoted"))
        stable = replace(SECOND, status="stable")
        assert policy.applied((FIRST, stable)) == (FIRST, stable)

    def test_disabling_a_check_leaves_it_out(self) -> None:
        policy = Policy(checks={"SF102": Override(enabled=False)})
        assert policy.applied(CHECKS) == (FIRST,)


def test_all_that_was_not_judged_stands_in_the_decision() -> None:
    made = lossy(
        ("x.bin",), rows=10, records=7, rejected=3, rejections=3, lost=2, damage=("cut short",),
        exact=False, unread=("notes",),
    )  # fmt: skip
    decision = decide(made)
    said = orjson.loads(decision.to_json())
    assert said["rows"] == {
        "seen": 10,
        "rejected": 3,
        "rejected_share": 0.3,
        "unanswered": 0,
        "lost": 2,
        "exact": False,
    }
    assert said["damaged"][0]["damage"] == ["cut short"]
    assert said["skipped"] == [{"path": "x.bin", "reason": "unknown ending"}]
    assert said["unread"] == {"a.jsonl": ["notes"]}
    assert decision.reasons == (
        "3 of 10 rows (30.00%) could not be read; see rejected.jsonl.",
        "1 damaged file, at least 2 rows lost: a.jsonl: cut short.",
    )
    assert decision.notices == (
        "1 entry found and not read: x.bin (unknown ending).",
        "1 column with text not read: 'notes'.",
    )


def test_what_could_not_decide_is_named_and_nothing_else() -> None:
    """A check without its reference is no check that had too few records."""
    lone = finding("SF402", verdict="undecided", observed={"reason": "needs a reference"})
    alone = decide(report(verdict="undecided", checks=(lone,)))
    assert alone.outcome == "undecided"
    assert alone.reasons == ("Nothing could be judged: no check could decide (needs a reference).",)
    assert alone.notices == (REJECTED,)
    assert decide(report(checks=(finding(), lone))).notices == (REJECTED,)
