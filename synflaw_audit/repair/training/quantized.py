"""Models loaded in 4 or 8 bits by bitsandbytes, under adapters that are trained (QLoRA).

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs", arXiv:2305.14314.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from synflaw_audit.errors import MissingExtraError, RepairError


def loading(load_in: str, device: torch.device, *, bf16: bool) -> dict[str, Any]:
    """What ``from_pretrained`` must be told to load a model so.

    Args:
        load_in: ``4bit`` (NF4, its constants quantised too) or ``8bit`` (LLM.int8).
        device: Where the model goes; it cannot be moved afterwards.
        bf16: Multiply in bfloat16 instead of float32.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
        RepairError: It cannot train so on this device.
    """
    if find_spec("bitsandbytes") is None:
        raise MissingExtraError(f"Loading a model in {load_in}", "quantized")
    if load_in == "4bit" and device.type == "cpu":
        # Measuring the model repacks its weights for inference, and no gradient passes them then.
        raise RepairError("load_in 4bit: bitsandbytes trains in 4 bits on a GPU only; use 8bit")
    from transformers import BitsAndBytesConfig

    settings = (
        BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
        )
        if load_in == "4bit"
        else BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    )
    return {"quantization_config": settings, "device_map": {"": device}}
