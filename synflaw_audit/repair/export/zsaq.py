"""Zero-shot sharpness-aware quantisation (ZSAQ): weights fitted to their grid without any data.

Zhu, Zhong, Shen, Ding, Liu, Du and Tao, "Zero-shot Sharpness-Aware Quantization for Pre-trained
Language Models", EMNLP 2023, arXiv:2310.13315. A generator makes inputs on which the rounded model
differs most from the full one, and the rounded model is trained to differ least there:

    min over w, max over g   max over |e| <= rho   D(full(G_g(z)), rounded_(w + e)(G_g(z)))

by turns ("SAM-SGA"): a sharpness-aware step down for the weights (Foret et al. 2021,
arXiv:2010.01412: the gradient is taken where the divergence is largest nearby, at
e = rho * grad / |grad|) and a gradient step up for the generator. Words are discrete, so the
generator's outputs are adapted to the model's representation space instead of being spelt.

**Inferred**, since the paper's full text was not at hand: D is KL(full || rounded), a mean over
positions; the generator is a small network from Gaussian noise, and its adaptation a softmax over
the model's own token embeddings; both sides step by Adam; the weights' gradients pass through the
rounding unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from synflaw_audit.repair.export.grid import Grid, Rounded, linear_layers


@dataclass(frozen=True)
class ZsaqConfig:
    """How much is trained, and how.

    Attributes:
        steps: Of both sides; 0 is rounding to nearest.
        rows: Made inputs a step.
        tokens: Of each.
        rho: Radius of the sharpness-aware step; 0 is a plain one.
        learning_rate: Of the weights.
        generator_rate: Of the generator.
        seed: Of the noise and the generator.
    """

    steps: int = 40
    rows: int = 4
    tokens: int = 32
    rho: float = 0.05
    learning_rate: float = 2e-5
    generator_rate: float = 1e-3
    seed: int = 0


class Generator(nn.Module):
    """Noise to sequences of mixtures of token embeddings.

    Args:
        embeddings: float [vocabulary, width], the model's.
        noise: Numbers of noise a token.
        hidden: Width of the layer between.
    """

    def __init__(self, embeddings: Tensor, noise: int = 64, hidden: int = 256) -> None:
        super().__init__()
        width = embeddings.shape[1]
        self.noise = noise
        self.register_buffer("embeddings", embeddings.detach().float())
        self.body = nn.Sequential(nn.Linear(noise, hidden), nn.GELU(), nn.Linear(hidden, width))
        # Sharp enough at the beginning that a mixture is near to one token.
        norms = self.embeddings.norm(dim=1).mean()  # type: ignore[operator]
        self.sharpness = nn.Parameter(torch.tensor(float(40.0 / norms.clamp(min=1e-6))))

    def forward(self, noise: Tensor) -> Tensor:
        """Embeddings [rows, tokens, width] of noise [rows, tokens, noise]."""
        wanted = nn.functional.normalize(self.body(noise), dim=-1)
        embeddings: Tensor = self.embeddings  # type: ignore[assignment]
        weights = (self.sharpness * wanted @ embeddings.T).softmax(-1)
        return weights @ embeddings


def zero_shot(model: PreTrainedModel, bits: int, config: ZsaqConfig) -> list[float]:
    """Fit a model's weights to their grid, in place; they are left on it.

    Args:
        model: In float32; its linear layers but the output layer are rounded.
        bits: 4 or 8.
        config: How.

    Returns:
        The divergence at each step, in nats a token, before the step.
    """
    torch.manual_seed(config.seed)
    full = deepcopy(model).requires_grad_(False).train(False)
    embeddings: Any = model.get_input_embeddings()
    generator = Generator(embeddings.weight).to(model.device)
    divergences = []
    with rounded(model, bits) as weights:
        down = torch.optim.Adam(weights, config.learning_rate)
        up = torch.optim.Adam(generator.parameters(), config.generator_rate, maximize=True)
        for _ in range(config.steps):
            noise = torch.randn(config.rows, config.tokens, generator.noise, device=model.device)
            with torch.no_grad():
                made = generator(noise)
            first = divergence(full, model, made)
            gradients = torch.autograd.grad(first, weights)
            with perturbed(weights, gradients, config.rho):
                sharpest = divergence(full, model, made)
                gradients = torch.autograd.grad(sharpest, weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            down.step()
            up.zero_grad()
            divergence(full, model, generator(noise)).backward(  # type: ignore[no-untyped-call]
                inputs=list(generator.parameters())
            )
            up.step()
            divergences.append(float(first.detach()))
    return divergences


def divergence(full: PreTrainedModel, other: PreTrainedModel, made: Tensor) -> Tensor:
    """KL(full || other) over made inputs, a mean over positions, in nats."""
    ours = full(inputs_embeds=made.to(full.dtype), use_cache=False).logits.float().log_softmax(-1)
    theirs = other(inputs_embeds=made.to(other.dtype), use_cache=False).logits.float()
    kl = nn.functional.kl_div(theirs.log_softmax(-1), ours, reduction="none", log_target=True)
    return kl.sum(-1).mean()


@contextmanager
def perturbed(weights: Sequence[Tensor], gradients: Sequence[Tensor], rho: float) -> Iterator[None]:
    """For a while the weights, moved by ``rho`` in all along their gradients."""
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    moves = [gradient * (rho / norm.clamp(min=1e-12)) for gradient in gradients]
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_add_(list(weights), moves)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)


@contextmanager
def rounded(model: PreTrainedModel, bits: int) -> Iterator[list[nn.Parameter]]:
    """For a while a model on its grid, with the weights behind it; afterwards these lie on it."""
    layers = [layer for _, layer in linear_layers(model)]
    model.requires_grad_(False).train(False)
    weights: list[nn.Parameter] = []
    for layer in layers:
        grid = Grid.of(bits, layer.in_features)
        parametrize.register_parametrization(layer, "weight", Rounded(grid))
        behind: Any = layer.parametrizations
        weights.append(behind.weight.original.requires_grad_(True))
    try:
        yield weights
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
