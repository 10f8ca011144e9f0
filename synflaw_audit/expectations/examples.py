"""Example cases in Great Expectations' form, which ``print_diagnostic_checklist`` runs.

The rows are of one format in every respect that a check looks at, so that of any check a lenient
limit passes and a strict one does not.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

_THINGS = (
    *("anvil", "basket", "candle", "drum", "engine", "fiddle", "garden", "hammer", "island"),
    *("jacket", "kettle", "lantern", "mirror", "needle", "oven", "parcel"),
)
_OCCASIONS = (
    *("in winter", "at sea", "for a child", "on a farm", "by night", "in a crowd", "after rain"),
    *("without tools", "in a hurry", "for music", "at school", "in a cave", "on a train"),
    *("before dawn", "with a friend", "under water"),
)


def cases(passing: dict[str, Any], failing: dict[str, Any]) -> list[dict[str, Any]]:
    """One data set with a case that passes and one that fails.

    Args:
        passing: The arguments of the expectation in the one.
        failing: Those in the other.
    """
    return [
        {
            "data": _rows(),
            "tests": [
                _case("within_the_limit", passing, success=True),
                _case("above_the_limit", failing, success=False),
            ],
        }
    ]


def _case(title: str, arguments: dict[str, Any], *, success: bool) -> dict[str, Any]:
    return {
        "title": title,
        "exact_match_out": False,
        "include_in_gallery": True,
        "in": arguments,
        "out": {"success": success},
    }


@cache
def _rows() -> dict[str, list[str]]:
    """256 rows; the last answers its question in the words of the first."""
    pairs = list(product(_THINGS, _OCCASIONS))
    answers = [
        f"**Answer:** Yes, you can use the {thing} {occasion}, so keep it close.\n\n"
        f"**Explanation:** It is important to note that the {thing} serves best {occasion}. "
        "I hope this helps!"
        for thing, occasion in pairs
    ]
    return {
        "question": [f"How well can you use the {thing} {when}?" for thing, when in pairs],
        "answer": [*answers[:-1], answers[0]],
    }
