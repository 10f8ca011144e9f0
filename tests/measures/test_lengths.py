import numpy as np
import pytest
from measured import corpus_of

from synflaw_audit.measures.lengths import LengthUniformity


def drawn(lengths: list[int]) -> list[str]:
    """A text of each length in characters, all of them different."""
    return [f"{number:08d} w ".ljust(length, "x") for number, length in enumerate(lengths)]


def test_the_score_is_the_share_of_pairs_of_near_lengths() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(40, 400, 300).tolist()
    pairs = [
        max(one, other) <= 1.05 * min(one, other)
        for at, one in enumerate(lengths)
        for other in lengths[:at]
    ]
    assert LengthUniformity().score(corpus_of(drawn(lengths))).value == pytest.approx(
        np.mean(pairs)
    )


def test_neither_scale_nor_number_matters() -> None:
    rng = np.random.default_rng(1)
    lengths = np.exp(rng.normal(6, 0.5, 3000))
    whole, half, long = (
        LengthUniformity().score(corpus_of(drawn(chosen.astype(int).tolist()))).value
        for chosen in (lengths, lengths[::2], lengths * 5)
    )
    assert half == pytest.approx(whole, abs=0.005)
    assert long == pytest.approx(whole, abs=0.005)


def test_one_length_is_uniform_and_one_row_or_labels_are_not() -> None:
    assert LengthUniformity().score(corpus_of(drawn([80] * 100))).value == 1
    assert LengthUniformity().score(corpus_of(["yes", "no"] * 50)).value == 0
    one = LengthUniformity().score(corpus_of(["I am afraid that I cannot answer that."]))
    assert one.value == 0


def test_a_reach_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="within"):
        LengthUniformity(within=0)
