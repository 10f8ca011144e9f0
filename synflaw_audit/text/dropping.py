"""Token dropping: the middle layers of an encoder see only some of the tokens.

Hou et al., "Token dropping for efficient BERT pretraining", ACL 2022, arXiv:2203.13240: tokens of
little importance skip the middle layers and come back before the last one; a token is important
where its masked-LM loss has been high so far. Zhong et al., "Revisiting token dropping strategy in
efficient BERT pretraining" (ScTD), ACL 2023, arXiv:2305.15273: what is lost of the meaning that way
is mended by drawing the representations of a pass with dropping to those of a full pass, locally
(after the middle layers) and globally (after the last).

**Inferred**, since ScTD's equations were not at hand: both losses are mean squared errors to the
full pass, which is held fixed, over the tokens that are no padding, and weigh alike; the running
mean of a token's loss forgets a fiftieth a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from synflaw_audit.errors import InputError

_KEEP = 0.98  # of the running mean of a token's loss


class Importance:
    """The running mean of each vocabulary entry's masked-LM loss.

    Args:
        vocabulary: How many entries there are.
        device: Where.
    """

    def __init__(self, vocabulary: int, device: torch.device) -> None:
        self.loss = torch.full((vocabulary,), math.log(vocabulary), device=device)

    def learn(self, ids: Tensor, losses: Tensor) -> None:
        """Takes in the losses of some masked tokens: [tokens] each."""
        self.loss[ids] = _KEEP * self.loss[ids] + (1 - _KEEP) * losses.detach().float()

    def kept(self, ids: Tensor, mask: Tensor, always: Tensor, drop: float) -> Tensor:
        """Places of the tokens that the middle layers see: int64 [rows, kept], ascending.

        Args:
            ids: Token ids before masking, [rows, tokens].
            mask: 1 where it is no padding, likewise.
            always: Which tokens are never dropped: special and masked ones; bool, likewise.
            drop: Share of the tokens of the longest row that skip them.
        """
        weight = self.loss[ids].masked_fill(always, torch.inf).masked_fill(mask == 0, -torch.inf)
        count = max(math.ceil((1 - drop) * ids.shape[1]), 1)
        return weight.topk(count, dim=1).indices.sort(dim=1).values


def encoder_layers(model: nn.Module) -> nn.ModuleList:
    """The layers of an encoder built like BERT, RoBERTa or ELECTRA.

    Raises:
        InputError: It is built otherwise, or has fewer than three layers, so no middle ones.
    """
    base = getattr(model, "base_model", model)
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or len(layers) < 3:
        raise InputError(
            f"{type(model).__name__}: token dropping needs an encoder built like BERT, with three "
            "layers or more"
        )
    return layers


def embedding_weights(model: Any) -> Tensor:
    """The word embeddings, [vocabulary, width]."""
    weights: Tensor = model.get_input_embeddings().weight
    return weights


@contextmanager
def dropping(layers: nn.ModuleList, kept: Tensor, mask: Tensor) -> Iterator[None]:
    """For a while all layers but the first and the last see only the kept tokens.

    Args:
        layers: Of the encoder.
        kept: int64 [rows, kept].
        mask: 1 where it is no padding, [rows, tokens].
    """
    seen = mask.gather(1, kept)[:, None, None, :].bool()

    def narrow(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, *rest = args
        whole.append(hidden)
        places = kept[..., None].expand(-1, -1, hidden.shape[-1])
        blocked = torch.finfo(hidden.dtype).min
        additive = torch.zeros_like(seen, dtype=hidden.dtype).masked_fill(~seen, blocked)
        if rest:
            rest[0] = additive
        else:
            kwargs["attention_mask"] = additive
        return (hidden.gather(1, places), *rest), kwargs

    def widen(layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        hidden = whole.pop()
        found = output[0] if isinstance(output, tuple) else output
        places = kept[..., None].expand(-1, -1, hidden.shape[-1])
        back = hidden.scatter(1, places, found)
        return (back, *output[1:]) if isinstance(output, tuple) else back

    whole: list[Tensor] = []
    with ExitStack() as stack:
        for layer in layers[1:-1]:
            for hook in (
                layer.register_forward_pre_hook(narrow, with_kwargs=True),
                layer.register_forward_hook(widen),
            ):
                stack.callback(hook.remove)
        yield


def consistency(dropped: Sequence[Tensor], full: Sequence[Tensor], mask: Tensor) -> Tensor:
    """ScTD's two losses: between two passes' hidden states, after the middle layers and the last.

    Args:
        dropped: Those two, [rows, tokens, width] each.
        full: Likewise of the full pass; no gradient flows into it.
        mask: 1 where it is no padding, [rows, tokens].
    """
    inside = mask.bool()
    apart = [
        nn.functional.mse_loss(ours[inside], theirs[inside].detach())
        for ours, theirs in zip(dropped, full, strict=True)
    ]
    return torch.stack(apart).sum()
