import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import corpus_of

from synflaw_audit.measures.near_duplicates import SHINGLE, NearDuplicateShare, clusters
from synflaw_audit.text.tokens import tokenize

WORDS = [f"w{number}" for number in range(2000)]


def jaccard(one: str, other: str) -> float:
    """The definition, on words framed by the row's begin and end."""
    sets = []
    for text in (one, other):
        words = ["<", *text.split(), ">"]
        last = max(len(words) - SHINGLE + 1, 1)
        sets.append({tuple(words[at : at + SHINGLE]) for at in range(last)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def texts_with_copies(seed: int) -> list[str]:
    """Texts of 4 to 60 words, half of them made of an earlier one with a few words exchanged."""
    rng = np.random.default_rng(seed)
    texts: list[list[str]] = []
    for number in range(60):
        if number % 2 and texts:
            words = list(texts[rng.integers(len(texts))])
            for _ in range(int(rng.integers(0, 4))):
                words[rng.integers(len(words))] = str(rng.choice(WORDS))
        else:
            words = [str(word) for word in rng.choice(WORDS, int(rng.integers(4, 60)))]
        texts.append(words)
    return [" ".join(words) for words in texts]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.7, 0.8, 0.95]))
def test_groups_hold_no_row_that_resembles_none_of_the_others(seed: int, similarity: float) -> None:
    texts = texts_with_copies(seed)
    group = clusters(tokenize(pa.array(texts)), similarity)
    for row, text in enumerate(texts):
        others = [o for o in np.flatnonzero(group == group[row]) if o != row]
        if others:
            assert max(jaccard(text, texts[other]) for other in others) >= similarity


def test_nearly_all_pairs_of_true_near_duplicates_are_found() -> None:
    missed = found = 0
    for seed in range(10):
        texts = texts_with_copies(seed)
        group = clusters(tokenize(pa.array(texts)), 0.8)
        for one in range(len(texts)):
            for other in range(one):
                if jaccard(texts[one], texts[other]) >= 0.8:
                    same = group[one] == group[other]
                    found, missed = found + same, missed + (not same)
    assert found > 100
    assert missed <= 0.01 * found


def test_the_share_is_that_of_a_draw_whatever_the_number_of_rows() -> None:
    rng = np.random.default_rng(0)
    free = [" ".join(rng.choice(WORDS, 20)) for _ in range(6000)]
    canned = [" ".join(rng.choice(WORDS, 20)) for _ in range(20)]
    answers = [
        f"{canned[rng.integers(20)]} {number}" if number % 4 == 0 else text
        for number, text in enumerate(free)
    ]
    scores = [NearDuplicateShare().score(corpus_of(answers[:n])).value for n in (6000, 3000, 1000)]
    # A canned answer takes 1 in 80 rows, so it is nearly certain to come twice in 500.
    assert scores == pytest.approx([0.25] * 3, abs=0.01)


def test_pairs_count_for_less_in_a_small_draw() -> None:
    answers = [f"{a} is written twice in this corpus of many rows" for a in range(2000)]
    pairs = corpus_of([*answers, *answers], [f"q{number}" for number in range(4000)])
    assert NearDuplicateShare(similarity=1.0).score(pairs).value == pytest.approx(499 / 3999)


def test_labels_are_no_duplicates() -> None:
    assert NearDuplicateShare().score(corpus_of(["yes", "no"] * 200)).value == 0


@pytest.mark.parametrize("params", [{"similarity": 0.3}, {"draw": 1}])
def test_parameters_out_of_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        NearDuplicateShare(**params)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_rows_find_each_other_whoever_stands_before_them_in_their_bucket(seed: int) -> None:
    # Variants of one text, of which many are alike in pairs and unlike most of the others.
    rng = np.random.default_rng(seed)
    base = [str(word) for word in rng.choice(WORDS, 40)]
    texts = []
    for _ in range(120):
        words = list(base)
        for _ in range(int(rng.integers(0, 4))):
            words[rng.integers(len(words))] = str(rng.choice(WORDS))
        texts.append(" ".join(words))
    group = clusters(tokenize(pa.array(texts)), 0.8)
    alike = [
        (one, other)
        for one in range(len(texts))
        for other in range(one)
        if jaccard(texts[one], texts[other]) >= 0.8
    ]
    assert len(alike) > 200
    assert sum(group[one] != group[other] for one, other in alike) <= 0.001 * len(alike)
