"""What every rendering of a report shares: its sentences, numbers, and safe text from the data.

A corpus is untrusted. Escaping for the target language is each rendering's own; what no target may
pass on is made visible (``untrusted.visible``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from synflaw_audit.findings.fields import FieldFindings
from synflaw_audit.findings.finding import MarkedText, clipped
from synflaw_audit.findings.groups import Group, Groups
from synflaw_audit.findings.report import AllowedFormat, Report, Risk, TemplateSummary, Verdict
from synflaw_audit.untrusted import visible

SLOT = "<*>"
NO_VALUE = "(no value)"

SYMBOLS: dict[Verdict, str] = {"pass": "✓", "warn": "!", "fail": "✗", "undecided": "?"}

# Templates shown; the JSON report holds all.
MOST_TEMPLATES = 25
MOST_EXAMPLES = 3
MOST_VARIANTS = 5
MOST_DIFFERENCES = 3
PATTERN_CHARACTERS = 600
EXAMPLE_CHARACTERS = 360


def clip(text: str, characters: int) -> str:
    """At most ``characters`` of ``text``, cut between words where one ends near the limit."""
    if len(text) <= characters:
        return text
    cut = text[: characters - 1]
    space = cut.rfind(" ", int(characters * 0.8))
    return (cut[:space] if space > 0 else cut).rstrip() + "…"


def one_line(text: str, characters: int = 200) -> str:
    """``text`` made visible, on one line, and clipped."""
    return clip(re.sub(r"\s+", " ", visible(text)).strip(), characters)


def percent(share: float) -> str:
    """A share for people: more digits only where they tell small shares apart."""
    value = 100 * share
    if 0 < value < 0.05:
        return "<0.1%"
    return f"{value:.1f}%" if value < 9.95 or 99.05 < value < 99.95 else f"{value:.0f}%"


def percent_or_dash(part: float | None) -> str:
    """A share in a table; a dash where there is none."""
    return "-" if part is None else percent(part)


def count(number: int, noun: str) -> str:
    """A count with its noun: "1 record", "1,200 records"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"; "a check" if there are none."""
    names = [one_line(name) for name in names] or ["a check"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number(value: float) -> str:
    """A score in [0, 1] for people."""
    return f"{value:.2f}"


def value(observed: Any) -> str:
    """Anything observed, for people: text as it is, fractions short, anything else as JSON."""
    if isinstance(observed, str):
        return observed
    if isinstance(observed, float):
        return f"{observed:.4g}"
    return orjson.dumps(observed, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    records = count(report.dataset.records, "record")
    failed = [finding.name for finding in report.checks if finding.verdict == "fail"]
    raised = [finding.name for finding in report.checks if finding.verdict in ("warn", "fail")]
    flagged = report.flagged_summary
    rows = f"{flagged.records:,} of {records} ({percent(flagged.share)}) flagged"
    match report.verdict:
        case "fail":
            return f"The format is too uniform: {listed(failed)} failed; {rows}."
        case "warn":
            return f"The format is rather uniform: {listed(raised)} raised a warning; {rows}."
        case "pass":
            return f"No check found the format too uniform in {records}."
        case _:
            return f"No check could decide on {records}: too few."


def remark(report: Report) -> str:
    """Why the verdict is milder than the worst check's, or an empty text."""
    if report.verdict == "warn" and any(finding.verdict == "fail" for finding in report.checks):
        return "The checks that failed are experimental, so they only warn."
    return ""


def risk_words(report: Report) -> str:
    """The risk with its bounds and basis."""
    risk = report.risk
    score = f"{number(risk.score)} ({risk_bounds(risk)}), {risk.basis}"
    return f"{score}. {predictions(risk)}".strip()


def risk_bounds(risk: Risk) -> str:
    """The bounds of the risk, which are no 95% interval, and what they are."""
    bounds = f"{number(risk.low)} to {number(risk.high)}"
    if risk.level is None:
        return bounds
    return f"{bounds}, bounds that held for {risk.level:.0%} of the corpora kept out of its fit"


def predictions(risk: Risk) -> str:
    """The two predictions that the risk is made of, or an empty text."""
    emission, loss = risk.emission, risk.instruction_loss
    if emission is None or loss is None:
        return ""
    return (
        f"Expected of a little training: {emission.value:.0%} ({emission.low:.0%} to "
        f"{emission.high:.0%}) of answers to foreign prompts carry the format, and "
        f"{loss.value:.0%} ({loss.low:.0%} to {loss.high:.0%}) of instruction following is lost "
        "beyond what natural rows cost."
    )


def templated_field(template: TemplateSummary) -> str:
    """Where a template was found: its id begins with A for answers, Q for questions."""
    return {"A": "answers", "Q": "questions"}.get(template.id[:1], "records")


def group_name(group: Group) -> str:
    """What a group is called; no value's name is that of the records without one."""
    if group.name is None:
        return NO_VALUE
    return f'"{group.name}"' if group.name == NO_VALUE else group.name


def standing_out(group: Group) -> str:
    """The scores of a group that lie above the corpus's, with their intervals."""
    said = (
        f"{score.name} {number(score.score)} ({number(score.low)} to {number(score.high)})"
        for score in group.scores
        if score.stands_out
    )
    return ", ".join(said) or "none"


def grouped_by(groups: Groups) -> str:
    """What was grouped, and how its intervals are meant."""
    return (
        f"{count(len(groups.groups), 'group')} by {groups.by}. A score is named where its interval "
        "lies above that of the whole corpus; the intervals of all groups and checks hold together "
        "at 95% confidence (Bonferroni)."
    )


def field(one: FieldFindings) -> str:
    """What was found in the reasoning or in the rejected answers, in a sentence or two."""
    found = [f for f in one.checks if f.verdict in ("warn", "fail")]
    named = "; ".join(f"{f.code} {f.name} {number(f.score)}" for f in found) or "no check raised it"
    said = f"{count(one.records, 'record')}, {one.verdict}: {named}."
    preferred = preferred_format(one)
    return f"{said} {preferred}" if preferred else said


def preferred_format(one: FieldFindings) -> str:
    """Where the preferred answers have more of a format than the rejected ones, beyond doubt."""
    higher = [each for each in one.differences if each.low > 0]
    higher.sort(key=lambda each: -each.value)
    if not higher:
        return ""
    listed = "; ".join(
        f"{each.name} +{number(each.value)} ({number(each.low)} to {number(each.high)})"
        for each in higher[:MOST_DIFFERENCES]
    )
    return f"The preferred answers have more of the format than the rejected ones: {listed}."


def allowed(one: AllowedFormat) -> str:
    """A format that a policy allows, in a sentence."""
    records = f"{count(one.records, 'record')} ({percent(one.share)})"
    return f"{one.name}: in {records}. {one.reason.strip()}"


def named(template: TemplateSummary) -> str:
    """What a template is called: what its rows share, or the commonest of wordings without that."""
    if template.pattern.replace(SLOT, "").strip() or not template.variants:
        return template.pattern
    return f"such as {template.variants[0].pattern}"


def kind(template: TemplateSummary) -> str:
    """Whether its rows share a wording or come for one another, above the list of its variants."""
    if template.kind == "family":
        return "A family of wordings that come for one another, each with its share of all records:"
    return "Its rows are worded, each with its share of all records:"


@dataclass(frozen=True)
class TextPart:
    """A piece of text: ``kind`` is "format" (the template's own words), "slot" or "text"."""

    kind: str
    text: str


def pattern_parts(pattern: str) -> list[TextPart]:
    """A template's pattern, its slots told from its words."""
    pieces = visible(clip(pattern, PATTERN_CHARACTERS)).split(SLOT)
    parts: list[TextPart] = []
    for index, piece in enumerate(pieces):
        if index:
            parts.append(TextPart("slot", SLOT))
        if piece:
            parts.append(TextPart("format", piece))
    return parts


def marked_parts(marked: MarkedText, characters: int = EXAMPLE_CHARACTERS) -> list[TextPart]:
    """A text with its format told from its content, at most so many characters of it.

    The view opens a little before the first format, so that a formula at the end of a long answer
    is seen too.
    """
    text, spans = marked.text, marked.spans
    start = max(0, spans[0][0] - 60) if spans and spans[0][0] > characters // 2 else 0
    end = min(len(text), start + characters)
    parts = [TextPart("text", "…")] if start else []
    position = start
    for begin, stop in clipped(spans, start, end, moved=start):
        parts += _part("text", text[position:begin]) + _part("format", text[begin:stop])
        position = stop
    parts += _part("text", text[position:end])
    return [*parts, TextPart("text", "…")] if end < len(text) else parts


def _part(kind: str, text: str) -> list[TextPart]:
    return [TextPart(kind, visible(text))] if text else []
