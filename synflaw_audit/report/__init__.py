"""Findings as people read them: terminal, Markdown, one HTML page."""

from __future__ import annotations

from synflaw_audit.report.files import write_reports
from synflaw_audit.report.html import render as render_html
from synflaw_audit.report.markdown import render as render_markdown

__all__ = ["render_html", "render_markdown", "write_reports"]
