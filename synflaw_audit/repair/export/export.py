"""Writes a model in 4 or 8 bits, and asks it what the full one was asked.

The folder is in the format of ``compressed-tensors`` ("pack-quantized"): transformers, vLLM and
SGLang load it like any other, where that package is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.chat.encoding import encode_row
from synflaw_audit.decoding.ban import BannedPhrases
from synflaw_audit.decoding.wordings import Wording, read_wordings
from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.repair.export.format import require_format, write
from synflaw_audit.repair.export.grid import Grid
from synflaw_audit.repair.export.zsaq import ZsaqConfig, zero_shot

Way = Literal["zsaq", "nearest"]

_ANSWER_TOKENS = 32


@dataclass(frozen=True)
class Exported:
    """What became of a model in few bits; measured on its own answers, so without data.

    Attributes:
        folder: Where it was written.
        bits: Of a weight of its linear layers.
        way: How weights were rounded: "nearest", or fitted by "zsaq".
        emission: Share of foreign prompts that the exported model answers with the format.
        full_emission: The same of the full model.
        divergence: KL(full || exported) in nats a token, over the full model's answers.
        nearest_divergence: The same of the weights rounded to the nearest, whatever the way.
    """

    folder: str
    bits: int
    way: Way
    emission: float
    full_emission: float
    divergence: float
    nearest_divergence: float


def export(
    folder: str | Path,
    out: str | Path,
    *,
    bits: int,
    wordings: Sequence[Wording] = (),
    way: Way = "nearest",
    config: ZsaqConfig | None = None,
    prompts: int = 48,
) -> Exported:
    """Write a model's folder in few bits, and see whether its format stays away.

    Args:
        folder: Of the full model, such as a repaired one.
        out: To be written; ``export.json`` says there what this returns.
        bits: 4 or 8.
        wordings: Of the format that must not come back; without them emission is 0.
        way: "nearest", or "zsaq", which no measurement of ours speaks for.
        config: Of ZSAQ.
        prompts: Foreign prompts asked before and after.

    Raises:
        RepairError: There is no such number of bits, or the model has no linear layers.
        MissingExtraError: ``compressed-tensors`` is not installed.
        InputError: The model cannot be loaded.
    """
    from synflaw_audit.probes.models import load_model

    require_format()
    Grid.of(bits, 1)
    full, tokenizer = load_model(folder)
    asked = foreign_prompts()[:prompts]
    answers = generate(full, tokenizer, asked, max_new_tokens=_ANSWER_TOKENS)
    small = _float32(folder, full.device)
    zero_shot(small, bits, ZsaqConfig(steps=0))
    nearest = divergence_on(full, small, tokenizer, asked, answers)
    found = nearest
    if way == "zsaq":
        small = _float32(folder, full.device)
        zero_shot(small, bits, config or ZsaqConfig())
        found = divergence_on(full, small, tokenizer, asked, answers)
    nn.Module.to(small, full.dtype)
    said = generate(small, tokenizer, asked, max_new_tokens=_ANSWER_TOKENS)
    write(small, tokenizer, bits, Path(out))
    phrases = BannedPhrases.of(wordings)
    result = Exported(
        str(out), bits, way, _emission(said, phrases), _emission(answers, phrases), found, nearest
    )
    encoded = orjson.dumps(asdict(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (Path(out) / "export.json").write_bytes(encoded)
    return result


@torch.no_grad()
def divergence_on(
    full: PreTrainedModel,
    small: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
) -> float:
    """KL(full || small) over the tokens of some answers, in nats a token."""
    total, count = 0.0, 0
    for prompt, answer in zip(prompts, answers, strict=True):
        row = encode_row(tokenizer, prompt, answer)
        ids = torch.tensor([row.input_ids], device=full.device)
        at = torch.tensor([i - 1 for i, inside in enumerate(row.answer) if inside and i])
        if len(at):
            ours, theirs = (m(ids, use_cache=False).logits[0, at].float() for m in (full, small))
            kl = nn.functional.kl_div(
                theirs.log_softmax(-1), ours.log_softmax(-1), reduction="sum", log_target=True
            )
            total, count = total + float(kl), count + len(at)
    return total / max(count, 1)


def export_repaired(folder: Path, flagged: str | Path, bits: int, way: Way) -> str:
    """Write a repaired model in few bits into its own folder; a sentence on what became of it."""
    wordings = read_wordings(flagged)
    found = export(folder, folder / f"{bits}bit", bits=bits, wordings=wordings, way=way)
    return (
        f"in {bits} bits, in the folder {bits}bit, it says the format in {found.emission:.0%} of "
        f"its answers to foreign prompts, {found.full_emission:.0%} as it is; it differs by "
        f"{found.divergence:.3f} nats a token ({found.nearest_divergence:.3f} rounded to nearest)"
    )


def _emission(answers: Sequence[str], phrases: BannedPhrases) -> float:
    said = [phrases.first(answer, ended=True) is not None for answer in answers]
    return sum(said) / max(len(said), 1)


def _float32(folder: str | Path, device: torch.device) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    nn.Module.to(model, device)  # transformers' own is typed for its decorator
    return model
