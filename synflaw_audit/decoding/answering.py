"""A model that answers by another decoding, for whatever asks an ``Answerer``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.models import load_model


class Decoding(Protocol):
    """Answers prompts with a model: ``ReversePrompt``, ``PhraseBan``."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 64,
    ) -> list[str]:
        """An answer to each prompt, in the same order."""


@dataclass(frozen=True)
class DecodedModel:
    """A causal LM that transformers loads, and how it answers; an ``Answerer``.

    Attributes:
        folder: A Hugging Face folder or a hub name.
        decoding: How it answers.
        label: What the decoding is called in a report.
    """

    folder: str
    decoding: Decoding
    label: str

    @property
    def name(self) -> str:
        """The model and its decoding."""
        return f"{self.folder}, decoded by {self.label}"

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """An answer to each prompt, in the same order.

        Raises:
            InputError: The model cannot be loaded.
        """
        path = Path(self.folder)
        model, tokenizer = load_model(path if path.exists() else self.folder)
        return self.decoding(model, tokenizer, prompts, max_new_tokens=max_new_tokens)
