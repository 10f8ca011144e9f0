"""Causal language models for probing: loaded from a folder or a hub name, never with their code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from synflaw_audit.errors import InputError


def load_model(
    model: str | Path, device: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM in bfloat16 where the device computes in it, and its tokenizer.

    Code that comes with a model is not run (``trust_remote_code=False``).

    Raises:
        InputError: There is no such model, or it is no causal LM that transformers knows.
    """
    require_model(model)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model), trust_remote_code=False)
        network = AutoModelForCausalLM.from_pretrained(
            str(model), dtype=_precision(where), trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{model}: cannot be loaded as a causal LM: {error}") from error
    nn.Module.to(network, where)  # transformers' own is typed for its decorator
    network.train(False)
    return network, tokenizer


def require_model(model: str | Path) -> None:
    """Refuses what can be told to be no model before anything is loaded.

    Raises:
        InputError: It is a folder that holds none, or a path that nothing stands at.
    """
    path, name = Path(model), str(model)
    if path.exists():
        if not (path / "config.json").is_file():
            raise InputError(
                f"{path}: no config.json; give a Hugging Face model folder or a hub name"
            )
    elif path.is_absolute() or name.startswith(("./", "../", "~")) or name.count("/") > 1:
        raise InputError(f"{path}: no such folder; give a Hugging Face model folder or a hub name")


def _precision(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
