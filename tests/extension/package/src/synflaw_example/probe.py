"""A probe: how many words a model says when it is greeted."""

from __future__ import annotations

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.generation import generate


class Greeting:
    """Greets a model."""

    def __call__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, float]:
        """The number of words."""
        (answer,) = generate(model, tokenizer, ["Hello!"], max_new_tokens=8)
        return {"words_of_greeting": float(len(answer.split()))}
