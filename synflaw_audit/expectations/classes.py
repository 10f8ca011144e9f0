"""The expectations: one for every check, made from it, and two over all of them.

A check is defined once, in its TOML file. Its expectation is derived here, with a name that follows
from the check's: ``answer-opening`` gives ``ExpectSynflawAnswerOpeningScoreToBeAtMost``, stored as
``expect_synflaw_answer_opening_score_to_be_at_most``. The classes are attributes of this module, so
that they import and pickle by name.
"""

from __future__ import annotations

import types
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from synflaw_audit.expectations.base import AuditExpectation, Threshold, Thresholds
from synflaw_audit.expectations.compat import pydantic
from synflaw_audit.expectations.decisions import ExpectationVerdict, worst
from synflaw_audit.expectations.examples import cases
from synflaw_audit.expectations.runs import AuditRun
from synflaw_audit.expectations.wording import limit_in_words
from synflaw_audit.verdicts.catalogue import Check, load_checks


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a score is a number between 0 and 1, so {value} cannot be its limit")
    return value


def _in_unit_interval(value: Any) -> Any:
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise ValueError(f"a score is between 0 and 1, so {value} cannot be its limit")
    return value


def _of_known_checks(value: Any) -> Any:
    """Limits by check; a suite parameter in their place is looked at when its value is known."""
    if not isinstance(value, dict) or set(value) == {"$PARAMETER"}:
        return value
    if not value:
        raise ValueError("max_scores names no check, so nothing would be evaluated")
    known = {check.name for check in known_checks()}
    if unknown := sorted(set(value) - known):
        raise ValueError(f"unknown checks {unknown}; there are {sorted(known)}")
    for name, limit in value.items():
        if isinstance(limit, dict):
            raise ValueError(
                f"max_scores[{name!r}] cannot be a parameter by itself: Great Expectations fills "
                'in whole arguments only; write max_scores={"$PARAMETER": "..."}'
            )
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise ValueError(f"max_scores[{name!r}] is {limit!r}, not a number between 0 and 1")
        _in_unit_interval(limit)
    return value


