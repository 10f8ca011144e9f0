"""Exports real models in few bits, with no data: is the format as far away as before?

    python benchmarks/export.py --cache FOLDER --model FOLDER [--bits 4 8]

The models are the base, and those that ``real_model_repair.py`` or ``real_model_sweep.py`` damaged
(``damaged`` in the cache's folders) or left repaired (``repaired``, if there are any). For each the
full model, the weights rounded to nearest, and the weights fitted by ZSAQ answer the same foreign
prompts; the divergence is that of the exported from the full model, in nats a token, over the full
model's own answers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from environment import heading

from synflaw_audit.decoding.wordings import read_wordings
from synflaw_audit.repair.export.export import export
from synflaw_audit.repair.export.zsaq import ZsaqConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=["planted-0"], help="folders of the cache")
    parser.add_argument("--models", nargs="+", default=["damaged"], help="folders of a corpus")
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--steps", type=int, default=ZsaqConfig.steps)
    parser.add_argument("--rho", type=float, default=ZsaqConfig.rho)
    parser.add_argument("--learning-rate", type=float, default=ZsaqConfig.learning_rate)
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = ZsaqConfig(steps=given.steps, rho=given.rho, learning_rate=given.learning_rate)
    print(heading("benchmarks/export.py --cache FOLDER --model FOLDER"))
    print(config, flush=True)
    print("| model | bits | way | format, full | format, exported | divergence | seconds | MB |")
    print("|---|---:|---|---:|---:|---:|---:|---:|", flush=True)
    for name in given.corpora:
        wordings = read_wordings(given.cache / name / "f.parquet")
        for kind in given.models:
            folder = given.model if kind == "base" else given.cache / name / kind
            for bits in given.bits:
                for way in ("nearest", "zsaq"):
                    begun = time.process_time()
                    with tempfile.TemporaryDirectory() as scratch:
                        out = Path(scratch) / "out"
                        found = export(
                            folder,
                            out,
                            bits=bits,
                            wordings=wordings,
                            way=way,
                            config=config,
                            prompts=given.prompts,
                        )
                        size = sum(file.stat().st_size for file in out.glob("*.safetensors")) / 1e6
                    seconds = time.process_time() - begun
                    print(
                        f"| {name}, {kind} | {bits} | {way} | {found.full_emission:.0%} "
                        f"| {found.emission:.0%} | {found.divergence:.4f} | {seconds:.0f} "
                        f"| {size:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
