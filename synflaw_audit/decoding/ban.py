"""Barred phrases with backtracking: the plain way to keep a format unsaid.

After the sampler of Paech et al., "Antislop", arXiv:2510.15061 (the projects antislop-sampler and
auto-antislop): answers are written as ever until a barred phrase is complete; then what was written
since its first token is taken back, that token barred at that place, and writing goes on. Whole
phrases are barred, so each of their words may be said elsewhere.

A phrase is a run of words of a wording, letter case and punctuation aside. **Ours**: a long wording
bars each run of four of its words, since a model that may not begin it goes on in its middle; the
token is barred outright (theirs is made less likely); and a wording of fewer than three words is
barred only where it opens an answer, because elsewhere such words are ordinary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
)

from synflaw_audit.chat.encoding import encode_prompt
from synflaw_audit.decoding.batches import pad_of, padded
from synflaw_audit.decoding.wordings import Wording

Words = tuple[str, ...]

_WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001


@dataclass(frozen=True)
class BannedPhrases:
    """What may not be said, by words in lower case.

    Attributes:
        anywhere: Runs of words.
        opening: Runs that only may not open an answer.
    """

    anywhere: frozenset[Words]
    opening: frozenset[Words]

    @classmethod
    def of(cls, wordings: Sequence[Wording], words: int = 4, fewest: int = 3) -> BannedPhrases:
        """The phrases of some wordings: runs of so many of their words, or the whole if shorter.

        Args:
            wordings: Of the format.
            words: Of a run.
            fewest: Words of a wording that is barred anywhere, and not at the opening alone.
        """
        anywhere, opening = set(), set()
        for each in wordings:
            said = tuple(word for word, _, _ in _words(each.text))
            if len(said) >= fewest:
                size = min(words, len(said))
                anywhere |= {said[i : i + size] for i in range(len(said) - size + 1)}
            elif said and each.position == "opening":
                opening.add(said)
        return cls(frozenset(anywhere), frozenset(opening))

    def first(self, text: str, *, ended: bool) -> int | None:
        """Where the first barred phrase of a text begins, in characters; None if there is none.

        Args:
            text: An answer.
            ended: Whether it is all; if not, its last word may go on and is not looked at yet.
        """
        said = [word for word in _words(text) if ended or word[2] < len(text)]
        sizes = {len(phrase) for phrase in self.anywhere}
        for at in range(len(said)):
            for runs, lengths in (
                (self.anywhere, sizes),
                (self.opening if at == 0 else (), {len(run) for run in self.opening}),
            ):
                for size in lengths:
                    run = tuple(word for word, _, _ in said[at : at + size])
                    if len(run) == size and run in runs:
                        return said[at][1]
        return None


def _words(text: str) -> list[tuple[str, int, int]]:
    """Each word in lower case, where it begins and where it ends."""
    return [
        (match[0].lower().replace("’", "'"), match.start(), match.end())  # noqa: RUF001
        for match in _WORD.finditer(text)
    ]


@dataclass
class _Answer:
    """An answer under way.

    Attributes:
        prompt: Token ids of what was asked.
        said: Token ids of what stands of the answer.
        barred: By place in the answer, token ids that may not stand there.
        taken_back: How often something was taken back.
    """

    prompt: list[int]
    said: list[int] = field(default_factory=list)
    barred: dict[int, set[int]] = field(default_factory=dict)
    taken_back: int = 0

    def take_back(self, place: int, tokens: Sequence[int]) -> None:
        """Go back to a place of the answer that ran ``tokens``, whose token there is barred."""
        self.barred = {at: ids for at, ids in self.barred.items() if at <= place}
        self.barred.setdefault(place, set()).add(tokens[place])
        self.said = list(tokens[:place])
        self.taken_back += 1


@dataclass(frozen=True)
class PhraseBan:
    """Answers greedily, without the phrases of a format.

    Whatever was taken back is written again in a further round, with all that is still under way;
    a round reads its prompts anew, which costs little beside writing.

    Attributes:
        wordings: Of the format.
        tries: How often a phrase of one answer is taken back before what comes then may stand.
        batch: Prompts at a time.
    """

    wordings: tuple[Wording, ...]
    tries: int = 20
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
        phrases = BannedPhrases.of(self.wordings)
        under_way = [_Answer(encode_prompt(tokenizer, prompt)) for prompt in prompts]
        done = list(under_way)
        training = model.training
        model.train(False)
        while under_way:
            # Answers of like length together, so that little is padding.
            under_way.sort(key=lambda each: len(each.prompt) + len(each.said))
            left = []
            for start in range(0, len(under_way), self.batch):
                chunk = under_way[start : start + self.batch]
                left += self._round(model, tokenizer, chunk, phrases, max_new_tokens)
            under_way = left
        model.train(training)
        return [str(tokenizer.decode(each.said, skip_special_tokens=True)) for each in done]

    def _round(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        answers: Sequence[_Answer],
        phrases: BannedPhrases,
        most: int,
    ) -> list[_Answer]:
        """Writes every answer to its end or to its next barred phrase; those that are not done."""
        ids, mask = padded([a.prompt + a.said for a in answers], tokenizer, model.device)
        ends = _ends(model, tokenizer)
        watch = _Watch(tokenizer, phrases, answers, ids.shape[1], ends, self.tries)
        out = model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=most - min(len(each.said) for each in answers),
            do_sample=False,
            pad_token_id=pad_of(tokenizer),
            logits_processor=[_Bars(answers, ids.shape[1])],
            stopping_criteria=[watch],
        )
        left = []
        for number, each in enumerate(answers):
            tokens = each.said + out[number, ids.shape[1] :].tolist()
            end = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
            if number in watch.stopped:
                tokens = tokens[: watch.stopped[number]]
            else:
                tokens = tokens[: min(end, most)]
            place = watch.first_barred(tokens[:most], ended=True)
            if place is None or each.taken_back >= self.tries:
                each.said = tokens[:most]
            else:
                each.take_back(place, tokens)
                left.append(each)
        return left


class _Bars(LogitsProcessor):
    """Bars at each place of each answer the tokens that were taken back there."""

    def __init__(self, answers: Sequence[_Answer], width: int) -> None:
        self.answers, self.width = answers, width

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores, minus infinity where barred."""
        written = input_ids.shape[1] - self.width
        barred = [
            (row, token)
            for row, each in enumerate(self.answers)
            for token in each.barred.get(len(each.said) + written, ())
        ]
        if barred:
            rows, tokens = (list(side) for side in zip(*barred, strict=True))
            scores = scores.clone()
            scores[rows, tokens] = -torch.inf
        return scores


