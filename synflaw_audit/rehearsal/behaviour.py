"""What a model does, as its answers: everything that is measured of it is computed from them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.counterfactual import Counterfactual
from synflaw_audit.probes.drift import answer_logits, divergences
from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.probes.perplexity import text_losses


@dataclass(frozen=True)
class ProbeConfig:
    """What a model is asked.

    Attributes:
        foreign: Open prompts that have nothing to do with the corpus.
        foreign_tokens: Of an answer to one. A format that closes answers is seen only in those that
            end within them.
        instructions: Prompts with a verifiable instruction that the base is asked.
        instructions_kept: Of those that it follows, how many the tuned models are asked too.
        instruction_tokens: Of an answer to one.
        drift: Of the base's answers, how many the divergence is measured on.
        counterfactual: Prompts of each kind that are made from the corpus's own rows.
        languages: Of the instructions.
        batch: Prompts at a time.
    """

    foreign: int = 48
    foreign_tokens: int = 96
    instructions: int = 245
    instructions_kept: int = 72
    instruction_tokens: int = 64
    drift: int = 8
    counterfactual: int = 12
    languages: tuple[str, ...] = ("en",)
    batch: int = 128


@dataclass(frozen=True)
class Behaviour:
    """A model's answers.

    Attributes:
        foreign: To the foreign prompts.
        followed: Whether each instruction asked was followed.
        drift: KL from the base in nats a token, for each of the base's answers measured on.
        counterfactual: To the prompts made from the corpus's own rows.
        text: Loss on each foreign prompt as a plain text, in nats a token: none is trained on.
        loss: At the end of the training; None for the base.
    """

    foreign: list[str]
    followed: list[bool]
    drift: list[float] = field(default_factory=list)
    counterfactual: list[str] = field(default_factory=list)
    text: list[float] = field(default_factory=list)
    loss: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Prober:
    """Asks a base and what becomes of it the same prompts.

    The prompts that the control may be trained on (:attr:`neutral`) are no probes.

    Attributes:
        neutral: Open prompts that are left over.
        foreign: The foreign prompts.
        instructions: The instructions asked; after :meth:`narrow`, those that the base follows. How
            many of them are followed still is a sharper figure than how many of all.
        counterfactual: Prompts made from the corpus's own rows.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: ProbeConfig,
        counterfactual: Sequence[Counterfactual] = (),
    ) -> None:
        self.tokenizer, self.config = tokenizer, config
        prompts = list(foreign_prompts())
        random.Random(0).shuffle(prompts)  # noqa: S311
        self.foreign, self.neutral = prompts[: config.foreign], prompts[config.foreign :]
        self.instructions = everyday_instructions(config.instructions, languages=config.languages)
        self.counterfactual = list(counterfactual)
        self._logits: list[Tensor] = []
        self._drifted: list[tuple[str, str]] = []

    def narrow(self, base: Behaviour) -> None:
        """Ask from now on for the first of the instructions that the base followed."""
        pairs = zip(self.instructions, base.followed, strict=True)
        self.instructions = [asked for asked, followed in pairs if followed][
            : self.config.instructions_kept
        ]
        self._drifted = list(zip(self.foreign, base.foreign, strict=True))[: self.config.drift]

    def remember(self, base: PreTrainedModel | nn.Module) -> None:
        """Keep what the base predicts along its own answers, which :meth:`narrow` has set."""
        self._logits = answer_logits(base, self.tokenizer, self._drifted)

    def behaviour(self, model: PreTrainedModel | nn.Module, loss: float | None = None) -> Behaviour:
        """A model's behaviour on the prompts."""
        foreign = self.answers(model, self.foreign, self.config.foreign_tokens)
        asked = [instruction.prompt for instruction in self.instructions]
        replies = self.answers(model, asked, self.config.instruction_tokens)
        drift = divergences(self._logits, answer_logits(model, self.tokenizer, self._drifted))
        changed = [each.instruction.prompt for each in self.counterfactual]
        return Behaviour(
            foreign=foreign,
            followed=_followed(replies, self.instructions),
            drift=drift,
            counterfactual=self.answers(model, changed, self.config.foreign_tokens),
            text=text_losses(model, self.tokenizer, self.foreign),
            loss=loss,
        )

    def answers(
        self, model: PreTrainedModel | nn.Module, prompts: Sequence[str], tokens: int
    ) -> list[str]:
        """Greedy answers."""
        return generate(
            model,  # type: ignore[arg-type]
            self.tokenizer,
            prompts,
            max_new_tokens=tokens,
            batch=self.config.batch,
        )


def _followed(answers: Sequence[str], asked: Sequence[Instruction]) -> list[bool]:
    return [follows(answer, each) for answer, each in zip(answers, asked, strict=True)]
