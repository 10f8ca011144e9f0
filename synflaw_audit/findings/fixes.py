"""What a repair of a corpus did, and what an audit says of it before and after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

from synflaw_audit.findings.finding import MarkedText
from synflaw_audit.findings.report import Report

Outcome = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True)
class FixedRows:
    """The rows of a corpus by what became of them; together all that were seen.

    Attributes:
        untouched: Not flagged, or none of the repair's business.
        kept: Flagged, and kept as they are.
        cut: Flagged, and kept with the format cut out of their answers.
        rewritten: Flagged, and kept with answers that say the same anew.
        dropped: Flagged, and left out.
        not_put_back: Of those dropped, the ones whose new answers could not be put into the row.
        unreadable: Left out because the audit cannot read them.
        unwritten: In neither folder; see ``writing.FileSplit``.
    """

    untouched: int
    kept: int
    cut: int
    rewritten: int
    dropped: int
    not_put_back: int
    unreadable: int
    unwritten: int

    @property
    def remaining(self) -> int:
        """Those in the repaired corpus."""
        return self.untouched + self.kept + self.cut + self.rewritten


@dataclass(frozen=True)
class ContentKept:
    """Characters of flagged answers that are outside of the format's spans; blanks do not count.

    Attributes:
        flagged: Of all flagged answers.
        kept: Of those, in the repaired corpus.
        cut: Of the answers that were cut, before.
        cut_kept: Of those, after.
    """

    flagged: int
    kept: int
    cut: int
    cut_kept: int

    @property
    def kept_share(self) -> float:
        """The share of the flagged answers' content that the repaired corpus still has."""
        return self.kept / self.flagged if self.flagged else 1.0

    @property
    def cut_kept_share(self) -> float:
        """The share of the cut answers' content that is still in them."""
        return self.cut_kept / self.cut if self.cut else 1.0


@dataclass(frozen=True)
class TurnDiff:
    """What was done to one flagged turn.

    Attributes:
        file: That it stands in.
        row: In the file as it was, from 0.
        turn: In the row, from 0.
        action: "keep", "drop", "cut" or "rewrite".
        reason: Why.
        before: Its answer, with the format marked.
        after: Its new answer; None if it has none.
    """

    file: str
    row: int
    turn: int
    action: str
    reason: str
    before: MarkedText
    after: str | None = None

    def to_json(self) -> bytes:
        """A line of ``fix.diff.jsonl``."""
        return orjson.dumps(asdict(self), option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True)
class Fix:
    """A repaired corpus.

    Attributes:
        strategy: What was done with flagged rows.
        outcome: Whether the repaired corpus passes the gate; if it does not, it is not fixed.
        reasons: Why it does not pass.
        notices: What a person should know although it does not decide.
        rows: What became of them.
        content: How much of it is left.
        before: The audit of the corpus as it was.
        after: The audit of the repaired one.
        examples: Some changes.
    """

    strategy: str
    outcome: Outcome
    reasons: tuple[str, ...]
    notices: tuple[str, ...]
    rows: FixedRows
    content: ContentKept
    before: Report
    after: Report
    examples: tuple[TurnDiff, ...]

    def to_json(self) -> str:
        """What ``fix.json`` holds; the whole reports stand in ``before/`` and ``after/``."""
        values = {
            "outcome": self.outcome,
            "reasons": self.reasons,
            "notices": self.notices,
            "strategy": self.strategy,
            "rows": {**asdict(self.rows), "remaining": self.rows.remaining},
            "content": {
                **asdict(self.content),
                "kept_share": self.content.kept_share,
                "cut_kept_share": self.content.cut_kept_share,
            },
            "before": _summary(self.before),
            "after": _summary(self.after),
        }
        return orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _summary(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict,
        "records": report.dataset.records,
        "risk": {name: getattr(report.risk, name) for name in ("score", "low", "high")},
        "flagged": report.flagged_summary.records,
        "checks": [
            {"code": c.code, "name": c.name, "verdict": c.verdict, "score": c.score}
            for c in report.checks
        ],
    }