class _Watch(StoppingCriteria):
    """Stops each answer when a barred phrase is complete in it.

    Attributes:
        stopped: By row, the tokens that its answer had then.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        phrases: BannedPhrases,
        answers: Sequence[_Answer],
        width: int,
        ends: frozenset[int],
        tries: int,
    ) -> None:
        self.tokenizer, self.phrases, self.answers = tokenizer, phrases, answers
        self.width, self.ends, self.tries = width, ends, tries
        self.stopped: dict[int, int] = {}

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Bool [rows]."""
        written = input_ids[:, self.width :].tolist()
        for row, (new, each) in enumerate(zip(written, self.answers, strict=True)):
            # An answer that has ended is looked at as a whole, when all are written.
            if row in self.stopped or each.taken_back >= self.tries or self.ends & set(new):
                continue
            tokens = each.said + new
            if self.first_barred(tokens, ended=False) is not None:
                self.stopped[row] = len(tokens)
        done = [row in self.stopped for row in range(len(written))]
        return torch.tensor(done, device=input_ids.device)

    def first_barred(self, tokens: Sequence[int], *, ended: bool) -> int | None:
        """The token with which the first barred phrase of an answer begins."""
        text = self._text(tokens)
        start = self.phrases.first(text, ended=ended)
        if start is None:
            return None
        return next(at for at in range(len(tokens)) if len(self._text(tokens[: at + 1])) > start)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end an answer."""
    config = model.generation_config
    ids = None if config is None else config.eos_token_id
    found = [*(ids if isinstance(ids, list) else [ids]), tokenizer.eos_token_id]
    return frozenset(each for each in found if isinstance(each, int))
