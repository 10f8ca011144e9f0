"""The pages that are made and not written: one a check, from its TOML file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

from synflaw_audit.verdicts.catalogue import Check, CheckExample, load_checks


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page a check, and the list of them."""
    checks = load_checks()
    files.append(File.generated(config, "checks/index.md", content="\n".join(_index(checks))))
    for check in checks:
        name = f"checks/{check.name}.md"
        files.append(
            File.generated(
                config, name, content="\n\n".join(_page(check)), inclusion=InclusionLevel.NOT_IN_NAV
            )
        )
    return files


def _index(checks: tuple[Check, ...]) -> Iterator[str]:
    yield "# Checks\n"
    yield (
        "A check is policy: which measure, above which score it warns and fails, what that does to "
        "a model, and how we know. It is a TOML file, read strictly; its examples run as tests. An "
        "*experimental* check only warns, until a measurement that we reproduced sets its limits.\n"
    )
    yield "| code | check | finds | warns above | fails above | status |"
    yield "|---|---|---|---|---|---|"
    for check in checks:
        status = check.status if check.default else f"{check.status}, only when asked for"
        yield (
            f"| {check.code} | [{check.name}]({check.name}.md) | {escape(check.title)} "
            f"| {check.warn_above} | {check.fail_above} | {status} |"
        )


def _page(check: Check) -> Iterator[str]:
    yield f"# {check.code} {check.name}"
    yield f"**{escape(check.title)}.** {escape(check.why.strip())}"
    yield "## What to do"
    yield "\n".join(f"- **{one.action}**: {escape(one.text)}" for one in check.advice)
    yield "## How it is judged"
    yield (
        f"By the measure `{check.measure}`. Its score, from 0 to 1, warns above "
        f"{check.warn_above} and fails above {check.fail_above}, from {check.min_records} records "
        f"on. The check is {check.status}, since {check.since}."
    )
    if check.known_false_positives:
        yield "## Known false positives"
        found = ", ".join(f"{kind} ({verdict})" for kind, verdict in _kinds(check))
        yield (
            f"On a corpus that is all of one kind: {found}. Where that is intended, "
            "[allow it](../tasks/policy.md#a-format-that-is-intended)."
        )
    yield "## How we know"
    yield "\n".join(
        f"- {escape(one.claim)} ({escape(one.source)}"
        + (f"; measured again in `{one.where}`)." if one.reproduced else ").")
        for one in check.evidence
    )
    yield "## Examples"
    for example in check.examples:
        yield from _example(example)


def _kinds(check: Check) -> list[tuple[str, str]]:
    return sorted(check.known_false_positives.items())


def _example(example: CheckExample) -> Iterator[str]:
    yield f"### {example.expect}: {escape(example.note)}"
    lines = ["| question | answer |", "|---|---|"]
    for row in example.rows[:4]:
        lines.append(f"| {_cell(row.question)} | {_marked(row.answer, row.format)} |")
    if len(example.rows) > 4:
        lines.append(f"| and {len(example.rows) - 4} more | |")
    yield "\n".join(lines)


def _cell(text: str) -> str:
    return escape(text).replace("|", "&#124;").replace("\n", "<br>").replace("`", "&#96;")


def _marked(text: str, words: tuple[str, ...]) -> str:
    """The answer as a cell, what is format in it marked."""
    shown, place = "", 0
    for word in words:
        start = text.index(word, place)
        shown += _cell(text[place:start]) + f"<mark>{_cell(word)}</mark>"
        place = start + len(word)
    return shown + _cell(text[place:])
