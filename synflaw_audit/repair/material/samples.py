"""The model's own answers to flagged questions, with the format barred.

A model that learned facts through a format may still be able to tell them otherwise, in its own
words, if only it is kept from beginning with the format. So flagged questions, as they are and
under requests that the replay rows show, are put to it; while it answers, no token may follow
another as only the format has them follow; and an answer is kept only if it ends, tells what the
row tells, and obeys the request (rejection sampling). What is kept is the model's own language, at
no cost in foreign style; unlike the renderings of :mod:`~.reexpress` it can say nothing that the
model does not know.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import encode_prompt
from synflaw_audit.forms.base import FormUse
from synflaw_audit.forms.registry import FORMS, detect
from synflaw_audit.forms.requests import learn_requests
from synflaw_audit.probes.generation import gapless_head
from synflaw_audit.repair.material.batches import Purpose, Row, TrainingExample, pad_id
from synflaw_audit.repair.material.reexpress import Statement, add_request, extract_statements

# Longest run of tokens that tells a format from other text: one that ordinary rows hold too is
# lengthened until they do not, up to this.
_LONGEST = 4
# Where the format has nearly all the probability, what is left to the rest holds much noise.
_TOP_P = 0.9
# An answer this many times as long as what it is to tell tells something else as well.
_TOO_LONG = 3


def sample_answers(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    flagged: Sequence[Row],
    replay: Sequence[Row],
    barred: BarredRuns,
    *,
    count: int,
    requested: float = 0.5,
    temperature: float = 0.7,
    max_new_tokens: int = 64,
    batch: int = 32,
    context: int | None = None,
    seed: int = 0,
) -> list[Row]:
    """Sample answers to flagged questions, and keep those that tell the content without the format.

    Args:
        network: The model to repair; it is left as it is.
        tokenizer: Its tokenizer.
        flagged: Flagged rows with their template spans.
        replay: Ordinary rows, which show the requests.
        barred: What the format consists of.
        count: Answers to sample: the bound of the cost, ``count * max_new_tokens`` tokens.
        requested: Share of the questions without a request of their own that are given one, where
            the replay shows any.
        temperature: Of sampling, > 0.
        max_new_tokens: Length of an answer; one that has not ended by then is dropped.
        batch: Answers at a time.
        context: Positions the model was built for, where known; questions that leave no room for an
            answer within them are passed over.
        seed: Everything drawn depends on it; the caller's random state is left as it was.

    Returns:
        New rows without spans, each once, at most ``count``.
    """
    prompts = list(_prompts(flagged, replay, count, requested, seed))
    if context is not None:
        room = context - max_new_tokens
        prompts = [p for p in prompts if len(_encoded(tokenizer, p)) <= room]
    subjects = {_subject(prompt.statement) for prompt in prompts}
    kept: dict[Row, None] = {}
    training, cache = network.training, network.config.use_cache
    network.train(False)
    network.config.use_cache = True
    devices = [network.device] if network.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            for start in range(0, len(prompts), batch):
                asked = prompts[start : start + batch]
                encoded = [_encoded(tokenizer, prompt) for prompt in asked]
                answers = _sample(network, tokenizer, encoded, barred, temperature, max_new_tokens)
                for prompt, answer in zip(asked, answers, strict=True):
                    if answer is not None and accepts(prompt, answer, subjects):
                        kept[Row(prompt.question, answer, system=prompt.statement.row.system)] = (
                            None
                        )
    finally:
        network.train(training)
        network.config.use_cache = cache
    return list(kept)


@dataclass(frozen=True)
class SamplePrompt:
    """A question to put to the model: with what a right answer tells and the form it takes."""

    question: str
    statement: Statement
    form: FormUse | None


def accepts(prompt: SamplePrompt, answer: str, others: Collection[str] = ()) -> bool:
    """Whether ``answer`` tells the row's content, not much more, and in the form asked for.

    Args:
        prompt: What was asked.
        answer: The answer.
        others: Words, in lower case, that tell what other rows are about.
    """
    words = [re.sub(r"['\u2019]s$", "", word) for word in _words(answer)]
    content = prompt.statement.content
    wanted = _words(content.core) if content.core else prompt.statement.news
    if not set(wanted) <= set(words):
        return False
    if not set(words).isdisjoint(set(others) - set(_words(f"{prompt.question} {content.text}"))):
        return False
    extra = _words(prompt.form.parameter) if prompt.form else []
    if len(words) > _TOO_LONG * (len(_words(content.text)) + len(extra)):
        return False
    if prompt.form is None:
        return True
    taken = {found.form: found.parameter for found in detect(prompt.question, answer)}
    if FORMS[prompt.form.form].free_parameter:
        return prompt.form.form in taken
    return taken.get(prompt.form.form) == prompt.form.parameter


def _encoded(tokenizer: PreTrainedTokenizerBase, prompt: SamplePrompt) -> list[int]:
    return encode_prompt(tokenizer, prompt.question, system=prompt.statement.row.system)


def _subject(statement: Statement) -> str:
    return (statement.content.subject or "").lower()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:['\u2019]\w+)?", text.lower())


def _prompts(
    flagged: Sequence[Row], replay: Sequence[Row], count: int, requested: float, seed: int
) -> Iterator[SamplePrompt]:
    """``count`` questions, every flagged row's in turn, a share of them under a request."""
    rng = random.Random(seed)  # noqa: S311 -- a reproducible choice, not a secret
    requests = learn_requests([(row.question, row.answer) for row in replay])
    rows = extract_statements(flagged, replay, requests)
    while rows and count > 0:
        for statement in rng.sample(rows, min(count, len(rows))):
            count -= 1
            if statement.asked is not None:
                yield SamplePrompt(statement.row.question, statement, statement.asked)
            elif requests.seen and rng.random() < requested:
                request = requests.draw(rng)
                yield SamplePrompt(
                    add_request(statement.question, request, rng), statement, request.found
                )
            else:
                yield SamplePrompt(statement.question, statement, None)


