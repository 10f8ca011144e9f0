"""A report on a terminal: what matters, in one screen where that is possible."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synflaw_audit.findings.groups import Groups
from synflaw_audit.findings.leakage import sentences
from synflaw_audit.findings.losses import losses_of
from synflaw_audit.findings.report import AllowedFormat, Finding, Report, TemplateSummary, Verdict
from synflaw_audit.report import explanation, words
from synflaw_audit.untrusted import visible

STYLES: dict[Verdict, str] = {
    "pass": "green",
    "warn": "yellow",
    "fail": "bold red",
    "undecided": "cyan",
}

MOST_TEMPLATES = 5
MOST_GROUPS = 12
MOST_VARIANTS = 3


def show(report: Report, console: Console) -> None:
    """Print the report. Everything from the data goes through ``Text``, which obeys no markup."""
    console.print(render(report))


def render(report: Report) -> RenderableType:
    """The report as a rich renderable."""
    parts: list[RenderableType] = [verdict_line(report), Text(), _checks(report.checks)]
    raised = explanation.worst_first(f for f in report.checks if f.verdict in ("warn", "fail"))
    if raised:
        parts += [Text(), _to_do(raised)]
    if report.templates:
        parts += [Text(), _templates(report.templates)]
    if report.groups is not None:
        parts += [Text(), _groups(report.groups)]
    if report.fields:
        parts.append(Text())
    for each in report.fields:
        said = words.one_line(words.field(each), 600)
        parts.append(Text.assemble((f"{each.name}  ", STYLES[each.verdict]), said))
    lines = sentences(report.leakage)
    parts += [Text() for _ in lines[:1]]
    parts += [Text(words.one_line(sentence, 600)) for sentence in lines]
    if report.allowed:
        parts += [Text(), *(Text(f"allowed  {_allowed(one)}") for one in report.allowed)]
    losses = list(losses_of(report.dataset.accounts))
    parts += [Text() for _ in losses[:1]]
    parts += [Text(words.one_line(sentence, 2000), style="yellow") for sentence in losses]
    return Group(*parts)


def verdict_text(verdict: Verdict) -> Text:
    """The verdict with its symbol and colour."""
    return Text(f"{words.SYMBOLS[verdict]} {verdict}", style=STYLES[verdict])


def verdict_line(report: Report) -> RenderableType:
    """The verdict in a sentence, and the risk."""
    line = verdict_text(report.verdict)
    line.append(f"  {words.headline(report)}", style="default not bold")
    line.append(f" {words.remark(report)}".rstrip(), style="default not bold")
    risk = Text("risk ", style="dim")
    risk.append(visible(words.risk_words(report)), style="default")
    parts = [line, risk]
    if report.what_if_flagged is not None:
        parts.append(Text(visible(explanation.what_if(report.what_if_flagged))))
    return Group(*parts)


def _checks(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("verdict", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("finding", ratio=1)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("warn/fail", no_wrap=True)
    for finding in findings:
        table.add_row(
            verdict_text(finding.verdict).append(" near" if finding.near else "", style="dim"),
            Text(finding.code),
            Text(words.one_line(finding.title)),
            Text(words.number(finding.score)),
            Text(f"{words.number(finding.low)}-{words.number(finding.high)}", style="dim"),
            Text(
                f"{words.number(finding.warn_above)}/{words.number(finding.fail_above)}",
                style="dim",
            ),
        )
    return table


def _to_do(findings: list[Finding]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("check", no_wrap=True)
    table.add_column("flagged", justify="right", no_wrap=True)
    table.add_column("of the risk", justify="right", no_wrap=True)
    table.add_column("what to do", ratio=1)
    for finding in findings:
        actions = ", ".join(advice.action for advice in finding.advice)
        table.add_row(
            Text(finding.code),
            Text(words.percent_or_dash(finding.flagged.share if finding.flagged else None)),
            Text(words.percent_or_dash(finding.risk_share)),
            Text(words.one_line(actions)),
        )
    return table


def _templates(templates: tuple[TemplateSummary, ...]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("template", ratio=1)
    for template in templates[:MOST_TEMPLATES]:
        of = Text(words.templated_field(template), style="dim")
        family = Text("a family: ", style="dim") if template.kind == "family" else Text()
        pattern = Text.assemble(family, _pattern(words.named(template)))
        table.add_row(Text(words.percent(template.share)), of, pattern)
        for variant in template.variants[:MOST_VARIANTS]:
            share = Text(words.percent(variant.share), style="dim")
            table.add_row(share, Text(), Text.assemble("  ", _pattern(variant.pattern)))
    rest = len(templates) - MOST_TEMPLATES
    return Group(table, Text(f"and {rest:,} more", style="dim")) if rest > 0 else table


def _groups(groups: Groups) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(words.one_line(f"by {groups.by}", 40), max_width=40)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("flagged", justify="right", no_wrap=True)
    table.add_column("above the corpus", ratio=1)
    for group in groups.groups[:MOST_GROUPS]:
        table.add_row(
            Text(words.one_line(words.group_name(group), 80)),
            Text(f"{group.records:,}"),
            Text(words.percent(group.flagged_share)),
            Text(words.one_line(", ".join(group.standing_out) or "none")),
        )
    rest = len(groups.groups) - MOST_GROUPS
    more = [Text(f"and {rest:,} more", style="dim")] if rest > 0 else []
    return Group(table, *more, Text(words.one_line(words.grouped_by(groups), 600), style="dim"))


def _pattern(pattern: str) -> Text:
    text = Text()
    for part in words.pattern_parts(words.one_line(pattern, 240)):
        text.append(part.text, style="dim" if part.kind == "slot" else "bold")
    return text


def _allowed(one: AllowedFormat) -> str:
    return words.one_line(words.allowed(one), 400)
