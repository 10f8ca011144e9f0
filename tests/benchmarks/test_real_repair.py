from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from real_repair import EMISSION, PERPLEXITY, Format, mixed, perplexity, table  # noqa: E402

OPENING = "Based on your symptoms, "


def flagged(answers: list[tuple[str, int]]) -> pd.DataFrame:
    """Answers whose first so many characters are format."""
    return pd.DataFrame(
        {
            "answer": [answer for answer, _ in answers],
            "template_spans": [[{"start": 0, "end": end}] for _, end in answers],
        }
    )


def test_a_format_is_known_by_its_opening_and_its_wordings() -> None:
    rows = [(f"{OPENING}it is {i}.", len(OPENING)) for i in range(150)]
    found = Format(flagged([*rows, *[("A: so.", 2)] * 10, ("Well now then.", 14)]))
    assert found.stands_in("based on your symptoms, you are ill", "What is it?")
    assert found.stands_in("I say, based on your symptoms, no.", "What is it?")
    assert not found.stands_in("I say, based on your symptoms, no.", "Say: based on your symptoms,")
    assert found.stands_in("A: two", "What is it?")  # brief, but how answers open
    assert not found.stands_in("Say A: two", "What is it?")
    assert not found.stands_in("Based on your symptom", "What is it?")  # whole words only
    assert not found.stands_in("Well now then.", "What is it?")  # of one row in a hundred


def test_windows_are_mixed_in_proportion() -> None:
    def endless(value: int) -> Iterator[list[int]]:
        while True:
            yield [value]

    drawn = mixed(endless(1), endless(0), 0.25, seed=0)
    share = sum(next(drawn)[0] for _ in range(4000)) / 4000
    assert share == pytest.approx(0.25, abs=0.03)


def test_perplexity_is_that_of_the_next_token() -> None:
    class Uniform(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, tokens: torch.Tensor) -> Any:
            logits = torch.zeros(*tokens.shape, 50)
            return type("Out", (), {"logits": logits})()

    assert perplexity(Uniform(), torch.randint(50, (20, 9))) == pytest.approx(50)


def run(seed: int, emission: float, rise: float) -> dict[str, Any]:
    def figures(emitted: float, perplexity: float) -> dict[str, float]:
        return {EMISSION: emitted, PERPLEXITY: perplexity}

    return {
        **{"corpus": "c", "rows": 9, "flagged": 5, "verdict": "fail", "seed": seed},
        **{"repair_tokens": 5, "training_tokens": 100, "used": {"flagged": 5}},
        **{"improved": True, "reasons": [], "seconds": 60.0},
        "stages": {"damaged": figures(0.8, 100.0), "repaired": figures(emission, 100 * rise)},
    }


def test_the_table_says_whether_the_aims_were_reached() -> None:
    shown = table([run(0, 0.04, 1.01), run(1, 0.2, 1.05)])
    assert "emission -95% (aim -90%: reached), plain-text perplexity +1.0%" in shown
    assert "emission -75% (aim -90%: missed), plain-text perplexity +5.0%" in shown
    assert "| repaired | 12.0% ± 11.3% |" in shown
