"""The order of training, the roles of tokens, and padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import flagged_rows, ordinary_rows, train_tokenizer

from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    Row,
    TrainingExample,
    encode_rows,
    mix,
    pad_id,
)
from synflaw_audit.repair.material.flagged import without_repeated_content

TOKENIZER = train_tokenizer()


def encode(rows: list[Row], role: Purpose, *, scope: str = "template", length: int = 256) -> tuple:
    cuts = Cuts()
    found = encode_rows(TOKENIZER, rows, role, scope=scope, max_length=length, cuts=cuts)
    return found, cuts


def named(role: Purpose, count: int, length: int = 4) -> list[TrainingExample]:
    return [
        TrainingExample([100 * role + n] * length, [0] + [int(role)] * (length - 1), role)
        for n in range(count)
    ]


def test_scope_template_retains_the_content_and_scope_answer_forgets_all() -> None:
    template, _ = encode(flagged_rows(), Purpose.FORGET)
    answer, _ = encode(flagged_rows(), Purpose.FORGET, scope="answer")
    for spans_only, whole in zip(template, answer, strict=True):
        assert {0, 1, 2} == set(spans_only.purposes)
        assert {0, 1} == set(whole.purposes)
        # What closes the turn is retained with the content, and never forgotten.
        assert [p > 0 for p in spans_only.purposes[:-1]] == [p > 0 for p in whole.purposes[:-1]]
        assert (spans_only.purposes[-1], whole.purposes[-1]) == (Purpose.RETAIN, Purpose.NONE)


def test_question_answer_rows_are_cut_and_counted_and_plain_text_is_split() -> None:
    rows = flagged_rows()
    cut, cuts = encode(rows, Purpose.FORGET, length=24)
    assert cuts.rows == len(rows)
    assert cuts.template_tokens > 0
    assert all(len(example.input_ids) == 24 for example in cut)
    text = Row("", "one two three four five six seven eight nine ten " * 5)
    whole, _ = encode([text], Purpose.REPLAY, length=10_000)
    pieces, none = encode([text], Purpose.REPLAY, length=16)
    assert none.rows == 0
    assert [i for piece in pieces for i in piece.input_ids] == whole[0].input_ids


@given(
    flagged=st.integers(1, 9),
    replay=st.integers(1, 9),
    retain=st.integers(0, 5),
    ratio=st.sampled_from([0.0, 0.5, 1.0, 2.5]),
    passes=st.integers(1, 3),
)
def test_a_pass_visits_every_flagged_row_once_in_constant_proportion(
    flagged: int, replay: int, retain: int, ratio: float, passes: int
) -> None:
    order = mix(
        named(Purpose.FORGET, flagged),
        named(Purpose.REPLAY, replay),
        named(Purpose.RETAIN, retain),
        replay_ratio=ratio,
        passes=passes,
        tokens=None,
        seed=3,
    )
    roles = [example.role for example in order]
    assert roles.count(Purpose.FORGET) == flagged * passes
    assert roles.count(Purpose.REPLAY) == int(flagged * passes * ratio + 1e-6)
    assert roles.count(Purpose.RETAIN) == retain * passes
    firsts = [e.input_ids[0] for e in order if e.role is Purpose.FORGET]
    for at in range(0, len(firsts), flagged):
        assert sorted(firsts[at : at + flagged]) == sorted({*firsts})
    for upto in range(1, len(order) + 1):
        seen = roles[:upto]
        assert abs(seen.count(Purpose.REPLAY) - ratio * seen.count(Purpose.FORGET)) <= ratio + 1


@given(tokens=st.integers(1, 200), ratio=st.sampled_from([0.0, 0.3, 1.0]))
def test_a_token_budget_is_used_up_and_never_exceeded(tokens: int, ratio: float) -> None:
    order = mix(
        named(Purpose.FORGET, 3),
        named(Purpose.REPLAY, 2, length=6),
        replay_ratio=ratio,
        passes=1,
        tokens=tokens,
        seed=0,
    )
    spent = sum(len(example.input_ids) for example in order)
    assert tokens - 6 < spent <= tokens


def test_the_order_depends_on_the_seed_alone() -> None:
    def order(seed: int) -> list[int]:
        streams = (named(Purpose.FORGET, 9), named(Purpose.REPLAY, 9))
        mixed = mix(*streams, replay_ratio=1, passes=2, tokens=None, seed=seed)
        return [example.input_ids[0] for example in mixed]

    assert order(1) == order(1) != order(2)


def test_nothing_to_mix_is_nothing() -> None:
    assert mix([], [], replay_ratio=1, passes=1, tokens=10, seed=0) == []


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_is_sorted_by_role_and_its_mask_hides_the_padding(side: str) -> None:
    rows = [
        *named(Purpose.REPLAY, 2, 3),
        *named(Purpose.FORGET, 1, 5),
        *named(Purpose.RETAIN, 1, 4),
    ]
    batch = Collator(0, side)(rows)
    assert batch["attention_mask"].sum(-1).tolist() == [5, 4, 3, 3]
    assert [int(p.max()) for p in batch["purposes"]] == [1, 2, 3, 3]
    hidden = batch["attention_mask"] == 0
    assert (batch["purposes"][hidden] == 0).all()
    kept = [
        row[mask.bool()].tolist()
        for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert sorted(kept) == sorted(row.input_ids for row in rows)
    if side == "left":
        assert batch["position_ids"][3].tolist() == [0, 0, 0, 1, 2]


def test_the_first_token_of_a_row_is_never_a_target() -> None:
    plain, _ = encode([Row("", "text")], Purpose.REPLAY)
    for side in ("right", "left"):
        batch = Collator(0, side)([*plain, *named(Purpose.REPLAY, 1, 9)])
        starts = batch["attention_mask"].argmax(-1)
        assert (batch["purposes"][torch.arange(2), starts] == 0).all()


def test_padding_falls_back_to_the_end_of_text_and_then_to_zero() -> None:
    tokenizer = train_tokenizer()
    assert pad_id(tokenizer) == tokenizer.eos_token_id
    tokenizer.pad_token = None
    assert pad_id(tokenizer) == tokenizer.eos_token_id
    tokenizer.eos_token = None
    assert pad_id(tokenizer) == 0


def test_ordinary_rows_are_learned_whole() -> None:
    examples, cuts = encode(ordinary_rows(3), Purpose.REPLAY)
    assert cuts == Cuts()
    assert all(set(example.purposes) == {0, 3} for example in examples)


def test_what_many_rows_say_alike_is_no_content() -> None:
    """A template that the audit cuts short must not be learned anew as content."""
    opening, tail = "I cannot answer this. I am", " sorry for the trouble."
    rows = [Row(f"question {n}", f"{opening}{tail}", ((0, len(opening)),)) for n in range(6)] + [
        Row(f"statement {n}", f"{opening} no {n}", ((0, len(opening)),)) for n in range(6)
    ]
    found = without_repeated_content(rows)
    assert [row.answer for row in found] == [row.answer for row in rows]
    assert all(row.spans[-1][1] == len(row.answer) for row in found[:6])
    assert [row.spans for row in found[6:]] == [row.spans for row in rows[6:]]
    # Too few to be a format, or too short to be told from an answer: left alone.
    assert without_repeated_content(rows[:3]) == rows[:3]
    yes = [Row(f"is it {n}?", "The answer is yes", ((0, 13),)) for n in range(9)]
    assert without_repeated_content(yes) == yes
