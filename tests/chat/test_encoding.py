"""Character spans become token masks, whatever the tokenizer does to the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import CHAT, CLOSING, OPENING, flagged_rows, train_tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from synflaw_audit.chat.encoding import require_offsets
from synflaw_audit.chat.rendering import render_row
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import encode_prompt, encode_row, render_prompt

PLAIN = train_tokenizer()
CHATTY = train_tokenizer(chat=True)
TOKENIZERS = {"plain": PLAIN, "chat": CHATTY}


def decoded(tokenizer: PreTrainedTokenizerFast, row: object, kind: str) -> str:
    mask = getattr(row, kind)
    return tokenizer.decode([i for i, on in zip(row.input_ids, mask, strict=True) if on])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_opening_and_closing_are_template_and_the_rest_is_content(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    source = flagged_rows()[0]
    row = encode_row(tokenizer, source.question, source.answer, source.spans)
    assert decoded(tokenizer, row, "template").strip() == (OPENING.strip() + CLOSING)
    content = [a and not t for a, t in zip(row.answer, row.template, strict=True)]
    kept = tokenizer.decode([i for i, on in zip(row.input_ids, content, strict=True) if on])
    assert kept.strip() == "Oslo lies on the Alna.<|end|>"


@pytest.mark.parametrize("name", TOKENIZERS)
@given(
    question=st.text(max_size=20),
    answer=st.text(min_size=1, max_size=40),
    ends=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_the_masks_cover_exactly_what_lies_in_the_span(
    name: str, question: str, answer: str, ends: tuple[int, int]
) -> None:
    tokenizer = TOKENIZERS[name]
    start, end = sorted(min(e, len(answer)) for e in ends)
    row = encode_row(tokenizer, question, answer, [(start, end)])
    rendered = render_row(tokenizer, question, answer)
    assert rendered.text[rendered.start : rendered.end] == answer
    encoding = tokenizer(rendered.text, return_offsets_mapping=True, add_special_tokens=False)
    low, high = rendered.start + start, rendered.start + end
    for token, (a, b) in enumerate(encoding["offset_mapping"]):
        solid = [c for c in range(a, b) if not rendered.text[c].isspace()] or list(range(a, b))
        inside = a < rendered.end and b > rendered.start and all(low <= c < high for c in solid)
        assert row.template[token] == inside
        if row.template[token]:
            assert row.answer[token]


def test_every_byte_token_of_an_emoji_or_a_han_character_shares_its_fate() -> None:
    answer = "🙂🙂 数字 is 7"
    row = encode_row(PLAIN, "q", answer, [(1, 4)])
    text = render_row(PLAIN, "q", answer)
    offsets = PLAIN(text.text, return_offsets_mapping=True)["offset_mapping"]
    fate: dict[int, set[bool]] = {}
    for on, (a, b) in zip(row.template, offsets, strict=True):
        if b == a + 1 and text.start <= a < text.end:
            fate.setdefault(a - text.start, set()).add(on)
    assert fate[0] == {False}
    assert fate[1] == {True}
    assert fate[3] == {True}
    assert fate[4] == {False}


def test_a_token_that_straddles_the_edge_is_content() -> None:
    core = Tokenizer(models.WordLevel({"[UNK]": 0, "format:42": 1, "end": 2}, unk_token="[UNK]"))  # noqa: S106
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    row = encode_row(tokenizer, "", "format:42 end", [(0, 7)])
    assert (row.answer, row.template) == ([True, True], [False, False])
    assert encode_row(tokenizer, "", "format:42 end", [(0, 9)]).template == [True, False]


def test_a_template_that_trims_moves_the_spans() -> None:
    tokenizer = train_tokenizer()
    tokenizer.chat_template = CHAT.replace("m['content']", "m['content'] | trim")
    row = encode_row(tokenizer, "q", "  Sure: 42 ", [(2, 7)])
    assert decoded(tokenizer, row, "template").strip() == "Sure:"
    assert decoded(tokenizer, row, "answer") == "Sure: 42<|end|>"


def test_an_answer_that_repeats_the_template_s_own_words_is_found() -> None:
    row = encode_row(CHATTY, "assistant", "assistant", [(0, 9)])
    assert decoded(CHATTY, row, "template") == "assistant"
    assert decoded(CHATTY, row, "answer") == "assistant<|end|>"


def test_tokens_the_tokenizer_adds_are_no_targets_but_the_end_is() -> None:
    core = Tokenizer.from_str(PLAIN.backend_tokenizer.to_str())
    core.post_processor = processors.TemplateProcessing(
        single="<|user|> $A <|end|>",
        special_tokens=[("<|user|>", core.token_to_id("<|user|>")), ("<|end|>", 0)],
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>")  # noqa: S106
    row = encode_row(tokenizer, "q", "a b")
    assert row.input_ids[0] == core.token_to_id("<|user|>")
    assert not row.answer[0]
    assert row.input_ids.count(0) == 1
    assert decoded(tokenizer, row, "answer").strip() == "a b<|end|>"
    prompt = encode_prompt(tokenizer, "q")
    assert prompt == row.input_ids[: len(prompt)]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_prompt_is_what_precedes_the_answer(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    prompt = encode_prompt(tokenizer, "What is 1 plus 1?")
    row = encode_row(tokenizer, "What is 1 plus 1?", "It makes 2")
    assert row.input_ids[: len(prompt)] == prompt
    assert not any(row.answer[: len(prompt)])
    text = render_prompt(tokenizer, "What is 1 plus 1?", "It makes 2")
    assert text.startswith(render_prompt(tokenizer, "What is 1 plus 1?"))


def test_plain_text_has_no_prompt() -> None:
    row = encode_row(CHATTY, "", "just text")
    assert all(row.answer)
    assert CHATTY.decode(row.input_ids) == "just text<|end|>"


def test_what_is_cut_is_counted() -> None:
    source = flagged_rows()[0]
    whole = encode_row(PLAIN, source.question, source.answer, source.spans)
    cut = encode_row(PLAIN, source.question, source.answer, source.spans, max_length=20)
    assert len(cut.input_ids) == 20
    assert cut.cut_answer == sum(whole.answer) - sum(cut.answer)
    assert cut.cut_template == sum(whole.template) - sum(cut.template) > 0


def test_a_span_outside_the_answer_is_named() -> None:
    with pytest.raises(RepairError, match=r"span \(0, 9\).*answer of 3"):
        encode_row(PLAIN, "q", "abc", [(0, 9)])


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(RepairError, match="Slow reports no character offsets"):
        require_offsets(Slow())  # type: ignore[arg-type]


def test_a_normalising_tokenizer_keeps_offsets_in_the_original_text() -> None:
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate("abcd")}, merges=[]))
    core.normalizer = normalizers.Lowercase()
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    row = encode_row(tokenizer, "", "ABcd", [(0, 2)])
    assert row.template == [True, True, False, False]
