"""Findings as people and programs read them: terminal, JSON, Markdown, one HTML page."""

from __future__ import annotations

from synflaw_audit.report.model import (
    SCHEMA_VERSION,
    Dataset,
    ExampleRow,
    Finding,
    Flagged,
    Implicated,
    Picture,
    Report,
    Risk,
    TemplateSummary,
    Verdict,
    WhatIf,
)

__all__ = [
    "SCHEMA_VERSION",
    "Dataset",
    "ExampleRow",
    "Finding",
    "Flagged",
    "Implicated",
    "Picture",
    "Report",
    "Risk",
    "TemplateSummary",
    "Verdict",
    "WhatIf",
]
