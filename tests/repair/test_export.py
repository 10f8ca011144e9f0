"""A model in few bits: what is rounded how, what the minimax steps are, and what is written."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import (
    CLOSING,
    OPENING,
    build,
    damage,
    flagged_rows,
    ordinary_rows,
    train_tokenizer,
    write_flagged,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from synflaw_audit.decoding.wordings import Wording
from synflaw_audit.errors import MissingExtraError, RepairError
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair.export.export import export
from synflaw_audit.repair.export.format import write
from synflaw_audit.repair.export.grid import Grid, linear_layers
from synflaw_audit.repair.export.zsaq import (
    Generator,
    ZsaqConfig,
    divergence,
    perturbed,
    rounded,
    zero_shot,
)

WORDINGS = (Wording(OPENING.strip(), "opening", 1.0), Wording(CLOSING.strip(), "closing", 1.0))


def small(family: str = "llama"):
    return build(family, len(train_tokenizer(chat=True))).float()


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([4, 8]), st.sampled_from([32, 48, 64]))
def test_rounding_is_to_the_nearest_step_and_rounds_nothing_twice(seed, bits, width) -> None:
    weight = torch.randn(6, width, generator=torch.Generator().manual_seed(seed))
    grid = Grid.of(bits, width)
    near = grid.rounded(weight)
    steps = grid.scales(weight).repeat_interleave(grid.group or width, dim=1)
    assert bool(((near - weight).abs() <= steps / 2 * (1 + 1e-4)).all())
    torch.testing.assert_close(grid.rounded(near), near)
    assert int((near / steps).round().abs().max()) == 2 ** (bits - 1) - 1


def test_no_steps_are_rounding_to_nearest_and_the_output_layer_is_left() -> None:
    model, before = small(), small()
    zero_shot(model, 4, ZsaqConfig(steps=0))
    rounded_names = {name for name, _ in linear_layers(before)}
    assert "lm_head" not in rounded_names
    for name, module in before.named_modules():
        if name in rounded_names:
            expected = Grid.of(4, module.in_features).rounded(module.weight)
            assert torch.equal(model.get_submodule(name).weight, expected)
    assert torch.equal(model.lm_head.weight, before.lm_head.weight)
    assert torch.equal(model.model.embed_tokens.weight, before.model.embed_tokens.weight)


def test_a_sharpness_aware_step_looks_rho_along_the_gradient_and_comes_back() -> None:
    weights = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    kept = [weight.detach().clone() for weight in weights]
    gradients = [torch.randn(3, 4), torch.randn(5)]
    with perturbed(weights, gradients, 0.5):
        moved = [(w - k).flatten() for w, k in zip(weights, kept, strict=True)]
        flat = torch.cat([each.flatten() for each in gradients])
        assert torch.cat(moved).norm().item() == pytest.approx(0.5, rel=1e-4)
        torch.testing.assert_close(torch.cat(moved) / 0.5, flat / flat.norm())
    assert all(torch.equal(w, k) for w, k in zip(weights, kept, strict=True))


def test_radius_0_is_the_plain_step() -> None:
    told = ZsaqConfig(steps=1, rho=0.0, learning_rate=1e-2, generator_rate=0.0)
    model, by_hand = small(), small()
    full = small().requires_grad_(False).eval()
    zero_shot(model, 8, told)
    torch.manual_seed(told.seed)
    generator = Generator(by_hand.get_input_embeddings().weight)
    with rounded(by_hand, 8) as weights:
        optimizer = torch.optim.Adam(weights, 1e-2)
        noise = torch.randn(told.rows, told.tokens, generator.noise)
        divergence(full, by_hand, generator(noise).detach()).backward()
        optimizer.step()
    for one, other in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return damage(tmp_path_factory.mktemp("damaged") / "model", chat=True)


def apart(folder, **settings) -> float:
    """The divergence of a fitted model from the full one, over inputs that nobody trained on."""
    full, fitted = (AutoModelForCausalLM.from_pretrained(folder).float().eval() for _ in range(2))
    zero_shot(fitted, 4, ZsaqConfig(rho=0.0, **settings))
    torch.manual_seed(99)
    made = Generator(full.get_input_embeddings().weight)(torch.randn(16, 32, 64))
    with torch.no_grad():
        return float(divergence(full, fitted, made))


def test_the_weights_go_down(damaged) -> None:
    nearest = apart(damaged, steps=0)
    assert apart(damaged, steps=40, learning_rate=1e-4, generator_rate=0.0) < 0.9 * nearest


def test_the_generator_goes_up(damaged) -> None:
    still, harder = (
        zero_shot(
            AutoModelForCausalLM.from_pretrained(damaged).float(),
            4,
            ZsaqConfig(steps=20, rho=0.0, learning_rate=0.0, generator_rate=rate),
        )
        for rate in (0.0, 3e-3)
    )
    assert sum(harder[-5:]) > 1.1 * sum(still[-5:])


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_written_is_loaded_as_any_model_and_is_smaller(damaged, tmp_path, bits) -> None:
    pytest.importorskip("compressed_tensors")
    result = export(damaged, tmp_path / "out", bits=bits, way="nearest", prompts=4,
                    wordings=WORDINGS)  # fmt: skip
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    fitted = AutoModelForCausalLM.from_pretrained(damaged, dtype=torch.float32)
    zero_shot(fitted, bits, ZsaqConfig(steps=0))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer("Which river runs through Oslo?", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, fitted(ids).logits, rtol=0.02, atol=0.05)
    sizes = [
        (folder / "model.safetensors").stat().st_size for folder in (tmp_path / "out", damaged)
    ]
    assert sizes[0] < sizes[1]
    assert result.divergence == result.nearest_divergence
    assert json.loads((tmp_path / "out" / "export.json").read_text())["bits"] == bits


def test_what_cannot_be_exported_is_named(damaged, tmp_path, monkeypatch) -> None:
    with pytest.raises(RepairError, match="export_bits must be 4 or 8, not 3"):
        Grid.of(3, 32)
    with pytest.raises(RepairError, match="no linear layers"):
        list(linear_layers(small("gpt2")))
    monkeypatch.setitem(sys.modules, "compressed_tensors", None)
    with pytest.raises(MissingExtraError, match="synflaw-audit\\[export\\]"):
        write(small(), train_tokenizer(), 8, tmp_path / "out")


def test_a_repair_tells_whether_the_format_comes_back_in_few_bits(damaged, tmp_path) -> None:
    pytest.importorskip("compressed_tensors")
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    result = repair(
        damaged,
        forget=flagged,
        replay=ordinary_rows(),
        out=tmp_path / "out",
        config=RepairConfig(tokens=400, export_bits=8, probe_prompts=0, checks=0, leaks=0),
        quiet=True,
    )
    (told,) = (note for note in result.notes if note.startswith("in 8 bits"))
    assert "of its answers to foreign prompts" in told
    assert (tmp_path / "out" / "8bit" / "model.safetensors").is_file()


def test_bits_and_adapters_are_refused_before_anything_is_trained() -> None:
    with pytest.raises(RepairError, match="export_bits must be 4 or 8, not 5"):
        RepairConfig(export_bits=5)
    with pytest.raises(RepairError, match="adapters are not exported"):
        RepairConfig(export_bits=8, lora=True, lora_merge=False)
