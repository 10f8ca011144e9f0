"""Findings as people and programs read them: terminal, JSON, Markdown, one HTML page."""

from __future__ import annotations

from synflaw_audit.report.model import (
    SCHEMA_VERSION,
    Dataset,
    Finding,
    Flagged,
    Report,
    Risk,
    TemplateSummary,
    Verdict,
)

__all__ = [
    "SCHEMA_VERSION",
    "Dataset",
    "Finding",
    "Flagged",
    "Report",
    "Risk",
    "TemplateSummary",
    "Verdict",
]
