"""What a gate lets through: thresholds of one's own, read from a closed-schema TOML file.

```toml
undecided = "fail"            # a check cannot decide: "fail", or "pass" with a notice (default)
near = "fail"                 # a score's interval holds the limit: "warn" (default), "fail",
                              # "undecided", or "score": the score decides, however unsure it is
max_risk = 0.5                # fail when the risk is above it
max_flagged_share = 0.10      # fail when stable checks flag more of the records
max_emission = 0.10           # fail when a rehearsal measured more (`synflaw rehearse`) ...
max_instruction_loss = 0.20   # ... or this: both need `synflaw gate --rehearsal rehearsal.json`
max_rejected_share = 0.01     # fail when more of the rows cannot be read (0.01 if not given)
max_leakage = 0.01            # fail when more questions of test or validation stand in train
damaged = "fail"              # a damaged file: "fail" (default), or "warn"
skipped = "warn"              # files that were found and not read: "warn" (default), or "fail"
reasoning = "fail"            # the reasoning before the answers fails: "fail" (default), or "warn"
promote = ["answer-duplicate"]  # experimental checks that may fail a corpus and quarantine rows

[checks.answer-template]      # by name or code
warn_above = 0.05
fail_above = 0.10

[checks.SF301]
enabled = false               # true asks for a check that does not run by default

[fix.answer-template]         # what `synflaw fix --plan` does with the rows of a check:
strategy = "cut"              # "drop", "cap", "cut" or "keep"
rows = 20                     # of each template that are kept where "cap", or "cut" in vain

[[allow]]                     # a format that is intended: it is taken out, the rest is judged
pattern = "Answer: <*>"       # in the report's notation
reason = "the application reads what follows the label"

[[allow]]
kind = "code-fence"           # or json, code, reasoning, boxed, table, citation, list, heading
reason = "every answer is a program"

[[allow]]
schema = "answer.schema.json" # a JSON Schema, beside this file, that the answers follow
reason = "the application parses them"
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from synflaw_audit import strict_toml
from synflaw_audit.allowed import Allow
from synflaw_audit.errors import CatalogueError
from synflaw_audit.findings.finding import Near
from synflaw_audit.verdicts.catalogue import Check, Fraction, find_check


@dataclass(frozen=True)
class Override:
    """What a policy changes in one check.

    Attributes:
        enabled: False leaves the check out of the audit, true asks for one that does not run by
            default.
        warn_above: Replaces the check's own.
        fail_above: Replaces the check's own.
    """

    enabled: bool | None = None
    warn_above: Fraction | None = None
    fail_above: Fraction | None = None


@dataclass(frozen=True)
class CheckTreatment:
    """What a repair of the corpus does with the rows of one check.

    Attributes:
        strategy: Leave them out, keep some of each template, cut the format out of their answers
            where that can be done and keep some of the others, or leave them as they are.
        rows: How many are kept of each template, for "cap" and "cut".
    """

    strategy: Literal["drop", "cap", "cut", "keep"]
    rows: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True)
class Policy:
    """What a gate lets through.

    Attributes:
        undecided: Whether a check that cannot decide passes the gate, with a notice, or fails it.
        near: What a score comes to whose interval holds the limit of a failure.
        max_risk: The highest risk that passes; no limit if not given.
        max_flagged_share: The highest share of records that stable or promoted checks flag that
            passes; likewise.
        max_emission: The highest measured share of foreign answers with the corpus's format, beyond
            the control's, that passes; likewise.
        max_instruction_loss: The highest measured share of instruction following lost, beyond the
            control's, that passes; likewise.
        max_rejected_share: The highest share of rows that cannot be read that passes.
        max_leakage: The highest share of the questions of test or validation that may stand in an
            earlier split, exactly or nearly; no limit if not given.
        damaged: Whether a damaged file fails the gate, or only gives a notice.
        skipped: Whether files that were found beside the corpus and not read do.
        reasoning: Whether reasoning that fails by itself fails the gate.
        promote: Names or codes of experimental checks that may fail a corpus and quarantine rows,
            as stable ones do.
        checks: Changes to single checks, by name or code.
        allow: Formats that are intended.
        fix: What `synflaw fix --plan` does with the rows of single checks, by name or code; where
            several flag a row, the one that stands first decides.
    """

    undecided: Literal["pass", "fail"] = "pass"
    near: Near = "warn"
    max_risk: Fraction | None = None
    max_flagged_share: Fraction | None = None
    max_emission: Fraction | None = None
    max_instruction_loss: Fraction | None = None
    max_rejected_share: Fraction = 0.01
    max_leakage: Fraction | None = None
    damaged: Literal["warn", "fail"] = "fail"
    skipped: Literal["warn", "fail"] = "warn"
    reasoning: Literal["warn", "fail"] = "fail"
    promote: tuple[str, ...] = ()
    checks: dict[str, Override] = field(default_factory=dict, hash=False)
    allow: tuple[Allow, ...] = ()
    fix: dict[str, CheckTreatment] = field(default_factory=dict, hash=False)

    def applied(self, checks: Sequence[Check]) -> tuple[Check, ...]:
        """The checks with this policy's changes: those that run by default or that it enables.

        Raises:
            CatalogueError: The policy names an unknown check, one check twice, thresholds out of
                order, or disables every check.
        """
        overrides: dict[str, Override] = {}
        for label, override in self.checks.items():
            check = find_check(tuple(checks), label)
            if check.code in overrides:
                raise CatalogueError(f"the policy names {check.code} {check.name!r} twice")
            overrides[check.code] = override
        asked = [(check, overrides.get(check.code, Override())) for check in checks]
        changed = tuple(
            replace(_changed(check, override), near=self.near)
            for check, override in asked
            if (check.default if override.enabled is None else override.enabled)
        )
        if not changed:
            raise CatalogueError("the policy disables every check, so nothing would be audited")
        for label in self.fix:
            find_check(tuple(checks), label)
        promoted = {find_check(tuple(checks), label).code for label in self.promote}
        return tuple(
            replace(check, status="promoted")
            if check.code in promoted and check.status == "experimental"
            else check
            for check in changed
        )


def load_policy(path: Path, checks: Sequence[Check]) -> Policy:
    """Read a policy and try it on the checks that it is meant for.

    Raises:
        CatalogueError: The file is not valid; the message names file, key and choices.
    """
    try:
        policy = strict_toml.load(path, Policy)
        policy = replace(policy, allow=tuple(one.read(path.parent) for one in policy.allow))
        policy.applied(checks)
    except CatalogueError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise CatalogueError(f"{path}: {error}") from error
    return policy


def _changed(check: Check, override: Override) -> Check:
    warn = check.warn_above if override.warn_above is None else override.warn_above
    fail = check.fail_above if override.fail_above is None else override.fail_above
    if warn > fail:
        raise CatalogueError(
            f"checks {check.name}: warn_above, {warn}, would be above fail_above, {fail}; set both"
        )
    return replace(check, warn_above=warn, fail_above=fail)
