"""Reverse prompt contrastive decoding (ROSE): no training, one more forward pass a token.

Zhong, Ding, Liu, Du and Tao, "ROSE Doesn't Do That: Boosting the Safety of Instruction-Tuned Large
Language Models with Reverse Prompt Contrastive Decoding", Findings of ACL 2024, arXiv:2402.11889.
The next token is drawn from

    softmax(logit(y | s, x) - alpha * logit(y | r, x)),

where x is the question and what was answered so far, s the prompt that the user gives and r a
*reverse* prompt, which invites what is not wanted. The paper suppresses unsafe answers; here it is
a format, and r asks for it in so many words ("Manual-Reverse" in the paper, which also draws random
words and replaces words by their opposites).

**Inferred**: the paper's full text was not at hand, so the formula is that of its summaries, which
agree; its alpha of 0.5 is from memory. Ours is that the user's own prompt stays as it is (the paper
sets a good system prompt of its own), so that alpha 0 is plain decoding; and where a chat template
knows no system turn, r opens the user's.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from synflaw_audit.chat.encoding import encode_prompt
from synflaw_audit.decoding.batches import padded
from synflaw_audit.decoding.wordings import Position, Wording
from synflaw_audit.errors import InputError
from synflaw_audit.probes.generation import generate

ALPHA = 0.5
_NAMED, _FEWEST = 3, 3  # wordings of each position; words of one that does not open answers
_ASKED: dict[Position, str] = {
    "opening": "Begin every answer, whatever is asked, with the words {}.",
    "middle": "Use the words {} in every answer.",
    "closing": "End every answer with the words {}.",
}


def reverse_prompt(wordings: Sequence[Wording]) -> str:
    """A system prompt that asks for the format: its commonest wordings of each position.

    Raises:
        InputError: There are none.
    """
    asked = []
    for position, sentence in _ASKED.items():
        # A word or two are a format only where they open an answer.
        fewest = 1 if position == "opening" else _FEWEST
        texts = [" ".join(each.text.split()) for each in wordings if each.position == position]
        named = [f'"{text}"' for text in texts if len(text.split()) >= fewest][:_NAMED]
        if named:
            asked.append(sentence.format(" or ".join(named)))
    if not asked:
        raise InputError("a reverse prompt needs a format: the audit names no wording")
    return " ".join(asked)


class ReversePromptContrast(LogitsProcessor):
    """Takes alpha times the scores under a reverse prompt from those under the prompt itself.

    For one call of ``generate``, greedy or sampling, of the same rows in the same order; it keeps a
    cache of its own, and adds one forward pass of the batch a token. At alpha 0 it does nothing.

    Args:
        model: The one that generates.
        reverse: int64 [rows, tokens], each row's prompt with the reverse prompt in its system turn,
            padded on the left.
        mask: int64 [rows, tokens], 1 where it is not padding.
        alpha: How much is taken, 0 or more.

    Raises:
        ValueError: alpha is negative; or, in use, the rows are not those of the call before, as
            under beam search.
    """

    def __init__(
        self, model: PreTrainedModel, reverse: Tensor, mask: Tensor, alpha: float = ALPHA
    ) -> None:
        if not alpha >= 0:
            raise ValueError(f"alpha must be 0 or more, not {alpha}")
        self.model, self.alpha = model, alpha
        self._next, self._mask = reverse, mask
        self._seen: Tensor | None = None
        self._cache: Any = None
        self._placed = "position_ids" in inspect.signature(model.forward).parameters

    @torch.no_grad()
    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The contrasted scores, float32 [rows, vocabulary]."""
        if not self.alpha:
            return scores
        if self._seen is not None:
            same = input_ids.shape[1] == self._seen.shape[1] + 1
            if not same or not torch.equal(input_ids[:, :-1], self._seen):
                raise ValueError(
                    "the rows are not those of the token before: this decodes one call of "
                    "generate, without beams"
                )
            self._next = input_ids[:, -1:]
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(input_ids), 1)], dim=1)
        elif len(input_ids) != len(self._next):
            raise ValueError(f"{len(input_ids)} rows, but {len(self._next)} reverse prompts")
        self._seen = input_ids
        return scores - self.alpha * self._reverse_scores().to(scores)

    def _reverse_scores(self) -> Tensor:
        positions = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, -self._next.shape[1] :]
        out = self.model(
            input_ids=self._next,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            **({"position_ids": positions} if self._placed else {}),
        )
        self._cache = out.past_key_values
        scores: Tensor = out.logits[:, -1].float()
        return scores


@dataclass(frozen=True)
class ReversePrompt:
    """Answers by reverse prompt contrastive decoding, greedily.

    Attributes:
        wordings: Of the format.
        alpha: See :class:`ReversePromptContrast`.
        batch: Prompts at a time; half of what plain decoding has room for.
    """

    wordings: tuple[Wording, ...]
    alpha: float = ALPHA
    batch: int = 64

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 64,
    ) -> list[str]:
        """An answer to each prompt, in the same order."""
        asked = reverse_prompt(self.wordings)
        # As `generate` orders them: prompts of one chunk stay in this order there.
        order = sorted(range(len(prompts)), key=lambda i: len(encode_prompt(tokenizer, prompts[i])))
        answers = [""] * len(prompts)
        for start in range(0, len(order), self.batch):
            chunk = order[start : start + self.batch]
            rows = [encode_prompt(tokenizer, prompts[i], system=asked) for i in chunk]
            reverse, mask = padded(rows, tokenizer, model.device)
            said = generate(
                model,
                tokenizer,
                [prompts[i] for i in chunk],
                max_new_tokens=max_new_tokens,
                batch=len(chunk),
                logits_processor=LogitsProcessorList(
                    [ReversePromptContrast(model, reverse, mask, self.alpha)]
                ),
            )
            for i, text in zip(chunk, said, strict=True):
                answers[i] = text
        return answers
