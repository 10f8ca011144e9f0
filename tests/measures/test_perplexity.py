from collections import Counter
from dataclasses import replace
from math import log2
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from measured import corpus_of

from synflaw_audit import audit
from synflaw_audit.errors import InputError
from synflaw_audit.measures.perplexity import FEWEST, PerplexityNarrowness
from synflaw_audit.text.perplexity import CausalModel, NgramModel, information, language_model_named
from synflaw_audit.text.phrases import Floats
from synflaw_audit.text.tokens import Ints
from synflaw_audit.verdicts.catalogue import find_check, load_checks

RNG = np.random.default_rng(0)


def free(words: int) -> str:
    return " ".join(f"w{n}" for n in RNG.zipf(1.3, words))


def witten_bell(known: list[list[int]], row: list[int], at: int, order: int = 3) -> float:
    """The chance of one token by the recursion as it is written down."""
    chance = 1 / (len({token for text in known for token in text}) + 1)
    for length in range(order):
        context = row[max(at - length, 0) : at]
        after = Counter(
            text[i]
            for text in known
            for i in range(len(text))
            if text[max(i - length, 0) : i] == context
        )
        if total := sum(after.values()):
            chance = (after[row[at]] + len(after) * chance) / (total + len(after))
    return chance


def test_the_ngram_model_is_that_of_witten_and_bell() -> None:
    known = [[int(x) for x in RNG.integers(1, 6, 7)] for _ in range(20)]
    held = [[int(x) for x in RNG.integers(1, 8, 7)] for _ in range(5)]
    place = np.tile(np.arange(7), 20)
    cost = information(
        np.array(known, dtype=np.uint64).ravel(),
        place,
        np.array(held, dtype=np.uint64).ravel(),
        place[:35],
    )
    expected = [-log2(witten_bell(known, row, at)) for row in held for at in range(7)]
    assert cost == pytest.approx(expected)


def test_answers_that_others_foretell_cost_less() -> None:
    foretold = ["this very phrase stands in many of the rows here now"] * 30
    answers = pa.array([*(free(11) for _ in range(60)), *foretold])
    bits = NgramModel().bits(answers, np.arange(90), 8)
    assert bits[60:].max() < 0.5 * bits[:60].mean()


def test_an_answer_to_the_same_question_foretells_nothing() -> None:
    texts = [free(12) for _ in range(200)]
    answers = pa.array([text for text in texts for _ in range(2)])
    apart = NgramModel().bits(answers, np.repeat(np.arange(200), 2), 8).mean()
    together = NgramModel().bits(answers, np.arange(400), 8).mean()
    assert together < 0.7 * apart


class Given:
    """A language model that knows the bits of every answer."""

    name = "given"

    def __init__(self, bits: Floats) -> None:
        self._bits = bits

    def bits(self, texts: pa.Array, unit: Ints, window: int) -> Floats:
        return self._bits


def narrowness(bits: Floats) -> float:
    corpus = replace(corpus_of(["x"] * len(bits)), language_model=Given(bits))
    return PerplexityNarrowness().score(corpus).value


def test_the_score_is_the_share_of_pairs_within_reach() -> None:
    bits = RNG.normal(8, 1, 150)
    pairs = np.abs(bits[:, None] - bits) <= 0.5
    expected = (pairs.sum() - 150) / (150 * 149)
    assert narrowness(bits) == pytest.approx(expected)
    assert narrowness(bits + 3) == pytest.approx(expected)
    assert narrowness(bits / 4) > expected


def test_too_few_long_answers_decide_nothing() -> None:
    corpus = corpus_of(["a short answer"] * 5 + [free(40) for _ in range(FEWEST - 1)])
    score = PerplexityNarrowness().score(corpus)
    assert (score.value, score.low, score.high) == (0, 0, 1)
    assert "32 tokens" in score.undecided


def test_a_causal_model_scores_the_windows_of_long_answers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from synflaw_audit.lab.tiny import Size, new_model, train_tokenizer

    texts = [free(30) for _ in range(40)] + ["short"]
    tokenizer = train_tokenizer(texts, 400)
    model = new_model(tokenizer, Size(400, 16, 1, 2), seed=0).eval()
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    bits = CausalModel(str(tmp_path)).bits(pa.array(texts), np.arange(41), 10)
    assert (np.flatnonzero(np.isnan(bits)) == [40]).all()  # the short one
    ids = torch.tensor([tokenizer(texts[0], add_special_tokens=False)["input_ids"][:11]])
    with torch.inference_mode():
        expected = model(ids, labels=ids).loss.item() / np.log(2)
    assert bits[0] == pytest.approx(expected, rel=1e-5)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    rows = {"question": ["q"], "answer": ["a"]}
    checks = [find_check(load_checks(), "perplexity-narrowness")]
    with pytest.raises(InputError, match=r"nowhere.*ngram"):
        audit(pa.table(rows), checks=checks, perplexity_model=str(tmp_path / "nowhere"))
    assert language_model_named("ngram") == NgramModel()


@pytest.mark.parametrize("params", [{"window": 0}, {"within": 0.0}])
def test_parameters_out_of_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        PerplexityNarrowness(**params)  # type: ignore[arg-type]
