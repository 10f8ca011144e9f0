"""The columns that are named reach the reference too, where it has them."""

from __future__ import annotations

import pandas as pd
import pytest

from synflaw_audit import audit
from synflaw_audit.errors import InputError
from synflaw_audit.verdicts.catalogue import find_check, load_checks

CHECK = [find_check(load_checks(), "SF102")]
ASKED = [f"What is the number {n} good for?" for n in range(60)]
SAID = [f"Certainly, that is good for {n} things of which few are known." for n in range(60)]
OTHER = [f"{chr(97 + n % 26)}{chr(97 + n // 26)} it is, as far as is known." for n in range(60)]


def scored(reference: pd.DataFrame, **columns: str) -> float:
    rows = pd.DataFrame({"ask": ASKED, "say": SAID, "note": OTHER})
    report = audit(rows, reference=reference, checks=CHECK, question="ask", answer="say", **columns)
    return float(report.checks[0].observed["reference"]["score"])


def test_the_reference_is_read_by_the_same_columns() -> None:
    same = pd.DataFrame({"ask": ASKED, "say": SAID, "question": ASKED, "answer": OTHER})
    assert scored(same) == pytest.approx(1)


def test_a_reference_without_them_is_understood_by_itself() -> None:
    assert scored(pd.DataFrame({"question": ASKED, "answer": SAID})) == pytest.approx(1)


def test_others_can_be_named_for_it() -> None:
    both = pd.DataFrame({"ask": ASKED, "say": SAID, "q": ASKED, "a": OTHER})
    named = scored(both, reference_question="q", reference_answer="a")
    assert named < 0.3
    with pytest.raises(InputError, match="nowhere"):
        scored(both, reference_question="q", reference_answer="nowhere")
