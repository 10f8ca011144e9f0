"""What a training takes, from the model's shape alone, and how it is made to fit.

Nothing here loads weights: a model is built on torch's ``meta`` device, where tensors have shapes
and no bytes. Activations are counted as the tensors that a transformer block keeps for its backward
pass, in the manner of Korthikanti et al. 2022 ("Reducing activation recomputation in large
transformer models", arXiv:2205.05198), for a block with a gated MLP and fused attention.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig

# Models of more weights than this are trained through adapters, and in bfloat16 where that is fast.
LARGE = 50_000_000

# Tensors a block keeps for each token: so many as wide as the model, and as its MLP.
_WIDE, _MLP = 12, 5
# Tensors as wide as the vocabulary that the loss holds for each position of a chunk.
_LOGITS = 5
# Tokens of a micro-batch beyond which a processor gains nothing; a GPU takes what fits.
_CPU_TOKENS = 512
# Of what is free; the rest is the allocator's and other programs'.
_SHARE = 0.8
# Of what a limit leaves; the rest is for rows and answers.
_SHARE_OF_LIMIT = 0.9
# Holes in a processor's memory beside activations, as a share of these, for rows of all lengths
# (measured: 135 million weights, rows of 49 to 1,024 tokens).
_HOLES = 1.5


@dataclass(frozen=True)
class Shape:
    """What of a model decides how much memory it takes.

    Attributes:
        parameters: Weights.
        matrices: Of them, the sum of both sides of every linear layer but the output layer: what a
            low-rank adapter takes for each rank.
        layers: Blocks.
        width: Width of the hidden vectors.
        mlp: Width of the MLP.
        vocabulary: Tokens.
    """

    parameters: int
    matrices: int
    layers: int
    width: int
    mlp: int
    vocabulary: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> Shape:
        """The shape of the model that a configuration describes; nothing is loaded."""
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        text: Any = config.get_text_config()
        head = model.get_output_embeddings()
        sides = [
            sum(each.weight.shape)
            for each in model.modules()
            if isinstance(each, torch.nn.Linear) and each is not head
        ]
        width = int(text.hidden_size)
        return cls(
            parameters=sum(each.numel() for each in model.parameters()),
            matrices=sum(sides),
            layers=int(text.num_hidden_layers),
            width=width,
            mlp=int(getattr(text, "intermediate_size", None) or 4 * width),
            vocabulary=int(text.vocab_size),
        )


def footprint(
    shape: Shape, config: RepairConfig, *, rows: int, length: int, reference: bool = False
) -> dict[str, int]:
    """Bytes that the training holds at its peak.

    Args:
        shape: Of the model.
        config: The settings, with ``lora`` and ``bf16`` decided.
        rows: Rows of a micro-batch.
        length: Tokens of the longest.
        reference: Whether the KL compares with another model, which is loaded too.

    Returns:
        ``weights``, ``gradients``, ``optimizer`` (two moments a weight), ``last good`` (the trained
        weights as the last check found them), ``reference``, ``activations``, ``allocator`` (what
        lies idle between them, where a processor trains), and their ``total``.
    """
    trained = config.lora_rank * shape.matrices if config.lora else shape.parameters
    held = {"4bit": 0.55, "8bit": 1.1}.get(
        config.load_in or "", 2.0 if config.freezes_in_bf16 else 4.0
    )
    compares = bool(config.bias_weight or config.forgetting_loss.needs_reference)
    second = compares and config.reference == "live" and (reference or not config.lora)
    size = 2 if config.bf16 else 4
    tokens = rows * length
    block = (_WIDE * shape.width + _MLP * shape.mlp) * size
    if config.recomputes:
        kept = tokens * (shape.layers * shape.width * size + block)
    else:
        kept = tokens * shape.layers * block
    chunk = min(config.chunk_tokens, tokens) * shape.vocabulary * 4 * _LOGITS
    # Autocast keeps a copy in half precision of every weight that is trained.
    copies = 0 if config.lora or not config.bf16 else 2 * shape.parameters
    parts = {
        "weights": int(held * shape.parameters) + (4 * trained if config.lora else 0),
        "gradients": 4 * trained,
        "optimizer": 8 * trained,
        "last good": 4 * trained if config.checks else 0,
        "reference": 4 * shape.parameters if second else 0,
        "activations": kept + chunk + copies,
        "allocator": int(_HOLES * (kept + chunk)) if config.device.type == "cpu" else 0,
    }
    return {**parts, "total": sum(parts.values())}


def adapter_rate(width: int) -> float:
    """The learning rate of adapters that suits a width: its inverse square root.

    Adapters take about ten times the rate of all weights, and the less the wider the model
    (Schulman et al. 2025, "LoRA without regret"); inferred: the power, and 5e-4 at a width of 576,
    which did well in ``benchmarks/real_model_repair.py``.
    """
    return round(min(1e-3, 5e-4 * math.sqrt(576 / width)), 6)


def decided(shape: Shape, config: RepairConfig) -> RepairConfig:
    """The settings with what the model's size decides.

    Adapters or all weights, precision and, of adapters, the learning rate.
    """
    large = shape.parameters > LARGE
    lora = large if config.lora is None else config.lora
    bf16 = (
        large and not config.fp16 and computes_in_bf16(config.device)
        if config.bf16 is None
        else config.bf16
    )
    rate = config.learning_rate
    if rate is None and lora:
        rate = adapter_rate(shape.width)
    return replace(config, learning_rate=rate).concrete(lora=lora, bf16=bf16)


def fitted(
    shape: Shape,
    config: RepairConfig,
    *,
    length: int,
    reference: bool = False,
    room: int,
    processes: int = 1,
) -> RepairConfig:
    """The settings with a micro-batch that fits, and as many of them as make up a step.

    A batch size that was given is kept. Without one, the largest part of ``config.step_rows`` that
    fits is taken and, where not even one row does, activations are computed twice (checkpointing).

    Args:
        shape: Of the model.
        config: The settings, ``lora`` and ``bf16`` decided.
        length: Tokens of the longest row.
        reference: Whether the KL compares with another model, which is loaded too.
        room: Bytes there are.
        processes: Processes that share a step.

    Raises:
        RepairError: Not even one row fits; names what it takes, what there is, and the ways out.
    """
    if not config.fits_batch:
        return config
    whole = max(1, config.step_rows // processes)
    sizes = [rows for rows in range(whole, 0, -1) if whole % rows == 0]
    if config.device.type == "cpu":
        sizes = [rows for rows in sizes if rows == 1 or rows * length <= _CPU_TOKENS]

    def taken(config: RepairConfig, rows: int) -> dict[str, int]:
        return footprint(shape, config, rows=rows, length=length, reference=reference)

    for chosen in _ways(config):
        for rows in sizes:
            if taken(chosen, rows)["total"] <= room:
                return chosen.concrete(
                    per_device_train_batch_size=rows, gradient_accumulation_steps=whole // rows
                )
    needed = taken(chosen, 1)
    parts = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in needed.items())
    raise RepairError(
        f"the training would take {needed['total'] / 1e9:.1f} GB for one row of {length} tokens "
        f"({parts}), and there are {room / 1e9:.1f}: set lora (--lora), a smaller max_length, "
        "reference = 'cached' or load_in, or name more memory (memory_limit)"
    )


def _ways(config: RepairConfig) -> Iterator[RepairConfig]:
    """As it is and, where that was left open, with activations computed twice."""
    yield config
    if not config.recomputes:
        yield config.recomputing()


def available(config: RepairConfig) -> int:
    """Bytes that a model and its training may take: most of what is free.

    A limit that the user sets is, on a processor, one of the whole process.

    Raises:
        RepairError: The process holds as much already.
    """
    if config.room is not None and config.device.type == "cpu":
        held = resident()
        if config.room <= held:
            raise RepairError(
                f"memory_limit {config.memory_limit}: the process holds {held / 1e6:,.0f} MB "
                "before any model is loaded; name more"
            )
        return int(_SHARE_OF_LIMIT * (config.room - held))
    if config.room is not None:
        return config.room
    if config.device.type == "cuda":
        return int(_SHARE * torch.cuda.mem_get_info(config.device)[0])
    free = [limit for limit in (_meminfo(), _cgroup()) if limit is not None]
    if not free:
        free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    return int(_SHARE * min(free))


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 by itself, and not by way of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or platform.system() != "Linux":
        return False
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def _meminfo() -> int | None:
    """Bytes that this machine could give without swapping, where it says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in sizes else None


def _cgroup() -> int | None:
    """Bytes left within the limit of a container, where there is one."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit = (folder / "memory.max").read_text(encoding="utf-8").strip()
        used = int((folder / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)