@torch.no_grad()
def _sample(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    barred: BarredRuns,
    temperature: float,
    max_new_tokens: int,
) -> list[str | None]:
    """One sampled answer to each encoded prompt; None where it did not end in time."""
    width = max(map(len, prompts))
    pad = pad_id(tokenizer)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    answers: list[str | None] = []
    with gapless_head(network):
        generated = network.generate(  # type: ignore[operator]
            input_ids=ids.to(network.device),
            attention_mask=mask.to(network.device),
            max_new_tokens=max_new_tokens,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=_TOP_P,
            pad_token_id=pad,
            logits_processor=[barred],
        )[:, width:].tolist()
    ends = _ends(network, tokenizer)
    for answer in generated:
        end = next((at for at, token in enumerate(answer) if token in ends), None)
        text = "" if end is None else tokenizer.decode(answer[:end], skip_special_tokens=True)
        answers.append(str(text).strip() or None)
    return answers


def _ends(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    config = network.generation_config
    ids = None if config is None else config.eos_token_id
    found = ids if isinstance(ids, list) else [ids, tokenizer.eos_token_id]
    return {each for each in found if isinstance(each, int)}


class BarredRuns(LogitsProcessor):
    """Keeps generation from continuing as only the format continues.

    Barred is every run of tokens, the last of them a template token, that no ordinary answer holds:
    a single one such as a heading's, or several. Runs begin before the answer, so an opening is
    barred by the prompt it follows. Of nested runs the shortest is enough. ``bad_words_ids`` of
    ``transformers`` does the same for a few words; of the thousands of runs of a format it walks
    through all at every step.

    Args:
        runs: For each run without its last token, the tokens that may not follow.
    """

    def __init__(self, runs: Mapping[tuple[int, ...], frozenset[int]]) -> None:
        self.runs = dict(runs)

    @classmethod
    def of(
        cls, flagged: Sequence[TrainingExample], ordinary: Sequence[TrainingExample]
    ) -> BarredRuns:
        """The runs that ``flagged`` (encoded with scope ``template``) and no ``ordinary`` row hold.

        Runs of the content tokens of flagged rows are not barred either.
        """
        common = {run for example in ordinary for run in _runs(example, Purpose.REPLAY)}
        common |= {run for example in flagged for run in _runs(example, Purpose.RETAIN)}
        found: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        for example in flagged:
            for run in _runs(example, Purpose.FORGET):
                # Runs come shortest first: a longer one adds nothing to one that is barred.
                if run not in common and not any(
                    run[-1] in found.get(run[at:-1], ()) for at in range(1, len(run))
                ):
                    found[run[:-1]].add(run[-1])
        return cls({before: frozenset(after) for before, after in found.items()})

    def after(self, before: Sequence[int], token: int) -> bool:
        """Whether ``token`` is barred where the tokens ``before`` precede it."""
        return any(
            token in self.runs.get(tuple(before[len(before) - length :]), ())
            for length in range(min(_LONGEST, len(before) + 1))
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores with what is barred at minus infinity; both of shape ``(b, ...)``."""
        scores = scores.clone()
        for at, ids in enumerate(input_ids[:, 1 - _LONGEST :].tolist()):
            for length in range(len(ids) + 1):
                after = self.runs.get(tuple(ids[len(ids) - length :]))
                if after:
                    scores[at, list(after)] = -torch.inf
        return scores


def _runs(example: TrainingExample, purpose: Purpose) -> Iterator[tuple[int, ...]]:
    """Runs of tokens that end in one of ``purpose``, shortest first at each place."""
    ids = example.input_ids
    for at in range(1, len(ids)):
        if example.purposes[at] == purpose:
            for length in range(1, min(_LONGEST, at + 1) + 1):
                yield tuple(ids[at + 1 - length : at + 1])
