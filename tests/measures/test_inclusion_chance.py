from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.measures.base import inclusion_chance


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 50))
def test_the_chance_is_the_hypergeometric_one(alike: int, others: int, drawn: int) -> None:
    alike, drawn_really = min(alike, others), min(drawn, others)
    missed = comb(others - alike, drawn_really) / comb(others, drawn_really)
    assert inclusion_chance(np.array([alike]), others, drawn)[0] == pytest.approx(
        1 - missed, abs=1e-9
    )
