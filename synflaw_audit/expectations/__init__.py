"""The audit as Great Expectations expectations.

    from synflaw_audit import expectations as synflaw

    suite.add_expectation(
        synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost(max_score=0.4, answer="completion")
    )

Every check of the catalogue is an expectation (``synflaw gx list``), and two more go over all of
them: ``ExpectSynflawFormatUniformityToBeWithinLimits`` and
``ExpectSynflawPatternOverfittingRiskToBeAtMost``. ``recommended()`` makes any of them with the
thresholds of this version, which are then written out in the suite. However many a suite holds, the
batch is read once, and once more if rows are to be flagged.

In the order in which a validation passes through them: ``store`` loads the suite, ``classes`` and
``base`` are the expectations, ``metric`` is what they share, ``batches`` has an engine of the audit
read the batch on pandas, Spark or SQL, ``runs`` audits it, ``decisions`` and ``results`` say what
came of it, ``render``, ``evidence`` and ``history`` show it in Data Docs, ``action`` writes the
flagged rows. ``project`` sets a project up, ``doctor`` checks it.

Importing this package registers everything with Great Expectations. A process that does not import
it needs the hook, see ``store`` and ``synflaw gx init``.
"""

from __future__ import annotations

from synflaw_audit.expectations import classes
from synflaw_audit.expectations.action import WriteFlaggedSubsetAction
from synflaw_audit.expectations.classes import (
    CheckExpectation,
    ExpectSynflawFormatUniformityToBeWithinLimits,
    ExpectSynflawPatternOverfittingRiskToBeAtMost,
    expectations_for,
)

__all__ = [
    "CheckExpectation",
    "ExpectSynflawFormatUniformityToBeWithinLimits",
    "ExpectSynflawPatternOverfittingRiskToBeAtMost",
    "WriteFlaggedSubsetAction",
    "expectations_for",
]


def __getattr__(name: str) -> type[CheckExpectation]:
    """The expectation made from a check, by its name."""
    if name.startswith("ExpectSynflaw"):
        made: type[CheckExpectation] = getattr(classes, name)
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for name in vars(classes) if name.startswith("Expect"))})
