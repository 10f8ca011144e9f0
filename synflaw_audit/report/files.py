"""A report as the files that stand beside the rows it speaks of."""

from __future__ import annotations

from pathlib import Path

from synflaw_audit.findings.report import Report
from synflaw_audit.outputs.names import REPORT_FILES
from synflaw_audit.report.html import render as render_html
from synflaw_audit.report.markdown import render as render_markdown


def write_reports(report: Report, folder: Path) -> None:
    """Writes ``report.json``, ``report.md`` and ``report.html`` into a folder."""
    texts = (report.to_json(), render_markdown(report), render_html(report))
    for name, text in zip(REPORT_FILES, texts, strict=True):
        (folder / name).write_text(text, encoding="utf-8")
