import math

import pytest
import torch
from small_models import build, train_tokenizer

from synflaw_audit.probes.drift import answer_logits, divergences

ROWS = [("Which river runs through Oslo?", "The Alna."), ("What is 1 plus 1?", "2")]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(chat=True)


def test_a_model_has_not_drifted_from_itself(tokenizer) -> None:
    logits = answer_logits(build("llama", len(tokenizer)), tokenizer, ROWS)
    assert divergences(logits, logits) == pytest.approx([0.0, 0.0], abs=1e-6)


def test_another_model_has_and_by_the_definition(tokenizer) -> None:
    models = [build("llama", len(tokenizer), seed=seed) for seed in (0, 1)]
    base, tuned = (answer_logits(model, tokenizer, ROWS) for model in models)
    found = divergences(base, tuned)
    p, q = base[0].softmax(-1), tuned[0].softmax(-1)
    assert found[0] == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-3)
    assert all(value > 0 for value in found)


def test_an_answer_without_a_token_has_no_divergence(tokenizer) -> None:
    logits = answer_logits(build("llama", len(tokenizer)), tokenizer, ROWS, max_length=2)
    assert all(math.isnan(value) for value in divergences(logits, logits))


def test_the_divergence_of_saturated_logits_is_finite() -> None:
    sure = torch.zeros(1, 8)
    sure[0, 0] = 1e4
    unsure = torch.zeros(1, 8)
    assert divergences([sure], [unsure]) == pytest.approx([math.log(8)], rel=1e-4)
    assert math.isfinite(divergences([unsure], [sure])[0])
