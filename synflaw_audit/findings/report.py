"""The report: the one object that the commands, the gate and the expectations see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol, get_type_hints

import msgspec
import orjson
import pyarrow as pa

from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.findings.fields import FieldFindings
from synflaw_audit.findings.finding import (
    ExampleRow,
    Finding,
    Implicated,
    MarkedText,
    Prediction,
    Risk,
    TemplateKind,
    Verdict,
    WhatIf,
)
from synflaw_audit.findings.groups import Groups
from synflaw_audit.findings.leakage import Leakage
from synflaw_audit.findings.picture import Density, ScatterPlot

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SCHEMA_VERSION",
    "AllowedFormat",
    "Dataset",
    "ExampleRow",
    "Finding",
    "Flagged",
    "Implicated",
    "MarkedText",
    "Prediction",
    "Report",
    "Risk",
    "ScatterPlot",
    "TemplateSummary",
    "Variant",
    "Verdict",
    "WhatIf",
    "schema",
]

SCHEMA_VERSION = 1

# Fields whose key in JSON differs: a method has the plain name.
_KEYS = {"flagged_summary": "flagged", "what_if_flagged": "what_if"}


class WhatIfAnswers(Protocol):
    """Answers ``Report.what_if`` from what the audit kept of the corpus."""

    def __call__(self, drop: str | Iterable[str], checks: Iterable[str]) -> WhatIf:
        """See ``Report.what_if``."""


@dataclass(frozen=True)
class Dataset:
    """What was read.

    Attributes:
        files: Every file read, in the order given.
        records: Readable question-answer records.
        rejected: Rows that could not be read; each stands in ``rejected.jsonl`` with its reason.
        schema: How each file's columns were understood, by file.
        tokens: Word and punctuation tokens in all answers.
        accounts: What became of every row, file by file, and what was found and not read.
        distinct: Different question-answer pairs with something to see in the answer, among those
            that the audit sampled; None if nobody counted them.
    """

    files: tuple[str, ...]
    records: int
    rejected: int
    schema: dict[str, str]
    tokens: int
    accounts: Accounts = field(default_factory=Accounts)
    distinct: int | None = None


@dataclass(frozen=True)
class Variant:
    """One wording of a template, with its share of all records, estimated."""

    pattern: str
    share: float
    records: int


@dataclass(frozen=True)
class TemplateSummary:
    """One answer or question template.

    Attributes:
        id: "A1" is the commonest of the answers, "Q1" of the questions.
        pattern: The words that nearly all of its rows share; ``<*>`` stands for what differs.
        share: Of all records that follow it.
        records: That follow it, estimated.
        examples: Some texts that follow it.
        kind: "template" if the rows share most of their format, or a "family" of wordings that
            come for one another.
        variants: How its rows are worded, the commonest first, where they differ.
    """

    id: str
    pattern: str
    share: float
    records: int
    examples: tuple[MarkedText, ...]
    kind: TemplateKind = "template"
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True)
class AllowedFormat:
    """A format that a policy allows, and how many records have it.

    Attributes:
        name: Its pattern, its kind, or its schema's title.
        reason: Why it is intended, in the policy's words.
        records: That have it. Its words were taken out of their answers before anything was
            measured, and are in no span.
        share: Of all records.
    """

    name: str
    reason: str
    records: int
    share: float


@dataclass(frozen=True)
class Flagged:
    """How many records the failed and warned checks implicate, and their share of all.

    Attributes:
        records: That any such check implicates.
        share: Of all records.
        quarantined: Those of them that a stable or promoted check implicates; a gate keeps these
            from the clean corpus.
        quarantined_share: Of all records.
    """

    records: int
    share: float
    quarantined: int = 0
    quarantined_share: float = 0.0


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
        groups: The parts of the corpus, where it was audited by parts.
        fields: The reasoning and the rejected answers, where records have such, each judged as a
            corpus of its own; the verdict and the risk speak of the answers alone.
        leakage: What its splits share, and questions that are answered otherwise elsewhere; None
            where nobody looked.
        picture: The corpus and its reference in the plane, where there is a reference.
        token_frequencies: The density of token frequencies, as log10 of occurrences an answer.
        perplexities: The density of the answers' perplexities, in bits a token.
        what_if_flagged: The answer of ``what_if("flagged")``, if it was asked for during the audit;
            "what_if" in JSON.
        allowed: The formats that are intended, which nothing here speaks of.
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
    groups: Groups | None = None
    fields: tuple[FieldFindings, ...] = ()
    leakage: Leakage | None = None
    picture: ScatterPlot | None = None
    token_frequencies: Density | None = None
    perplexities: Density | None = None
    what_if_flagged: WhatIf | None = None
    allowed: tuple[AllowedFormat, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)
    _flagged: Callable[[], pa.Table] | None = field(default=None, repr=False, compare=False)
    _what_if: WhatIfAnswers | None = field(default=None, repr=False, compare=False)

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

    def what_if(
        self, drop: str | Iterable[str] = "flagged", *, checks: Iterable[str] = ()
    ) -> WhatIf:
        """The risk and the verdicts if flagged rows were left out; see ``WhatIf``.

        The sample of the corpus that the audit kept is judged again without those rows, so this
        takes a part of the audit's time and does not read the corpus.

        Args:
            drop: "flagged" for all flagged rows, or names or codes of the checks whose flagged
                rows are left out. A check that flags no rows leaves none out.
            checks: Names or codes of further checks to judge by.

        Raises:
            InputError: There is no such check, or the report does not hold the sample, because it
                was read from JSON or made by Great Expectations.
        """
        if self._what_if is not None:
            return self._what_if(drop, checks)
        if self.what_if_flagged is not None and drop == "flagged" and not tuple(checks):
            return self.what_if_flagged
        raise InputError(
            "this report does not hold the sample that what_if judges, because it was read from "
            "JSON or made by Great Expectations; audit the corpus again in Python, or with "
            '--what-if to have the answer for drop="flagged" in report.json'
        )

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
            "allowed": [asdict(one) for one in self.allowed],
            "config": self.config,
            "versions": self.versions,
            "seconds": self.seconds,
            "groups": _dict(self.groups),
            "fields": [asdict(each) for each in self.fields],
            "leakage": _dict(self.leakage),
            "picture": _dict(self.picture),
            "token_frequencies": _dict(self.token_frequencies),
            "perplexities": _dict(self.perplexities),
            "what_if": _dict(self.what_if_flagged),
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
        """Read what ``to_json`` wrote; everything but the rows of the corpus comes back.

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
        hints = {key: hint for key, hint in get_type_hints(cls).items() if key[0] != "_"}
        values = {}
        for name, hint in hints.items():
            key = _KEYS.get(name, name)
            if key not in data:
                raise InputError(f"not a report: the key {key!r} is missing")
            try:
                values[name] = msgspec.convert(data[key], hint, strict=True)
            except msgspec.ValidationError as error:
                raise InputError(f"not a report: {key}: {error}") from error
        return cls(**values)


def _dict(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``Report.to_json``."""
    text = resources.files("synflaw_audit.findings").joinpath("report.schema.json").read_bytes()
    loaded: dict[str, Any] = orjson.loads(text)
    return loaded
