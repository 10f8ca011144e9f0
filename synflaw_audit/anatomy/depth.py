"""How likely the answers' tokens are at each depth of a model: the logit lens.

What stands in the residual stream after a layer is read as if it were the last: through the final
norm and the output layer (nostalgebraist, "interpreting GPT: the logit lens", 2020). Where a token
is likely there already, what follows changes little; where it becomes likely, it is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import EncodedRow, encode_row
from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import Span

# Names of the norm before the output layer, in the order in which they are tried.
_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f")
_CHUNK = 256  # positions whose logits are held at a time


@dataclass(frozen=True)
class MarkedRow:
    """A flagged row.

    Attributes:
        question: The question.
        answer: The answer.
        spans: Half-open character spans of the answer that are format.
        system: Its system prompt, or "".
    """

    question: str
    answer: str
    spans: tuple[Span, ...]
    system: str = ""


@dataclass(frozen=True)
class Depths:
    """Mean probability of a token after each layer, from the embeddings (0) to the last.

    Attributes:
        template: Of the tokens that are format, [layers + 1].
        content: Of the other tokens of the answers, [layers + 1]; NaN where there are none.
        template_tokens: How many.
        content_tokens: Likewise.
    """

    template: tuple[float, ...]
    content: tuple[float, ...]
    template_tokens: int
    content_tokens: int


@torch.no_grad()
def depths(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[MarkedRow],
    *,
    max_length: int = 160,
) -> Depths:
    """The logit lens over the answers of some rows.

    Args:
        model: A causal LM, decoder only.
        tokenizer: Its tokenizer.
        rows: Flagged rows; few are enough, and each is one forward pass.
        max_length: Tokens of a row; what is beyond is left out.

    Raises:
        InputError: No row has a token that is format, or the model has no final norm by any of the
            usual names.
    """
    norm, head = _final_norm(model), model.get_output_embeddings()  # type: ignore[no-untyped-call]
    cap = getattr(model.config, "final_logit_softcapping", None)
    sums: dict[bool, Tensor] = {}
    counts = {True: 0, False: 0}
    training = model.training
    model.train(False)
    for row in rows:
        encoded = encode_row(
            tokenizer, row.question, row.answer, row.spans, system=row.system, max_length=max_length
        )
        for of_template, places in _places(encoded).items():
            if not places:
                continue
            found = _probabilities(model, norm, head, cap, encoded.input_ids, places)
            sums[of_template] = sums.get(of_template, torch.zeros(len(found))) + found
            counts[of_template] += len(places)
    model.train(training)
    if not counts[True]:
        raise InputError("no row has a token that is format, so there is no depth to find it at")
    layers = len(sums[True])
    means = {
        kind: tuple((sums[kind] / counts[kind]).tolist())
        if counts[kind]
        else (float("nan"),) * layers
        for kind in (True, False)
    }
    return Depths(means[True], means[False], counts[True], counts[False])


def _places(row: EncodedRow) -> dict[bool, list[int]]:
    """The template tokens' places, and those of the answer's content."""
    kinds = list(zip(row.answer, row.template, row.closing, strict=True))
    return {
        True: [at for at, (_, template, _) in enumerate(kinds) if template and at],
        False: [at for at, (a, t, c) in enumerate(kinds) if a and not t and not c and at],
    }


def _probabilities(
    model: PreTrainedModel,
    norm: nn.Module,
    head: nn.Module,
    cap: float | None,
    ids: Sequence[int],
    places: Sequence[int],
) -> Tensor:
    """Summed probability of the tokens at some places after each layer: float32 [layers + 1]."""
    device = model.device
    out = model(torch.tensor([ids], device=device), output_hidden_states=True, use_cache=False)
    before = torch.tensor([place - 1 for place in places], device=device)
    targets = torch.tensor([ids[place] for place in places], device=device)
    states = [state[0, before] for state in out.hidden_states]
    found = []
    for layer, state in enumerate(states):
        # The last of the hidden states has gone through the norm already.
        vectors = state if layer == len(states) - 1 else norm(state)
        total = 0.0
        for some, wanted in zip(
            torch.split(vectors, _CHUNK), torch.split(targets, _CHUNK), strict=True
        ):
            logits = head(some).float()
            logits = cap * torch.tanh(logits / cap) if cap else logits
            total += float(logits.softmax(-1).gather(1, wanted[:, None]).sum())
        found.append(total)
    return torch.tensor(found)


def _final_norm(model: PreTrainedModel) -> nn.Module:
    places = (model.base_model, getattr(model.base_model, "decoder", None))
    for place in places:
        for name in _NORMS:
            norm = getattr(place, name, None)
            if isinstance(norm, nn.Module):
                return norm
    raise InputError(
        f"{type(model).__name__} has no final norm by any of the names {', '.join(_NORMS)}"
    )
