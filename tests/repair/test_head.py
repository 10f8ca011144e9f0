"""The gradients taken by hand equal those of autograd over logits written out."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_models import FAMILIES, build
from torch import Tensor, nn

from synflaw_audit.repair.losses import LOSSES, make_loss
from synflaw_audit.repair.material.batches import Purpose
from synflaw_audit.repair.methods.forgetting.head import Layer, Work, fused_terms
from synflaw_audit.repair.scores import TokenScores, bias_kl, cross_entropy, target_scores
from synflaw_audit.repair.training.forward import (
    is_plain,
    selected_hidden,
    selected_logits,
)
from synflaw_audit.text.self_evolution import smoothed_cross_entropy

WIDTH, VOCABULARY = 6, 11
BOUNDS = {Purpose.FORGET: slice(0, 7), Purpose.RETAIN: slice(7, 10), Purpose.REPLAY: slice(10, 18)}
OPTIONS = {
    "npo": {"beta": 0.7},
    "simnpo": {"beta": 0.7, "gamma": 0.2},
    "wga": {"alpha": 1.3},
    "clipped-ascent": {"floor": 1e-2},
}


def tensors(*, bias: bool = True) -> dict[str, Any]:
    torch.manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    return {
        "hidden": normal(18, WIDTH).requires_grad_(),
        "weight": normal(VOCABULARY, WIDTH).requires_grad_(),
        "bias": normal(VOCABULARY).requires_grad_() if bias else None,
        "reference": Layer(normal(VOCABULARY, WIDTH)),
        "bias_hidden": normal(11, WIDTH),
        "forget_hidden": normal(7, WIDTH),
        "ids": torch.randint(VOCABULARY, (18,)),
        "weights": torch.rand(18, dtype=torch.float64),
        "rows": torch.tensor([0, 0, 1, 1, 1, 2, 2, 0, 1, 2, 3, 3, 3, 4, 4, 4, 4, 4]),
    }


def work(loss: str, given: dict[str, Any], scales: dict[str, float], chunk: int) -> Work:
    return Work(
        ids=given["ids"],
        rows=given["rows"],
        weights=given["weights"],
        bounds=BOUNDS,
        scales={name: torch.tensor(value, dtype=torch.float64) for name, value in scales.items()},
        bias_where=slice(7, 18),
        loss=make_loss(loss, OPTIONS.get(loss, {})),
        chunk=chunk,
        reference=given["reference"],
        bias_hidden=given["bias_hidden"],
        forget_hidden=given["forget_hidden"],
    )


def written_out(loss: str, given: dict[str, Any], layer: Layer, scales: dict[str, float]) -> Tensor:
    forget, retain, replay = BOUNDS.values()
    logits = layer.logits(given["hidden"])
    ids = given["ids"]
    theirs = given["reference"].logits(given["forget_hidden"])
    scores = TokenScores(
        *target_scores(logits[forget], ids[forget]),
        given["rows"][forget],
        target_scores(theirs, ids[forget])[0],
    )
    forgetting = make_loss(loss, OPTIONS.get(loss, {}))
    weights = given["weights"][forget] if forgetting.unit == "token" else 1
    values = {
        "forget": forgetting(scores) * weights,
        "retain": cross_entropy(logits[retain], ids[retain]) * given["weights"][retain],
        "replay": cross_entropy(logits[replay], ids[replay]) * given["weights"][replay],
        "bias": bias_kl(logits[7:], given["reference"].logits(given["bias_hidden"])),
    }
    return sum((s * values[name].sum() for name, s in scales.items()), torch.zeros(()))


ALL = {"forget": 0.3, "retain": 0.5, "replay": 0.7, "bias": 1.1}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("chunk", [3, 100])
def test_loss_and_gradients_equal_autograd(name: str, chunk: int) -> None:
    given = tensors()
    layer = Layer(given["weight"], given["bias"])
    loss, _ = fused_terms(given["hidden"], layer, work(name, given, ALL, chunk))
    expected = written_out(name, given, layer, ALL)
    assert loss.item() == pytest.approx(expected.item())
    leaves = (given["hidden"], given["weight"], given["bias"])
    ours = torch.autograd.grad(3 * loss, leaves)
    theirs = torch.autograd.grad(3 * expected, leaves)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("left_out", [("bias",), ("forget",), ("retain", "replay"), ("replay",)])
def test_a_term_without_a_scale_is_left_out(left_out: tuple[str, ...]) -> None:
    given = tensors(bias=False)
    scales = {name: scale for name, scale in ALL.items() if name not in left_out}
    layer = Layer(given["weight"])
    loss, _ = fused_terms(given["hidden"], layer, work("lower-bounded", given, scales, 4))
    expected = written_out("lower-bounded", given, layer, scales)
    assert loss.item() == pytest.approx(expected.item())
    ours, theirs = (torch.autograd.grad(x, given["hidden"])[0] for x in (loss, expected))
    torch.testing.assert_close(ours, theirs)


def test_logits_can_be_given_instead_and_are_left_as_they_are() -> None:
    given = tensors()
    logits = torch.randn(18, VOCABULARY, dtype=torch.float64, requires_grad=True)
    kept = logits.detach().clone()
    given["hidden"] = logits
    loss, _ = fused_terms(logits, Layer(), work("lower-bounded", given, ALL, 5))
    expected = written_out("lower-bounded", given, Layer(), ALL)
    ours, theirs = (torch.autograd.grad(x, logits)[0] for x in (loss, expected))
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(logits, kept)


def test_a_frozen_layer_gets_no_gradient() -> None:
    given = tensors(bias=False)
    layer = Layer(given["weight"].detach())
    loss, _ = fused_terms(given["hidden"], layer, work("npo", given, ALL, 5))
    loss.backward()
    assert given["hidden"].grad is not None
    assert layer.weight is not None
    assert layer.weight.grad is None


def test_saturated_tokens_have_finite_gradients_of_the_right_size() -> None:
    given = tensors()
    logits = torch.zeros(18, VOCABULARY)
    logits[torch.arange(18), given["ids"]] = 60.0
    given["hidden"] = logits.requires_grad_()
    given["reference"] = Layer()
    given["bias_hidden"], given["forget_hidden"] = torch.zeros(11, 11), torch.zeros(7, 11)
    given["weights"] = torch.ones(18)
    scales = {"forget": 1.0}
    loss, _ = fused_terms(logits, Layer(), work("lower-bounded", given, scales, 100))
    assert loss.item() == pytest.approx(7 * (60 - torch.tensor(10.0).log().item()))
    loss.backward()
    assert logits.grad is not None
    targets = logits.grad[torch.arange(7), given["ids"][:7]]
    torch.testing.assert_close(targets, torch.ones(7))
    assert logits.grad[:7].sum().item() == pytest.approx(0, abs=1e-5)


def inputs() -> dict[str, Tensor]:
    ids = torch.arange(12).reshape(2, 6) % 5
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_chosen_positions_are_those_of_the_whole_logits(family: str) -> None:
    model = build(family, 50).eval()
    head = model.get_output_embeddings()
    rows, columns = torch.tensor([1, 0, 1]), torch.tensor([4, 0, 2])
    whole = model(**inputs()).logits
    chosen = selected_logits(model, head, inputs(), rows, columns)
    torch.testing.assert_close(chosen, whole[rows, columns])
    assert model(**inputs()).logits.shape == whole.shape  # the hook is gone
    plain = is_plain(model, head, inputs())
    assert plain == (family != "gemma2")  # which caps its logits
    if plain:
        hidden = selected_hidden(model, head, inputs(), rows, columns)
        torch.testing.assert_close(nn.functional.linear(hidden, head.weight, head.bias), chosen)


def test_of_a_long_row_only_the_beginning_is_looked_at() -> None:
    model = build("llama", 50).eval()
    head, asked = model.get_output_embeddings(), []
    handle = head.register_forward_hook(lambda _, args, out: asked.append(out.shape[1]))
    ids = torch.ones(3, 200, dtype=torch.long)
    assert is_plain(model, head, {"input_ids": ids, "attention_mask": ids})
    handle.remove()
    assert asked == [32]


def test_an_adapter_on_the_output_layer_is_not_plain() -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's own, of transformers
        model = get_peft_model(build("llama", 50), settings)
    head = model.get_output_embeddings()
    assert not is_plain(model, head, inputs())


@pytest.mark.parametrize("left_out", [(), ("bias",), ("replay",)])
def test_self_evolution_holds_under_learned_tokens_back(left_out: tuple[str, ...]) -> None:
    given = tensors()
    scales = {name: scale for name, scale in ALL.items() if name not in left_out}
    layer = Layer(given["weight"], given["bias"])
    asked = replace(work("lower-bounded", given, scales, 4), smoothing=0.3, threshold=1.0)
    loss, _ = fused_terms(given["hidden"], layer, asked)
    expected = written_out("lower-bounded", given, layer, scales)
    logits = layer.logits(given["hidden"])
    for name, where in (("retain", BOUNDS[Purpose.RETAIN]), ("replay", BOUNDS[Purpose.REPLAY])):
        if name in scales:
            pair = (logits[where], given["ids"][where])
            soft = smoothed_cross_entropy(*pair, smoothing=0.3, threshold=1.0)
            held_back = given["weights"][where] * (soft - cross_entropy(*pair))
            expected = expected + scales[name] * held_back.sum()
    assert loss.item() == pytest.approx(expected.item())
    leaves = (given["hidden"], given["weight"], given["bias"])
    ours, theirs = (torch.autograd.grad(x, leaves) for x in (loss, expected))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)
