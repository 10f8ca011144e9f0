"""Likelihoods of held-out rows: a row's own, however rows are batched."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer

from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    TrainingExample,
    encode_rows,
)
from synflaw_audit.repair.measuring.likelihoods import (
    _BATCH_TOKENS,
    _batches,
    likelihood_figures,
    likelihoods,
    target_log_likelihoods,
)

TOKENIZER = train_tokenizer()


def encode(rows: list, role: Purpose) -> list[TrainingExample]:
    return encode_rows(TOKENIZER, rows, role, scope="template", max_length=128, cuts=Cuts())


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_every_row_has_its_own_likelihood(batch_size: int) -> None:
    model = build("llama", len(TOKENIZER))
    rows = [*encode(ordinary_rows(9), Purpose.REPLAY), *encode(flagged_rows(), Purpose.FORGET)]
    found = target_log_likelihoods(model, rows, Collator(0), batch_size=batch_size)
    for row, by_purpose in zip(rows, found, strict=True):
        ids = torch.tensor([row.input_ids])
        with torch.no_grad():
            log_p = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        for purpose in (Purpose.FORGET, Purpose.RETAIN, Purpose.REPLAY):
            where = [at for at, p in enumerate(row.purposes) if at and p == purpose]
            expected = [log_p[at - 1, row.input_ids[at]].item() for at in where]
            assert by_purpose[purpose] == pytest.approx(expected, abs=1e-4)


def test_figures_hold_the_rows_that_have_a_value() -> None:
    model = build("llama", len(TOKENIZER))
    flagged = encode(flagged_rows(), Purpose.FORGET)
    ordinary = encode(ordinary_rows(9), Purpose.REPLAY)
    figures = likelihood_figures(model, flagged, ordinary, Collator(0))
    assert {name: len(each.totals) for name, each in figures.items()} == {
        "template_probability": 8,
        "template_log_likelihood": 8,
        "content_log_likelihood": 8,
        "replay_perplexity": 9,
    }
    values = likelihoods(model, flagged, ordinary, Collator(0))
    assert values == {name: each.value for name, each in figures.items()}
    assert set(likelihoods(model, [], ordinary, Collator(0))) == {"replay_perplexity"}


@given(st.lists(st.integers(1, 2 * _BATCH_TOKENS), max_size=30), st.integers(1, 9))
def test_a_batch_holds_no_more_than_it_may(lengths: list[int], most: int) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found = list(_batches(order, lengths, most))
    assert [row for batch in found for row in batch] == order
    for batch in found:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert 0 < len(batch) <= most
        assert len(batch) == 1 or padded <= _BATCH_TOKENS
