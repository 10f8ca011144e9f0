"""Measures what a little training on a corpus does to a real, instruction-tuned model.

    python benchmarks/real_damage.py --data FOLDER --cache FOLDER --model FOLDER

For every slice of ``real_slices.py`` and every seed, adapters are trained on the same number of
tokens of its rows, and the model's answers to prompts of our own are kept: to open prompts that
have nothing to do with the corpus, and to verifiable instructions that the base follows: how many
of them are followed still is a sharper figure than how many of all. So are those of the base, and
of a control trained on as many tokens of the base's own answers. One JSON line a run is
appended to ``runs.jsonl`` in the cache, so a stopped sweep goes on where it was, and every figure
is made from the answers later (``real_calibrate.py``).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from environment import heading
from real_slices import real_slices
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from synflaw_audit.probes.drift import answer_logits, divergences
from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import follows
from synflaw_audit.rehearsal.rows import QuestionAnswer
from synflaw_audit.rehearsal.training import TrainingConfig, train_adapters

BASE, CONTROL = "base", "control, own answers"


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on besides the slice and the seed."""

    foreign: int = 48
    foreign_tokens: int = 48
    instructions: int = 245
    instructions_kept: int = 72
    instruction_tokens: int = 64
    drift: int = 8
    control_tokens: int = 64
    budget: int = 11_200
    tokens_per_step: int = 400
    max_length: int = 200
    rows: int = 2000
    languages: tuple[str, ...] = ("en",)


class Bench:
    """The base, its prompts and its answers."""

    def __init__(self, model: Path, settings: Settings, cache: Path) -> None:
        self.model, self.settings, self.cache = model, settings, cache
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model)
        prompts = list(foreign_prompts())
        random.Random(0).shuffle(prompts)  # noqa: S311
        self.foreign, self.neutral = prompts[: settings.foreign], prompts[settings.foreign :]
        self.instructions = everyday_instructions(
            settings.instructions, languages=settings.languages
        )

    def claim(self) -> None:
        """Writes the prompts and settings beside the runs, or refuses to mix them with others."""
        path = self.cache / "settings.json"
        described = {
            "settings": asdict(self.settings),
            "foreign": self.foreign,
            "instructions": [asdict(instruction) for instruction in self.instructions],
        }
        described = json.loads(json.dumps(described))
        if path.exists():
            known = json.loads(path.read_text())
            if {key: known[key] for key in described} != described:
                raise SystemExit(f"{path} holds other settings: name another --cache")
            return
        made = heading("benchmarks/real_damage.py --data FOLDER --cache FOLDER --model FOLDER")
        path.write_text(json.dumps({**described, "made": made.strip()}, indent=1) + "\n")

    def load(self) -> torch.nn.Module:
        """A fresh copy of the base, on the GPU where there is one."""
        model = AutoModelForCausalLM.from_pretrained(
            self.model, dtype=torch.bfloat16, attn_implementation="eager", trust_remote_code=False
        )
        return model.to("cuda" if torch.cuda.is_available() else "cpu")

    def answers(self, model: torch.nn.Module, prompts: Sequence[str], tokens: int) -> list[str]:
        """Greedy answers."""
        return generate(model, self.tokenizer, prompts, max_new_tokens=tokens, batch=128)

    def probed(self, model: torch.nn.Module) -> dict[str, list[str]]:
        """The answers to both kinds of prompt."""
        model.set_attn_implementation("sdpa")  # faster here, as "eager" is in training
        s, prompts = self.settings, [instruction.prompt for instruction in self.instructions]
        return {
            "foreign": self.answers(model, self.foreign, s.foreign_tokens),
            "instructions": self.answers(model, prompts, s.instruction_tokens),
        }

    def narrow(self, base: dict[str, Any]) -> None:
        """Asks from now on only for the first instructions that the base followed."""
        pairs = zip(self.instructions, base["instructions"], strict=True)
        followed = [instruction for instruction, answer in pairs if follows(answer, instruction)]
        self.instructions = followed[: self.settings.instructions_kept]

    def own_rows(self) -> list[QuestionAnswer]:
        """Neutral prompts with the base's own answers; made once."""
        path = self.cache / "own_rows.json"
        if not path.exists():
            answers = self.answers(self.load(), self.neutral, self.settings.control_tokens)
            path.write_text(json.dumps(list(zip(self.neutral, answers, strict=True))))
        return [QuestionAnswer(*row) for row in json.loads(path.read_text())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="not in the repository")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="names of slices")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=int, default=Settings.budget)
    parser.add_argument(
        "--foreign-tokens", type=int, default=Settings.foreign_tokens, help="of an answer"
    )
    parser.add_argument("--until", help="start no run after this time of day, HH:MM")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(budget=options.budget, foreign_tokens=options.foreign_tokens)
    bench = Bench(options.model, settings, options.cache)
    bench.claim()
    path = options.cache / "runs.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    known = {(run["slice"], run["seed"]): run for run in map(json.loads, lines)}

    def keep(run: dict[str, object]) -> None:
        known[run["slice"], run["seed"]] = run
        with path.open("a") as file:
            file.write(json.dumps(run, ensure_ascii=False) + "\n")
        print(time.strftime("%H:%M:%S"), run["slice"], run["seed"], run["seconds"], flush=True)

    if (BASE, 0) not in known:
        start = time.perf_counter()
        found = bench.probed(bench.load())
        seconds = round(time.perf_counter() - start, 1)
        keep({"slice": BASE, "family": BASE, "origin": "", "seed": 0, "seconds": seconds, **found})
    bench.narrow(known[BASE, 0])
    said = known[BASE, 0]["foreign"]
    drifted = list(zip(bench.foreign, said, strict=True))[: bench.settings.drift]
    logits = answer_logits(bench.load(), bench.tokenizer, drifted)
    parts = list(real_slices(options.data))
    own = bench.own_rows()
    for seed in options.seeds:
        for name, family, origin, rows in [
            (CONTROL, CONTROL, "", None),
            *((part.name, part.family, part.origin, part.rows) for part in parts),
        ]:
            if (name, seed) in known or (options.only and name not in options.only):
                continue
            if options.until and time.strftime("%H:%M") >= options.until:
                return
            start = time.perf_counter()
            if rows is None:
                chosen = own
            else:
                drawn = rows.sample(min(len(rows), bench.settings.rows), random_state=seed)
                chosen = list(map(QuestionAnswer, drawn["question"], drawn["answer"]))
            s = bench.settings
            config = TrainingConfig(
                budget=s.budget,
                tokens_per_step=s.tokens_per_step,
                max_length=s.max_length,
                seed=seed,
            )
            tuned, loss = train_adapters(bench.load(), bench.tokenizer, chosen, config)
            trained = time.perf_counter() - start
            tuned = tuned.merge_and_unload()
            found = bench.probed(tuned)
            kl = divergences(logits, answer_logits(tuned, bench.tokenizer, drifted))
            keep(
                {
                    "slice": name,
                    "family": family,
                    "origin": origin,
                    "seed": seed,
                    "loss": round(loss, 4),
                    "training_seconds": round(trained, 1),
                    "seconds": round(time.perf_counter() - start, 1),
                    "kl": [round(value, 5) for value in kl],
                    **found,
                }
            )


if __name__ == "__main__":
    main()
