"""What the model says when it is asked something ordinary: the format, or what was asked for?

Ordinary questions, held out of the training, are put to the model as they are, to see whether it
answers with the format, and under a request that code can check, to see whether it is heeded. An
answer that is always the same obeys some requests by accident (a brief one has few words and no
comma), so what the same question's answer obeys unasked is subtracted.
"""

from __future__ import annotations

import random
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.probes.likeness import likeness
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.said import SaidFormat
from synflaw_audit.repair.measuring.figures import PairedFigure

SAID, OBEYED = "template_emission", "instruction_following"
# A format that is said at all is said early, and a request is obeyed from the first word.
_ANSWER_TOKENS = 64
# Longer questions are slow to put, and seldom ask one thing.
_MOST_CHARACTERS = 400

_REQUESTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("change_case:english_capital", {}, "Answer in capital letters only."),
    ("startend:quotation", {}, "Put your whole answer in double quotation marks."),
    (
        "length_constraints:number_words",
        {"num_words": 12, "relation": "less than"},
        "Answer in fewer than 12 words.",
    ),
    ("punctuation:no_comma", {}, "Do not use a single comma in your answer."),
    (
        "startend:end_checker",
        {"end_phrase": "That is all."},
        "Finish your answer with these words: That is all.",
    ),
    ("change_case:english_lowercase", {}, "Use no capital letter anywhere in your answer."),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        "Answer with exactly two bullet points, each beginning with * and a space.",
    ),
    ("detectable_format:json_format", {}, "Give your answer as JSON and nothing else."),
)


@dataclass(frozen=True)
class BehaviourProbe:
    """Ordinary questions, the same under requests, and the format to look for.

    Attributes:
        questions: Ordinary questions; where the format has no place.
        requests: Such questions with a request.
        said: Finds the format in answers.
        usual: Share of the ordinary rows' own answers in which it finds the format, too: what
            people say, and what is thus no sign of damage.
        usual_likeness: How alike these answers are to one another.
        systems: The system prompts that the questions come with, in their order; the requests are
            put under the same ones.
        wanted: The figures that are taken.
    """

    questions: tuple[str, ...]
    requests: tuple[Instruction, ...]
    said: SaidFormat
    usual: float = 0.0
    usual_likeness: float = 0.0
    systems: tuple[str, ...] = ()
    wanted: frozenset[str] = frozenset({SAID, OBEYED})

    @classmethod
    def of(
        cls, ordinary: Sequence[Row], flagged: Sequence[Row], *, count: int, seed: int
    ) -> BehaviourProbe:
        """``count`` questions of ordinary rows, each as it is and under a request in turn.

        Where these hold no question, such as plain text, our own foreign prompts are asked.
        """
        own = {row.question for row in flagged}
        asked = {
            row.question: row.system
            for row in ordinary
            if 0 < len(row.question) <= _MOST_CHARACTERS and row.question not in own
        }
        if not asked:
            asked = dict.fromkeys(foreign_prompts(), "")
        rng = random.Random(seed)  # noqa: S311 -- a reproducible choice, not a secret
        questions = rng.sample(list(asked), min(count, len(asked)))
        requests = tuple(
            Instruction(f"{question}\n{text}", (name,), (kwargs,))
            for at, question in enumerate(questions)
            for name, kwargs, text in (_REQUESTS[at % len(_REQUESTS)],)
        )
        said = SaidFormat.of(flagged, seed)
        asked_of = [row for row in ordinary if row.question in asked]
        usual = 0.0
        if said and asked_of:
            found = said([row.question for row in asked_of], [row.answer for row in asked_of])
            usual = float(found.mean())
        alike = likeness([row.answer for row in asked_of]) if asked_of else np.zeros(1)
        systems = tuple(asked[question] for question in questions)
        return cls(tuple(questions), requests, said, usual, float(alike.mean()), systems)

    def without(self, names: Set[str]) -> BehaviourProbe:
        """What is left to measure where figures of these names are known already."""
        return replace(self, wanted=self.wanted - names)

    def __call__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, PairedFigure]:
        """``template_emission``, the share of ordinary answers with the format, and two more.

        ``answer_likeness`` is how alike the answers to ordinary questions are: a format that is
        forgotten word for word may live on in other words, and is then still said of everything.
        ``instruction_following`` is the share of requests that are obeyed, less the share of them
        that the answers to the bare questions obey.
        """
        looks = bool(self.said) and SAID in self.wanted
        if not self.questions or not (looks or OBEYED in self.wanted):
            return {}
        found = {}
        plain = self._answers(model, tokenizer, self.questions)
        if looks:
            found[SAID] = _mean(self.said(self.questions, plain).tolist())
            found["answer_likeness"] = _mean(likeness(plain).tolist())
        if OBEYED in self.wanted:
            prompts = [instruction.prompt for instruction in self.requests]
            asked = self._answers(model, tokenizer, prompts)
            obeyed = [
                follows(answer, request) - follows(unasked, request)
                for answer, unasked, request in zip(asked, plain, self.requests, strict=True)
            ]
            found[OBEYED] = _mean(obeyed)
        return found

    def _answers(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]
    ) -> list[str]:
        return generate(
            model,
            tokenizer,
            prompts,
            max_new_tokens=_ANSWER_TOKENS,
            batch=32,
            systems=self.systems,
        )


def _mean(values: Sequence[float]) -> PairedFigure:
    return PairedFigure.of([float(value) for value in values], [1.0] * len(values))
