"""Audit synthetic question-answer corpora for format uniformity; repair models damaged by it.

A corpus is read as records (``reading``), summarised in one pass (``sample``), scored by the
measures (``measures``) and judged by the checks (``verdicts``); a second pass flags the rows and
words that carry the format (``flagging``). An engine (``engines``) runs both passes, ``run``
orders them, and the report (``findings``) is what the gate, the expectations and the repair work
from.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synflaw_audit.findings.report import Report
    from synflaw_audit.run import audit

__all__ = ["Report", "audit"]
__version__ = "0.1.0"

_HOMES = {"Report": "synflaw_audit.findings.report", "audit": "synflaw_audit.run"}


def __getattr__(name: str) -> Any:
    """The public names, imported when first asked for: ``synflaw --help`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
