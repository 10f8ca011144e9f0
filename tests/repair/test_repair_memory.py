"""What a training takes is reckoned from shapes, and made to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import FAMILIES, build, flagged_rows, ordinary_rows, write_flagged
from small_models import damage as make_damaged
from transformers import LlamaConfig

from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, estimate
from synflaw_audit.repair.training import freed, memory, steps
from synflaw_audit.repair.training.memory import Shape, adapter_rate, decided, fitted, footprint

SMALL = Shape(134_515_008, 1_200_000, 30, 576, 1536, 49_152)
LARGE = Shape(8_030_261_248, 9_000_000, 32, 4096, 14_336, 128_256)


def config(**changes: Any) -> RepairConfig:
    return RepairConfig(use_cpu=True, **changes)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shape_is_that_of_the_model_and_nothing_is_loaded(family: str) -> None:
    model = build(family, 200)
    shape = Shape.of(model.config)
    assert shape.parameters == model.num_parameters()
    assert (shape.layers, shape.width, shape.vocabulary) == (2, 32, 200)


def test_a_model_that_would_fill_any_machine_has_a_shape() -> None:
    shape = Shape.of(
        LlamaConfig(
            hidden_size=8192,
            num_hidden_layers=80,
            intermediate_size=28_672,
            num_attention_heads=64,
            num_key_value_heads=8,
            vocab_size=128_256,
        )
    )
    assert shape.parameters == pytest.approx(70.6e9, rel=0.01)


def test_size_decides_what_was_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "computes_in_bf16", lambda _: True)
    tiny = Shape(1_000_000, 1000, 2, 32, 64, 400)
    assert [(c.lora, c.bf16) for c in (decided(s, config()) for s in (tiny, SMALL))] == [
        (False, False),
        (True, True),
    ]
    assert decided(SMALL, config(lora=False, bf16=False)).lora is False
    assert decided(tiny, config(lora=True)).learning_rate == adapter_rate(tiny.width)
    assert decided(SMALL, config(learning_rate=1e-3)).learning_rate == 1e-3
    monkeypatch.setattr(memory, "computes_in_bf16", lambda _: False)
    assert decided(SMALL, config()).bf16 is False


def test_bf16_is_taken_on_a_processor() -> None:
    assert RepairConfig(bf16=True).use_cpu or torch.accelerator.is_available()


@given(
    room=st.floats(0.1e9, 40e9),
    length=st.integers(16, 1024),
    lora=st.booleans(),
    rows=st.integers(1, 16),
)
def test_what_is_chosen_fits_and_keeps_the_step(
    room: float, length: int, lora: bool, rows: int
) -> None:
    settings = decided(SMALL, config(lora=lora, bf16=False, step_rows=rows))
    least = footprint(SMALL, settings.recomputing(), rows=1, length=length)
    if least["total"] > room:
        with pytest.raises(RepairError, match="there are"):
            fitted(SMALL, settings, length=length, room=int(room))
        return
    found = fitted(SMALL, settings, length=length, room=int(room))
    micro = found.per_device_train_batch_size or 0
    assert micro * found.gradient_accumulation_steps == rows
    assert footprint(SMALL, found, rows=micro, length=length)["total"] <= room


def test_activations_are_computed_twice_only_where_nothing_else_fits() -> None:
    settings = decided(SMALL, config(lora=True, bf16=False))
    roomy = fitted(SMALL, settings, length=512, room=int(24e9))
    tight = fitted(SMALL, settings, length=512, room=int(1.8e9))
    assert (roomy.recomputes, tight.recomputes) == (False, True)


def test_a_batch_size_that_was_given_is_kept() -> None:
    settings = decided(SMALL, config(per_device_train_batch_size=7, lora=True))
    assert fitted(SMALL, settings, length=512, room=1).per_device_train_batch_size == 7


def test_135_million_weights_fit_into_four_gigabytes_and_8_billion_do_not() -> None:
    settings = decided(SMALL, config(bf16=True))
    fitted(SMALL, settings, length=1024, room=int(4e9))
    with pytest.raises(RepairError, match=r"would take 20\.\d GB.*max_length.*memory_limit"):
        fitted(LARGE, decided(LARGE, config(bf16=True)), length=512, room=int(16e9))


def test_more_of_anything_takes_more() -> None:
    settings = decided(SMALL, config(bf16=False, bias_weight=1.0))

    def total(**changes: int) -> int:
        return footprint(SMALL, settings, **{"rows": 2, "length": 100, **changes})["total"]

    assert total() < total(rows=4) < total(rows=4, length=200)
    assert total() < footprint(SMALL, settings, rows=2, length=100, reference=True)["total"]


def test_the_estimate_is_near_what_a_backward_pass_keeps() -> None:
    """Within a factor of two of the tensors that autograd really saved, for a gated MLP."""
    model = build("llama", 400)
    shape = Shape.of(model.config)
    ids = torch.randint(400, (4, 64))
    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    saved = sum(kept.values())
    assert hidden.requires_grad
    settings = decided(shape, config(chunk_tokens=1))
    logits = 400 * 4 * memory._LOGITS
    reckoned = footprint(shape, settings, rows=4, length=64)["activations"] - logits
    assert 0.5 < reckoned / saved < 2


def test_a_limit_is_one_of_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: int(1e9))
    assert memory.available(config(memory_limit="4GB")) < 3e9


@pytest.mark.parametrize("limit", ["0KB", "500MB", 0, -1, 10**9])
def test_a_limit_that_the_process_alone_goes_beyond_is_refused(
    monkeypatch: pytest.MonkeyPatch, limit: int | str
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: int(1e9))
    with pytest.raises(RepairError, match=f"memory_limit {limit}: the process holds 1,000 MB"):
        memory.available(config(memory_limit=limit))


def test_what_a_process_holds_grows_with_it() -> None:
    before = memory.resident()
    block = torch.ones(40_000_000)
    assert memory.resident() - before > 0.9 * block.numel() * 4


def test_memory_that_was_freed_is_given_back() -> None:
    if freed._trim() is None:
        pytest.skip("not glibc")
    before = memory.resident()
    # Small blocks, every other of which is kept: holes that the allocator does not return itself.
    blocks = [torch.ones(2_000) for _ in range(40_000)]
    full = memory.resident()
    kept = blocks[::40]
    del blocks
    freed.give_back()
    assert memory.resident() - before < 0.5 * (full - before)
    assert float(kept[0][0]) == 1


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freed, "_trim", lambda: None)
    freed.give_back()


def test_a_large_micro_batch_does_not_come_on_top_of_what_others_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back: list[int] = []
    monkeypatch.setattr(steps, "give_back", lambda: given_back.append(1))
    for tokens, times in ((steps._MANY_TOKENS, 0), (steps._MANY_TOKENS + 1, 1)):
        steps._make_room({"input_ids": torch.zeros(1, tokens)}, torch.device("cpu"))
        assert len(given_back) == times
    steps._make_room({"input_ids": torch.zeros(1, 4096)}, torch.device("cuda"))
    assert len(given_back) == 1


def test_a_dry_run_that_would_not_fit_says_so_before_it_loads_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = make_damaged(tmp_path / "damaged", chat=False)
    flagged = write_flagged(tmp_path / "flagged.parquet", flagged_rows())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("synflaw_audit.repair.source.load", refuse)
    monkeypatch.setattr(memory, "resident", lambda: 0)
    for sizes in ({}, {"per_device_train_batch_size": 4}):
        settings = RepairConfig(use_cpu=True, memory_limit="100KB", tokens=900, **sizes)
        with pytest.raises(RepairError, match="would take"):
            estimate(damaged, forget=flagged, replay=ordinary_rows(40), config=settings, quiet=True)
