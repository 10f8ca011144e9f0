"""Flagged rows said anew, and proven row by row: content kept, format gone, nothing invented.

``generators`` propose (rules, a model, an endpoint), ``prompts`` say what a model is asked,
``judges`` decide, ``strategy`` makes it a strategy of ``synflaw fix``.
"""

from __future__ import annotations

from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.mixture import Mixture, WantedForm
from synflaw_audit.rewriting.settings import RewriteSettings
from synflaw_audit.rewriting.strategy import Rewrite

__all__ = ["Mixture", "Rewrite", "RewriteRow", "RewriteSettings", "Rewriter", "WantedForm"]
