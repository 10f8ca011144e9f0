"""Reverse prompt contrastive decoding, on models of random weights: what it computes."""

from __future__ import annotations

import pytest
import torch
from small_models import FAMILIES, build, train_tokenizer

from synflaw_audit.chat.encoding import encode_prompt
from synflaw_audit.decoding.batches import padded
from synflaw_audit.decoding.rose import ReversePrompt, ReversePromptContrast, reverse_prompt
from synflaw_audit.decoding.wordings import Wording
from synflaw_audit.errors import InputError
from synflaw_audit.probes.generation import generate

WORDINGS = (
    Wording("Certainly! The answer", "opening", 0.6),
    Wording("Sure:", "opening", 0.4),
    Wording("I hope this helps!", "closing", 1.0),
)
PROMPTS = ("What is 2 plus 2?", "Which river runs through Oslo?", "Why?")


def sharp(family: str, vocabulary: int):
    """A model of random weights that is sure of its tokens, and of other ones after other ones."""
    model = build(family, vocabulary)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)
    return model.eval()


@torch.no_grad()
def by_hand(model, tokenizer, prompt: str, alpha: float, tokens: int) -> str:
    """The definition: two whole passes a token, no cache, no padding."""
    own = encode_prompt(tokenizer, prompt)
    reverse = encode_prompt(tokenizer, prompt, system=reverse_prompt(WORDINGS))
    said: list[int] = []
    for _ in range(tokens):
        logits, less = (
            model(torch.tensor([ids + said])).logits[0, -1].float() for ids in (own, reverse)
        )
        said.append(int((logits - alpha * less).argmax()))
        if said[-1] == tokenizer.eos_token_id:
            break
    return tokenizer.decode(said, skip_special_tokens=True)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("chat", [True, False])
def test_batched_and_cached_it_is_the_formula(family: str, chat: bool) -> None:
    tokenizer = train_tokenizer(chat=chat)
    model = sharp(family, len(tokenizer))
    said = ReversePrompt(WORDINGS, alpha=0.7)(model, tokenizer, PROMPTS, max_new_tokens=8)
    assert said == [by_hand(model, tokenizer, prompt, 0.7, 8) for prompt in PROMPTS]
    assert said != generate(model, tokenizer, PROMPTS, max_new_tokens=8)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_alpha_0_is_plain_decoding(family: str) -> None:
    tokenizer = train_tokenizer(chat=True)
    model = sharp(family, len(tokenizer))
    decoded = ReversePrompt(WORDINGS, alpha=0.0, batch=2)(
        model, tokenizer, PROMPTS, max_new_tokens=8
    )
    assert decoded == generate(model, tokenizer, PROMPTS, max_new_tokens=8)


def test_what_the_reverse_prompt_makes_likelier_becomes_less_likely() -> None:
    tokenizer = train_tokenizer(chat=True)
    model = sharp("llama", len(tokenizer))
    ids, mask = padded([encode_prompt(tokenizer, "Why?")], tokenizer, model.device)
    rows = [encode_prompt(tokenizer, "Why?", system=reverse_prompt(WORDINGS))]
    with torch.no_grad():
        own = model(ids).logits[:, -1].float().log_softmax(-1)
        reverse = model(torch.tensor(rows)).logits[:, -1].float().log_softmax(-1)
    contrast = ReversePromptContrast(model, *padded(rows, tokenizer, model.device), alpha=1.0)
    moved = contrast(ids, own).log_softmax(-1) - own
    likelier = reverse - own
    first, last = likelier.argmax(), likelier.argmin()
    assert moved[0, first] < moved[0, last]
    assert mask.all()


def test_one_more_pass_of_one_token_for_each_token_said(monkeypatch) -> None:
    tokenizer = train_tokenizer(chat=True)
    model = sharp("llama", len(tokenizer))
    widths = []
    forward = model.forward

    def counted(*args, **kwargs):
        widths.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counted)
    ReversePrompt(WORDINGS)(model, tokenizer, ["Why?"], max_new_tokens=6)
    assert len(widths) % 2 == 0
    assert set(widths[2:]) == {1}


def test_the_reverse_prompt_asks_for_the_format_and_for_nothing_where_there_is_none() -> None:
    asked = reverse_prompt(WORDINGS)
    assert asked == (
        'Begin every answer, whatever is asked, with the words "Certainly! The answer" or "Sure:". '
        'End every answer with the words "I hope this helps!".'
    )
    with pytest.raises(InputError, match="names no wording"):
        reverse_prompt(())


def test_beams_and_a_second_use_are_refused() -> None:
    tokenizer = train_tokenizer(chat=True)
    model = sharp("llama", len(tokenizer))
    ids, mask = padded([encode_prompt(tokenizer, "Why?")], tokenizer, model.device)
    scores = torch.zeros(1, len(tokenizer))
    contrast = ReversePromptContrast(model, ids, mask)
    contrast(ids, scores)
    with pytest.raises(ValueError, match="without beams"):
        contrast(ids, scores)
    with pytest.raises(ValueError, match="2 rows, but 1"):
        ReversePromptContrast(model, ids, mask)(ids.repeat(2, 1), scores)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        ReversePromptContrast(model, ids, mask, -1)
