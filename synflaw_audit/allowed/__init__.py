"""Formats that are intended: taken out of the answers before anything looks at them."""

from __future__ import annotations

from synflaw_audit.allowed.formats import KINDS, Allow
from synflaw_audit.allowed.stripping import Allowances, Remainder, Stripped

__all__ = ["KINDS", "Allow", "Allowances", "Remainder", "Stripped"]
