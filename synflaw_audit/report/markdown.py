"""A report as Markdown, for pull requests and model cards.

Whatever comes from the data stands in code spans: in them neither HTML nor emphasis, links, nor
mentions are obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from synflaw_audit.findings.leakage import sentences
from synflaw_audit.findings.losses import losses_of
from synflaw_audit.findings.report import Finding, Report, TemplateSummary
from synflaw_audit.report import explanation, words

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$@])")


def render(report: Report) -> str:
    """The whole report; see ``Report.to_markdown``."""
    sections = [
        _summary(report),
        _checks(report),
        _explained(report),
        _templates(report),
        _allowed(report),
        _groups(report),
        _fields(report),
        _leakage(report),
        _observed(report.checks),
        _data(report),
        _run(report),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def escape(text: str) -> str:
    """Words that are not the data's own (a title, a basis), safe in running text and tables."""
    return _SPECIAL.sub(r"\\\1", words.one_line(text, 2000))


def code(text: str, characters: int = 300) -> str:
    """Text from the data as a code span."""
    line = words.one_line(text, characters)
    if not line:
        return "(empty)"
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def _summary(report: Report) -> list[str]:
    return [
        f"# Format audit: {report.verdict}",
        "",
        escape(f"{words.headline(report)} {words.remark(report)}"),
        "",
        f"Pattern-overfitting risk: **{words.number(report.risk.score)}** "
        f"({words.risk_bounds(report.risk)}), "
        f"{escape(report.risk.basis)}. {escape(words.predictions(report.risk))} "
        f"{escape(explanation.remainder(report))}",
        *(
            ["", escape(explanation.what_if(report.what_if_flagged))]
            if report.what_if_flagged
            else []
        ),
    ]


def _checks(report: Report) -> list[str]:
    rows = [
        [
            f"{words.SYMBOLS[finding.verdict]} {finding.verdict}{', near' * finding.near}",
            escape(finding.code),
            escape(finding.title),
            f"{words.number(finding.score)}",
            f"{words.number(finding.low)} to {words.number(finding.high)}",
            words.number(finding.warn_above),
            words.number(finding.fail_above),
            words.percent_or_dash(finding.flagged.share if finding.flagged else None),
            words.percent_or_dash(finding.risk_share),
        ]
        for finding in report.checks
    ]
    head = ["Verdict", "Check", "Finding", "Score", "95% interval", "Warn above", "Fail above"]
    return ["## Checks", "", *_table([*head, "Flagged", "Of the risk"], rows, right_from=3)]


def _explained(report: Report) -> list[str]:
    lines: list[str] = []
    for finding in explanation.worst_first(report.checks):
        if finding.verdict in ("warn", "fail"):
            lines += ["", *_finding(finding, report)]
    return ["## What it means and what to do", *lines] if lines else []


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    explained = explanation.explained(finding, report)
    said = (explained.effect, explained.what, explained.sure, explained.risk, explained.rows)
    yield f"- **{escape(finding.code)}**: {' '.join(escape(text) for text in said if text)}"
    for example in explained.examples:
        answer = code(example.answer, explanation.EXAMPLE_CHARACTERS)
        yield f"  - For instance {code(explanation.location(example))}: {answer}"
    for advice in explained.advice:
        yield f"  - **{escape(advice.action.capitalize())}**: {escape(advice.text)}"


def _templates(report: Report) -> list[str]:
    if not report.templates:
        return ["## Templates", "", "None found."]
    lines = ["## Templates", "", "`<*>` stands for words that differ from row to row."]
    for template in report.templates[: words.MOST_TEMPLATES]:
        lines += ["", *_template(template)]
    return [*lines, *_more(len(report.templates))]


def _allowed(report: Report) -> list[str]:
    if not report.allowed:
        return []
    lines = [f"- {code(words.allowed(one), words.PATTERN_CHARACTERS)}" for one in report.allowed]
    return ["## Allowed", "", "Taken out before anything was measured, and in no span.", "", *lines]


def _template(template: TemplateSummary) -> Iterator[str]:
    yield (
        f"- **{words.percent(template.share)}** of {words.templated_field(template)} "
        f"({words.count(template.records, 'record')}) "
        f"{code(words.named(template), words.PATTERN_CHARACTERS)}"
    )
    if template.variants:
        yield f"  - {words.kind(template)}"
    for variant in template.variants[: words.MOST_VARIANTS]:
        yield f"    - {words.percent(variant.share)} {code(variant.pattern)}"
    for example in template.examples[: words.MOST_EXAMPLES]:
        text = "".join(part.text for part in words.marked_parts(example))
        yield f"  - {code(text, words.EXAMPLE_CHARACTERS + 2)}"


def _more(count: int) -> list[str]:
    rest = count - words.MOST_TEMPLATES
    return ["", f"{rest:,} more in report.json."] if rest > 0 else []


def _groups(report: Report) -> list[str]:
    if report.groups is None:
        return []
    rows = [
        [
            code(words.group_name(group), 100),
            f"{group.records:,}",
            words.percent(group.flagged_share),
            escape(words.standing_out(group)),
        ]
        for group in report.groups.groups
    ]
    head = ["Group", "Records", "Flagged", "Above the corpus"]
    said = escape(words.grouped_by(report.groups))
    return ["## Groups", "", said, "", *_table(head, rows)]


def _fields(report: Report) -> list[str]:
    if not report.fields:
        return []
    said = [f"- **{each.name}**: {escape(words.field(each))}" for each in report.fields]
    return ["## Beside the answers", "", *said]


def _leakage(report: Report) -> list[str]:
    lines = sentences(report.leakage)
    return ["## Between the splits", "", *(f"- {escape(each)}" for each in lines)] if lines else []


def _observed(findings: Iterable[Finding]) -> list[str]:
    lines = [
        f"- {escape(finding.code)} {escape(finding.name)}, {escape(key)}: {_value(value)}"
        for finding in findings
        for key, value in finding.observed.items()
    ]
    return ["## Observed", "", *lines] if lines else []


def _data(report: Report) -> list[str]:
    dataset = report.dataset
    rows = [[code(file), code(dataset.schema.get(file, "not known"))] for file in dataset.files]
    return [
        "## Data",
        "",
        f"{words.count(dataset.records, 'record')}, {words.count(dataset.tokens, 'answer token')}, "
        f"{words.count(dataset.rejected, 'row')} rejected"
        + (" (see rejected.jsonl)." if dataset.rejected else "."),
        "",
        *_table(["File", "Read as"], rows),
        *(f"\n{escape(sentence)}" for sentence in losses_of(dataset.accounts)),
    ]


def _run(report: Report) -> list[str]:
    config = [[code(key), _value(value)] for key, value in report.config.items()]
    versions = ", ".join(f"{escape(k)} {escape(v)}" for k, v in report.versions.items())
    seconds = ", ".join(f"{escape(k)} {v:.1f}" for k, v in report.seconds.items())
    return [
        "## Run",
        "",
        *_table(["Option", "Value"], config),
        "",
        f"Versions: {versions}.",
        "",
        f"Seconds: {seconds}.",
    ]


def _value(value: Any) -> str:
    return code(words.value(value))


def _table(head: list[str], rows: list[list[str]], right_from: int | None = None) -> list[str]:
    last = len(head) if right_from is None else right_from
    rule = ["---" if column < last else "---:" for column in range(len(head))]
    # A table is cut into cells before code spans are seen, so a pipe inside one needs a backslash.
    escaped = [[re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells] for cells in rows]
    return [f"| {' | '.join(cells)} |" for cells in [head, rule, *escaped]]
