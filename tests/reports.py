"""Reports for the tests of what consumes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synflaw_audit.findings.accounts import Accounts, FileAccount, Skipped
from synflaw_audit.findings.finding import Advice
from synflaw_audit.findings.report import (
    AllowedFormat,
    Dataset,
    ExampleRow,
    Finding,
    Flagged,
    Implicated,
    MarkedText,
    Report,
    Risk,
    ScatterPlot,
    TemplateSummary,
    Variant,
    WhatIf,
)

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
        rows=900,
        flagged=Implicated(
            120, 0.12, (ExampleRow("a.jsonl", 3, 0, "The answer is 42.", ((0, 14),)),)
        ),
        risk_share=0.25,
        why="It teaches this.",
        advice=(Advice("rewrite", "Say it otherwise."), Advice("cap", "Keep some.")),
        status="stable",
    )
    return replace(default, **changes)


def what_if(**changes: Any) -> WhatIf:
    default = WhatIf(
        drop=("check-sf101",),
        records=880,
        dropped=120,
        risk=Risk(0.05, 0.01, 0.1, "calibrated"),
        before=Risk(0.1, 0.05, 0.2, "calibrated"),
        verdict="pass",
        checks=(finding(flagged=None, risk_share=None),),
    )
    return replace(default, **changes)


def report(**changes: Any) -> Report:
    default = Report(
        dataset=Dataset(
            ("a.jsonl",),
            1000,
            2,
            {"a.jsonl": "question/answer"},
            50_000,
            Accounts((FileAccount("a.jsonl", 1002, 1000, 2, 2),)),
            1000,
        ),
        verdict="pass",
        risk=Risk(0.1, 0.05, 0.2, "uncalibrated: weights chosen by hand"),
        checks=(finding("SF101"), finding("SF102")),
        templates=(
            TemplateSummary(
                "A1",
                "The answer is <*>",
                0.5,
                500,
                (MarkedText("The answer is 42.", ((0, 14),)),),
                "family",
                (Variant("The answer is <*>", 0.4, 400), Variant("Thus <*>", 0.1, 100)),
            ),
        ),
        flagged_summary=Flagged(0, 0.0),
        allowed=(AllowedFormat("Answer: <*>", "Read by the application.", 10, 0.01),),
        config={"seed": 0, "embedder": "lsa"},
        versions={"synflaw-audit": "0.1.0"},
        seconds={"read": 0.5, "total": 1.0},
        picture=ScatterPlot("0,500 20,480", "1000,510"),
        what_if_flagged=what_if(),
    )
    return replace(default, **changes)


def hostile_report(text: str) -> Report:
    """A report with ``text`` wherever the data, a file name or a check can put one."""
    return report(
        dataset=Dataset(
            (text,),
            1000,
            2,
            {text: text},
            50_000,
            Accounts(
                (FileAccount(text, 1002, 1000, 2, 2, 1, False, (text,), (text,)),),
                (Skipped(text, text),),
            ),
        ),
        verdict="fail",
        risk=Risk(0.1, 0.05, 0.2, text),
        checks=(
            finding(
                verdict="fail",
                name=text,
                title=text,
                observed={text: text, "list": [text], "table": [{text: text, "share": 0.5}]},
                flagged=Implicated(120, 0.12, (ExampleRow(text, 3, 1, text, ((0, 1),)),)),
                why=text,
                advice=(Advice("rewrite", text),),
            ),
        ),
        templates=(
            TemplateSummary(
                text,
                f"{text} <*> {text}",
                0.5,
                500,
                (MarkedText(f"{text} x {text}", ((0, len(text)),)),),
                "family",
                (Variant(text, 0.5, 500),),
            ),
        ),
        allowed=(AllowedFormat(text, text, 10, 0.01),),
        config={text: text},
        versions={text: text},
        seconds={text: 1.0, "total": 1.0},
        what_if_flagged=what_if(drop=(text,), checks=(finding(name=text, verdict="fail"),)),
    )
