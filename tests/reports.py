"""Reports for the tests of what consumes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synflaw_audit.report.model import Dataset, Finding, Flagged, Report, Risk, TemplateSummary

# What a corpus may hold to break out of a page, a table, a terminal, or a reader's eyes.
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</title></svg><iframe src='//evil.example'>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "[red]bold[/red] [link=http://evil.example]x[/link]",
    "\x1b[2J\x1b]0;title\x07",
    "safe\u202egpj.exe\u2066",
    "nul\x00byte\x9b31m",
    "| a | b |\n|---|---|",
    "```\n# heading\n```",
    "`` ` ``",
    "![x](http://evil.example/x.png) @somebody",
    "a\\|b\\",
    "&lt;script&gt;",
)


def finding(code: str = "SF101", **changes: Any) -> Finding:
    default = Finding(
        code=code,
        name=f"check-{code.lower()}",
        title=f"Title of {code}",
        score=0.1,
        low=0.05,
        high=0.15,
        verdict="pass",
        warn_above=0.2,
        fail_above=0.4,
        records=1000,
        observed={},
    )
    return replace(default, **changes)


def report(**changes: Any) -> Report:
    default = Report(
        dataset=Dataset(("a.jsonl",), 1000, 2, {"a.jsonl": "question/answer"}, 50_000),
        verdict="pass",
        risk=Risk(0.1, 0.05, 0.2, "uncalibrated: weights chosen by hand"),
        checks=(finding("SF101"), finding("SF102")),
        templates=(TemplateSummary("A1", "The answer is <*>.", 0.5, 500, ("The answer is 42.",)),),
        flagged_summary=Flagged(0, 0.0),
        config={"seed": 0, "embedder": "lsa"},
        versions={"synflaw-audit": "0.1.0"},
        seconds={"read": 0.5, "total": 1.0},
    )
    return replace(default, **changes)


def hostile_report(text: str) -> Report:
    """A report with ``text`` wherever the data, a file name or a check can put one."""
    return report(
        dataset=Dataset((text,), 1000, 2, {text: text}, 50_000),
        verdict="fail",
        risk=Risk(0.1, 0.05, 0.2, text),
        checks=(
            finding(
                verdict="fail",
                name=text,
                title=text,
                observed={text: text, "list": [text], "table": [{text: text, "share": 0.5}]},
            ),
        ),
        templates=(TemplateSummary(text, f"{text} <*> {text}", 0.5, 500, (f"{text} x {text}",)),),
        config={text: text},
        versions={text: text},
        seconds={text: 1.0, "total": 1.0},
    )
