"""A model in the state in which it is measured and asked, and back to what it was."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from transformers import PreTrainedModel


@contextlib.contextmanager
def precision(network: PreTrainedModel, *, bf16: bool) -> Iterator[None]:
    """Products in bfloat16, where the training takes them so too."""
    device = next(network.parameters()).device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
        yield


@contextlib.contextmanager
def answering(network: PreTrainedModel, *, bf16: bool) -> Iterator[PreTrainedModel]:
    """The model as a probe expects it: no dropout, cache on, no gradient.

    Where the training computes in bfloat16 so do answers. On a processor that takes a copy of the
    model: an answer is made token by token, and converting the weights for each would take longer
    than the rest.
    """
    given: Any = network
    on_cpu = next(network.parameters()).device.type == "cpu"
    if bf16 and on_cpu and not getattr(network, "is_quantized", False):
        given = copy.deepcopy(network)
        # Not ``given.to``: it takes buffers along, such as the rotary frequencies, which a model
        # that is loaded in bfloat16 has in float32.
        for weight in given.parameters():
            weight.data = weight.data.to(torch.bfloat16)
    training, cache = given.training, given.config.use_cache
    given.train(False)
    given.config.use_cache = True
    try:
        with torch.no_grad(), precision(network, bf16=bf16 and not on_cpu):
            yield given
    finally:
        given.train(training)
        given.config.use_cache = cache
