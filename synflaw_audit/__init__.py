"""Audit synthetic question-answer corpora for format uniformity; repair models damaged by it.

A corpus is read as records (``readers``), summarised in one pass (``sketch``), scored by the
measures (``measures``) and judged by the checks (``catalogue``, ``audit``); a second pass flags
the rows and words that carry the format (``flags``). The report (``report``) is what the gate,
the expectations and the repair work from.
"""

from __future__ import annotations

from synflaw_audit.audit import audit
from synflaw_audit.findings.report import Report

__all__ = ["Report", "audit"]
__version__ = "0.1.0"
