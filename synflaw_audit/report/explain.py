"""On a terminal: the checks and the page of one, from its TOML alone; and a report's findings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from synflaw_audit import strict_toml
from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import Advice
from synflaw_audit.findings.report import ExampleRow, Finding, Report
from synflaw_audit.report import explanation, words
from synflaw_audit.report.terminal import verdict_line, verdict_text
from synflaw_audit.untrusted import visible
from synflaw_audit.verdicts.catalogue import Check, CheckExample, Evidence

MOST_ROWS = 3


def listing(checks: Iterable[Check]) -> RenderableType:
    """One line for each check."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("code", "name", "status", "warn/fail"):
        table.add_column(column, no_wrap=True)
    table.add_column("finding", ratio=1)
    for check in checks:
        thresholds = f"{words.number(check.warn_above)}/{words.number(check.fail_above)}"
        status = check.status if check.default else f"{check.status}, off"
        cells = (check.code, check.name, status, thresholds, check.title)
        table.add_row(*(Text(words.one_line(cell)) for cell in cells))
    return table


def page(check: Check) -> RenderableType:
    """Everything about one check."""
    params = ", ".join(f"{key} = {words.value(value)}" for key, value in check.params.items())
    judged = (
        f"Warns above {check.warn_above:g}, fails above {check.fail_above:g}; "
        f"undecided below {check.min_records:,} records. "
        f"Measure {check.measure}" + (f" with {params}" if params else "") + f". "
        f"{check.status.capitalize()}, since {check.since}."
        + ("" if check.default else " Off by default: `--select`, or a policy's `enabled = true`.")
    )
    parts: list[RenderableType] = [
        Text(f"{check.code} {check.name}", style="bold"),
        _text(check.title),
        *_section("What it does to a model", [_text(check.why)]),
        *_section("What to do", [_advice(one) for one in check.advice]),
        *_section("How it is judged", [_text(judged)]),
        *_section("Known false positives", _false_positives(check)),
        *_section("How we know", [_evidence(one) for one in check.evidence]),
        *_section("Examples", [_example(one) for one in check.examples]),
    ]
    return Group(*parts)


def read_report(path: Path) -> Report:
    """The report in a file, or in ``report.json`` in a directory.

    Raises:
        InputError: There is none; the message names the file.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        return Report.from_json(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{file}: there is no such report; `synflaw audit` writes one") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def find_finding(report: Report, wanted: str) -> Finding:
    """The finding of the check with this code or name, whatever the case.

    Raises:
        InputError: There is none; the message names the nearest and all.
    """
    for finding in report.checks:
        if wanted.lower() in (finding.code.lower(), finding.name.lower()):
            return finding
    known = [label for finding in report.checks for label in (finding.code, finding.name)]
    raise InputError(strict_toml.unknown("check in this report", wanted, known))


def finding_page(finding: Finding, report: Report) -> RenderableType:
    """One finding of a report: what, how sure, which rows, what it does, what to do, the risk."""
    explained = explanation.explained(finding, report)
    head = verdict_text(finding.verdict)
    head.append(f"  {words.one_line(f'{finding.code} {finding.name}')}", style="default bold")
    parts: list[RenderableType] = [
        head,
        _text(finding.title),
        *_section("What", [_text(explained.what)]),
        *_section("How sure", [_text(explained.sure)]),
        *_section("Which rows", [_text(explained.rows), *map(_row, explained.examples)]),
        *_section("What it does to a model", [_text(explained.effect)] if explained.effect else []),
        *_section("What to do", [_advice(one) for one in explained.advice]),
        *_section("Share of the risk", [_text(explained.risk)]),
    ]
    return Group(*parts)


def findings_page(report: Report) -> RenderableType:
    """Every finding of a report that did not pass, the worst first."""
    parts: list[RenderableType] = [verdict_line(report), _text(explanation.remainder(report))]
    for finding in explanation.worst_first(report.checks):
        if finding.verdict != "pass":
            parts += [Text(), finding_page(finding, report)]
    return Group(*parts)


def _section(title: str, content: list[RenderableType]) -> list[RenderableType]:
    if not content:
        return []
    return [Text(), Text(title, style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in content)]


def _false_positives(check: Check) -> list[RenderableType]:
    """The kinds of corpora that the check finds although their form may be intended."""
    if not check.known_false_positives:
        return []
    named = ", ".join(f"{kind} ({v}s)" for kind, v in sorted(check.known_false_positives.items()))
    return [_text(f"{named}. Where the form is intended, a policy can say so.")]


def _advice(advice: Advice) -> RenderableType:
    text = Text(f"{words.one_line(advice.action).capitalize()}: ", style="bold")
    return Text.assemble(text, _text(advice.text))


def _row(example: ExampleRow) -> RenderableType:
    line = Text(f"{words.one_line(explanation.location(example))}: ", style="dim")
    for part in words.marked_parts(example.marked, explanation.EXAMPLE_CHARACTERS):
        style = "bold" if part.kind == "format" else "not dim"
        line.append(" ".join(part.text.split("\n")), style=style)
    return line


def _evidence(evidence: Evidence) -> RenderableType:
    reproduced = f"reproduced in {evidence.where}" if evidence.reproduced else "not reproduced here"
    text = _text(evidence.claim)
    text.append(f" ({words.one_line(evidence.source, 400)}; {reproduced})", style="dim")
    return text


def _example(example: CheckExample) -> RenderableType:
    head = verdict_text(example.expect)
    note = words.one_line(example.note, 400)
    head.append(f"  {note}" if note else "", style="default not bold")
    rows: list[RenderableType] = []
    for row in example.rows[:MOST_ROWS]:
        rows.append(Text(f"Q: {words.one_line(row.question, 120)}", style="dim"))
        rows.append(Text(f"A: {words.one_line(row.answer, 160)}"))
    rest = len(example.rows) - MOST_ROWS
    if rest > 0:
        rows.append(Text(f"and {rest} more", style="dim"))
    return Group(head, *(Padding(row, (0, 0, 0, 2)) for row in rows))


def _text(text: str) -> Text:
    """A paragraph: its lines in the file are not lines on the terminal."""
    paragraphs = visible(text.strip()).split("\n\n")
    return Text("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))
