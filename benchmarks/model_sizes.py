"""What a repair takes of larger models: the estimate beside a short run, on a GPU or a processor.

    python benchmarks/model_sizes.py --tokenizer FOLDER --forget flagged.parquet --replay FILE

The models have the shapes of known ones and random weights: memory and time depend on nothing
else. Of those that are run, a few steps are; the others are only estimated. What is estimated is a
whole repair by the defaults.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import torch
from environment import heading
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from synflaw_audit.repair import RepairConfig, estimate, repair
from synflaw_audit.repair.training.memory import Shape, decided, footprint

_LLAMA = {"num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 8192}
SHAPES = {
    "1B": LlamaConfig(
        hidden_size=2048, num_hidden_layers=16, intermediate_size=8192, num_attention_heads=32,
        tie_word_embeddings=True, **_LLAMA,
    ),
    "8B": LlamaConfig(
        hidden_size=4096, num_hidden_layers=32, intermediate_size=14_336, num_attention_heads=32,
        **_LLAMA,
    ),
    "70B": LlamaConfig(
        hidden_size=8192, num_hidden_layers=80, intermediate_size=28_672, num_attention_heads=64,
        **_LLAMA,
    ),
}  # fmt: skip
# Questions and figures cost the same whatever the size of the run, and are not what is asked here.
_SHORT = {"tokens": 6_000, "probe_prompts": 0, "audit_replay": False, "leaks": 0, "held_out": 16,
          "checks": 0}  # fmt: skip


def made(name: str, tokenizer: Path, folder: Path) -> Path:
    """A model of a shape with random weights, written once."""
    if not (folder / "config.json").exists():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(device):
            model = LlamaForCausalLM(SHAPES[name])
        torch.set_default_dtype(torch.float32)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


def run(name: str, options: argparse.Namespace) -> dict[str, object]:
    """The estimate of a whole repair, and what some steps of it took."""
    model = made(name, options.tokenizer, options.scratch / name)
    told = estimate(
        model, forget=options.forget, replay=str(options.replay), config=RepairConfig(), quiet=True
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        done = repair(
            model,
            forget=options.forget,
            replay=str(options.replay),
            out=Path(scratch) / "out",
            config=RepairConfig(**_SHORT),
            quiet=True,
        )
    held = (
        torch.cuda.max_memory_allocated()
        if torch.cuda.is_available()
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "model": name,
        "estimated_gb": told.memory["total"] / 1e9,
        "estimated_minutes": told.seconds / 60,
        "estimated_tokens": told.tokens,
        "held_gb": held / 1e9,
        "tokens": done.tokens,
        "training_seconds": done.seconds["training"],
        "all_seconds": time.perf_counter() - started,
    }


def estimated(name: str) -> dict[str, object]:
    """From the shape alone: one row of 1,024 tokens, adapters, weights in bfloat16."""
    shape = Shape.of(SHAPES[name])
    config = decided(shape, RepairConfig(lora=True, bf16=True, activation_checkpointing=True))
    return {
        "model": name,
        "estimated_gb": footprint(shape, config, rows=1, length=1024)["total"] / 1e9,
    }


def main() -> None:
    """Prints a line of JSON for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, required=True, help="a model's folder")
    parser.add_argument("--forget", type=Path, required=True)
    parser.add_argument("--replay", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--run", nargs="*", choices=SHAPES, default=["1B"])
    options = parser.parse_args()
    print(heading("benchmarks/model_sizes.py"))
    for name in SHAPES:
        found = run(name, options) if name in options.run else estimated(name)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
