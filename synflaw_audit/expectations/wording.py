"""Row conditions and suite parameters in words, for Data Docs, manifests and messages."""

from __future__ import annotations

import json
from typing import Any

from synflaw_audit.expectations.compat import Condition, deserialize_row_condition

_WORDS = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "IN": "is one of",
    "NOT_IN": "is none of",
}


def condition_in_words(condition: Any) -> str:
    """A row condition, as it was given or as it was stored; "" if there is none."""
    if not condition:
        return ""
    found = deserialize_row_condition(condition)
    return _said(found.dict()) if isinstance(found, Condition) else str(found)


def limit_in_words(value: Any) -> Any:
    """A limit; of one that a suite parameter gives, which."""
    if isinstance(value, dict) and "$PARAMETER" in value:
        return f"the parameter {value['$PARAMETER']}"
    return value


def _said(condition: dict[str, Any]) -> str:
    kind = condition["type"]
    if kind in ("and", "or"):
        parts = [_said(_plain(part)) for part in condition["conditions"]]
        joined = f" {kind} ".join(parts)
        return f"({joined})" if kind == "or" and len(parts) > 1 else joined
    if kind == "pass_through":
        return str(condition["pass_through_filter"])
    name = condition["column"]["name"]
    if kind == "nullity":
        return f"{name} is {'missing' if condition['is_null'] else 'not missing'}"
    operator = getattr(condition["operator"], "value", condition["operator"])
    value = condition["parameter"]
    if isinstance(value, list | tuple | set):
        shown = ", ".join(_value(one) for one in value)
    else:
        shown = _value(value)
    return f"{name} {_WORDS.get(str(operator), operator)} {shown}"


def _plain(part: Any) -> dict[str, Any]:
    found: dict[str, Any] = part if isinstance(part, dict) else part.dict()
    return found


def _value(value: Any) -> str:
    return json.dumps(limit_in_words(value), ensure_ascii=False, default=str)
