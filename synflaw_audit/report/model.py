"""The report: the one object that the commands, the gate and the expectations see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import msgspec
import orjson
import pyarrow as pa

from synflaw_audit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from synflaw_audit.catalogue import Check

Verdict = Literal["pass", "warn", "fail", "undecided"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Dataset:
    """What was read.

    Attributes:
        files: Every file read, in the order given.
        records: Readable question-answer records.
        rejected: Rows that could not be read; each stands in ``rejected.jsonl`` with its reason.
        schema: How each file's columns were understood, by file.
        tokens: Word and punctuation tokens in all answers.
    """

    files: tuple[str, ...]
    records: int
    rejected: int
    schema: dict[str, str]
    tokens: int


@dataclass(frozen=True)
class Risk:
    """The pattern-overfitting risk in [0, 1], its interval, and what the number rests on."""

    score: float
    low: float
    high: float
    basis: str


@dataclass(frozen=True)
class Finding:
    """One check's result. ``score`` is in [0, 1], higher is more uniform, worse.

    ``low`` and ``high`` bound the score at 95% confidence given the sample it was measured on.
    ``observed`` holds what the measure saw, JSON values only (for instance the commonest openings).
    """

    code: str
    name: str
    title: str
    score: float
    low: float
    high: float
    verdict: Verdict
    warn_above: float
    fail_above: float
    records: int
    observed: dict[str, Any]


@dataclass(frozen=True)
class TemplateSummary:
    """One answer or question template: ``pattern`` shows its slots as ``<*>``.

    ``share`` is the share of all records that follow it, ``records`` the estimated count.
    """

    id: str
    pattern: str
    share: float
    records: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Flagged:
    """How many records the failed and warned checks implicate, and their share of all."""

    records: int
    share: float


@dataclass(frozen=True)
class Report:
    """What one audit found. See ``synflaw_audit.audit`` for how it comes about.

    Attributes:
        dataset: What was read.
        verdict: The worst of the checks' verdicts; "undecided" when no check could decide.
        risk: The pattern-overfitting risk.
        checks: Every check's finding, by code.
        templates: The templates found, the commonest first.
        flagged_summary: How many records are flagged; "flagged" in JSON.
        config: The options of the run.
        versions: Of this package and of the libraries that a score may depend on.
        seconds: Wall-clock seconds by stage, and their "total".
        schema_version: Of the JSON form.
    """

    dataset: Dataset
    verdict: Verdict
    risk: Risk
    checks: tuple[Finding, ...]
    templates: tuple[TemplateSummary, ...]
    flagged_summary: Flagged
    config: dict[str, Any]
    versions: dict[str, str]
    seconds: dict[str, float]
    schema_version: int = field(default=SCHEMA_VERSION)
    _flagged: Callable[[], pa.Table] | None = field(default=None, repr=False, compare=False)

    def flagged(self) -> pd.DataFrame:
        """The flagged rows, in the corpus's order, with the columns of ``records.FLAGGED``.

        Raises:
            InputError: The report was read from JSON, which does not hold the rows.
        """
        if self._flagged is None:
            raise InputError(
                "this report was read from JSON and does not hold the flagged rows; "
                "they stand in flagged.parquet beside it"
            )
        frame: pd.DataFrame = self._flagged().to_pandas()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as plain values; ``schema()`` describes it."""
        return {
            "schema_version": self.schema_version,
            "dataset": asdict(self.dataset),
            "verdict": self.verdict,
            "risk": asdict(self.risk),
            "checks": [asdict(finding) for finding in self.checks],
            "templates": [asdict(template) for template in self.templates],
            "flagged": asdict(self.flagged_summary),
            "config": self.config,
            "versions": self.versions,
            "seconds": self.seconds,
        }

    def to_json(self) -> str:
        """The report as JSON, indented; what ``report.json`` holds."""
        return orjson.dumps(
            self.to_dict(),
            # Measures compute with numpy; its numbers are numbers here too.
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY,
        ).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """Read what ``to_json`` wrote; everything but the flagged rows comes back.

        Raises:
            InputError: It is not a report of this schema version; the message names the key.
        """
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InputError(f"not a report: not JSON: {error}") from error
        if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
            found = data.get("schema_version") if isinstance(data, dict) else None
            raise InputError(
                f"not a report this version can read: schema_version is {found!r}, "
                f"it must be {SCHEMA_VERSION}"
            )
        hints = {key: hint for key, hint in get_type_hints(cls).items() if key != "_flagged"}
        keys = {name: "flagged" if name == "flagged_summary" else name for name in hints}
        values = {}
        for name, hint in hints.items():
            key = keys[name]
            if key not in data:
                raise InputError(f"not a report: the key {key!r} is missing")
            try:
                values[name] = msgspec.convert(data[key], hint, strict=True)
            except msgspec.ValidationError as error:
                raise InputError(f"not a report: {key}: {error}") from error
        return cls(**values)

    def to_markdown(self, checks: Sequence[Check] | None = None) -> str:
        """The report as Markdown that GitHub renders; everything from the data is escaped.

        Args:
            checks: Where to look up what a finding means and what to do about it; the shipped
                checks if not given.
        """
        from synflaw_audit.report.markdown import render

        return render(self, _by_label(checks))

    def to_html(self, checks: Sequence[Check] | None = None) -> str:
        """The report as one HTML page that loads nothing; everything from the data is escaped.

        Args:
            checks: As for ``to_markdown``.
        """
        from synflaw_audit.report.html import render

        return render(self, _by_label(checks))


def _by_label(checks: Sequence[Check] | None) -> dict[tuple[str, str], Check]:
    """Checks by code and name: only both together say that a finding is that check's."""
    from synflaw_audit.catalogue import load_checks

    known = load_checks() if checks is None else checks
    return {(check.code, check.name): check for check in known}


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``Report.to_json``."""
    text = resources.files("synflaw_audit.report").joinpath("report.schema.json").read_bytes()
    loaded: dict[str, Any] = orjson.loads(text)
    return loaded
