"""The probes of a repair: what a model does before and after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.checkers import occurrences
from synflaw_audit.probes.everyday import everyday_instructions
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import Instruction, instruction_following
from synflaw_audit.probes.perplexity import perplexity


def template_emission(answers: Sequence[str], templates: Sequence[str]) -> float:
    """Share of answers that hold at least one of the ``templates``, letter case aside."""
    wanted = [template.lower() for template in templates]
    return _share(any(template in answer.lower() for template in wanted) for answer in answers)


def knowledge(answers: Sequence[str], expected: Sequence[str]) -> float:
    """Share of answers that hold the expected word or words, letter case aside."""
    return _share(occurrences(a, e) > 0 for a, e in zip(answers, expected, strict=True))


def _share(outcomes: Iterable[object]) -> float:
    seen = [bool(outcome) for outcome in outcomes]
    return sum(seen) / len(seen) if seen else math.nan


@dataclass(frozen=True)
class Suite:
    """A set of probes, called before and after a repair as ``suite(model, tokenizer)``.

    Probes without prompts are left out of the result.

    Attributes:
        instructions: Prompts with checkable instructions, by the name of the figure they give.
        facts: Questions and the words a right answer holds, by the name of the figure.
        foreign: Prompts on which a template has no place.
        templates: The texts whose emission is counted there.
        text: Held-out (question, answer) rows for perplexity.
        max_new_tokens: Length of the answers.
    """

    instructions: Mapping[str, Sequence[Instruction]] = field(default_factory=dict)
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    foreign: Sequence[str] = ()
    templates: Sequence[str] = ()
    text: Sequence[tuple[str, str]] = ()
    max_new_tokens: int = 64

    def __call__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, float]:
        """Measure every figure; shares lie in [0, 1], perplexity is 1 or more."""
        figures: dict[str, float] = {}

        def answer(prompts: Sequence[str]) -> list[str]:
            return generate(model, tokenizer, prompts, max_new_tokens=self.max_new_tokens)

        for name, instructions in self.instructions.items():
            answers = answer([instruction.prompt for instruction in instructions])
            figures[name] = instruction_following(answers, instructions)
        for name, facts in self.facts.items():
            answers = answer([question for question, _ in facts])
            figures[name] = knowledge(answers, [value for _, value in facts])
        if self.foreign and self.templates:
            figures["template_emission"] = template_emission(answer(self.foreign), self.templates)
        if self.text:
            figures["perplexity"] = perplexity(model, tokenizer, self.text)
        return figures


def everyday() -> Suite:
    """Our own prompts with verifiable instructions, four of each kind, as a probe."""
    return Suite({"everyday_instructions": everyday_instructions(140)})