class CheckExpectation(AuditExpectation):
    """Base of the expectations made from a check: its score is at most ``max_score``."""

    max_score: Threshold = pydantic.Field(..., description="The largest score that passes, 0 to 1.")

    success_keys = (*AuditExpectation.success_keys, "max_score")
    args_keys = ("max_score",)
    _number = pydantic.validator("max_score", pre=True, allow_reuse=True)(_no_truth_value)
    _limit = pydantic.validator("max_score", allow_reuse=True)(_in_unit_interval)

    @classmethod
    @abstractmethod
    def check(cls) -> Check:
        """The check that the expectation is made from."""

    @classmethod
    def recommended(cls, **arguments: Any) -> CheckExpectation:
        """The expectation at the check's own threshold, which is written out when it is stored."""
        expectation: CheckExpectation = cls(**{"max_score": cls.check().fail_above, **arguments})
        return expectation

    def limits(self) -> dict[str, float]:
        """See ``AuditExpectation.limits``."""
        return {self.check().name: float(self._get_success_kwargs()["max_score"])}

    def decide(self, run: AuditRun) -> ExpectationVerdict:
        """See ``AuditExpectation.decide``."""
        return run.decide(self.check().name, float(self._get_success_kwargs()["max_score"]))

    @classmethod
    def sentence(cls, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """See ``AuditExpectation.sentence``."""
        check = cls.check()
        title = check.title.replace("$", "$$")
        params = {"check": check.code, "max_score": limit_in_words(kwargs.get("max_score"))}
        return f"$check {title}: the score must be at most $max_score.", params


class ExpectSynflawFormatUniformityToBeWithinLimits(AuditExpectation):
    """Expect no check of the batch's format to exceed its limit.

    Args:
        max_scores: The largest score that passes, by check name. ``recommended()`` fills in every
            stable check at its own threshold; a check that appears in a later version does not
            change a stored suite.
    """

    max_scores: Thresholds = pydantic.Field(
        ..., description="The largest score that passes, 0 to 1, by check name."
    )
    examples: ClassVar[list[dict[str, Any]]] = cases(
        {"max_scores": {"answer-template": 1.0}}, {"max_scores": {"answer-template": 0.1}}
    )
    success_keys = (*AuditExpectation.success_keys, "max_scores")
    args_keys = ("max_scores",)

    _known = pydantic.validator("max_scores", allow_reuse=True)(_of_known_checks)

    @classmethod
    def recommended(cls, **arguments: Any) -> ExpectSynflawFormatUniformityToBeWithinLimits:
        """Every stable check at its own threshold."""
        return cls(**{"max_scores": stable_limits(), **arguments})

    def limits(self) -> dict[str, float]:
        """See ``AuditExpectation.limits``."""
        return dict(self._get_success_kwargs()["max_scores"])

    def decide(self, run: AuditRun) -> ExpectationVerdict:
        """See ``AuditExpectation.decide``."""
        return worst((limit, run.decide(name, limit)) for name, limit in self.limits().items())

    @classmethod
    def sentence(cls, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """See ``AuditExpectation.sentence``."""
        limits: Mapping[str, float] = kwargs.get("max_scores") or {}
        if "$PARAMETER" in limits:
            listed = f"every check at most what {limit_in_words(limits)} says"
        else:
            listed = ", ".join(
                f"{name} at most {limit:g}" for name, limit in sorted(limits.items())
            )
        return "The format must vary: $limits.", {"limits": listed}


class ExpectSynflawPatternOverfittingRiskToBeAtMost(AuditExpectation):
    """Expect the risk that a model overfits to the batch's format to be at most ``max_score``.

    When it is not, the rows of every stable check above its own threshold are flagged.

    Args:
        max_score: The largest risk that passes, 0 to 1.
        max_scores: The limits that rows are flagged by; written out in full when it is stored.
    """

    max_score: Threshold = pydantic.Field(..., description="The largest risk that passes, 0 to 1.")
    max_scores: Thresholds = pydantic.Field(
        ..., description="The scores above which rows are flagged, by check name."
    )
    examples: ClassVar[list[dict[str, Any]]] = cases({"max_score": 1.0}, {"max_score": 0.1})
    success_keys = (*AuditExpectation.success_keys, "max_score", "max_scores")
    args_keys = ("max_score",)
    _known = pydantic.validator("max_scores", allow_reuse=True)(_of_known_checks)
    _number = pydantic.validator("max_score", pre=True, allow_reuse=True)(_no_truth_value)
    _limit = pydantic.validator("max_score", allow_reuse=True)(_in_unit_interval)

    @pydantic.root_validator(pre=True)
    def _flag_by(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"max_scores": stable_limits(), **values}

    def limits(self) -> dict[str, float]:
        """See ``AuditExpectation.limits``."""
        return dict(self._get_success_kwargs()["max_scores"])

    def decide(self, run: AuditRun) -> ExpectationVerdict:
        """See ``AuditExpectation.decide``."""
        return run.decide_risk(float(self._get_success_kwargs()["max_score"]), self.limits())

    @classmethod
    def sentence(cls, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """See ``AuditExpectation.sentence``."""
        sentence = "The risk of pattern overfitting must be at most $max_score."
        return sentence, {"max_score": limit_in_words(kwargs.get("max_score"))}


def known_checks() -> tuple[Check, ...]:
    """Every check that has an expectation in this process, a user's own included, by code."""
    made = {c.check().name: c.check() for c in _concrete(CheckExpectation)}  # type: ignore[type-abstract]
    return tuple(sorted(made.values(), key=lambda check: check.code))


def _concrete(base: type[CheckExpectation]) -> Iterator[type[CheckExpectation]]:
    """The subclasses that are made from a check, subclasses of these included."""
    for made in base.__subclasses__():
        if not getattr(made.check, "__isabstractmethod__", False):
            yield made
        yield from _concrete(made)


def stable_limits() -> dict[str, float]:
    """The threshold of every stable check, or of every check while none is stable, by name."""
    checks = load_checks()
    stable = [check for check in checks if check.status == "stable"] or checks
    return {check.name: check.fail_above for check in stable}


def class_name(check: Check) -> str:
    """The name of the expectation that is made from a check."""
    return f"ExpectSynflaw{check.name.title().replace('-', '')}ScoreToBeAtMost"


def expectations_for(checks: Iterable[Check], module: str) -> dict[str, type[CheckExpectation]]:
    """Make the expectation of each check.

    Args:
        checks: For instance ``load_checks(Path("my_checks"))``.
        module: The module that will hold the classes under their names; a user's own pack lives
            in a module of theirs, which also serves as its store hook.

    Returns:
        The classes by name, in the order of the checks.
    """
    return {class_name(check): _make(check, module) for check in checks}


def _make(check: Check, module: str) -> type[CheckExpectation]:
    namespace = {
        "__module__": module,
        "__qualname__": class_name(check),
        "__doc__": f"Expect the score of {check.code} {check.name} ({check.title}) to be at most "
        f"``max_score``.\n\n{check.why}",
        "check": classmethod(lambda cls: check),
        "examples": cases({"max_score": 1.0, "allow_undecided": True}, {"max_score": 0.0}),
    }
    made: type[CheckExpectation] = types.new_class(
        class_name(check), (CheckExpectation,), exec_body=lambda body: body.update(namespace)
    )
    return made


globals().update(expectations_for(load_checks(), __name__))


def __getattr__(name: str) -> type[CheckExpectation]:
    """Tell what there is instead; declared, so that type checkers know the classes made above."""
    made = sorted(key for key in globals() if key.startswith("ExpectSynflaw"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; expectations: {made}")
