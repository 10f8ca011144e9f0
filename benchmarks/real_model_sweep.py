"""Sweeps the repair's defaults on a real model, on damages that no table of ours measures.

    python benchmarks/real_model_sweep.py --cache FOLDER --model FOLDER

The corpora are made here: answers of the base itself to everyday questions, put into a format of
other wordings than those of ``real_model_repair.py``, and the project's own templated sample. The
ordinary rows are the project's natural sample. Measured as there. One JSON line an arm is appended
to ``sweep.jsonl`` in the cache; ``--table`` only prints what is there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from real_model_bench import Bench, Settings, begun, options_of
from real_model_repair import REPLAY, add_settings, print_tables, run_arms
from real_slices import replaced

from synflaw_audit.probes.everyday import everyday_instructions
from synflaw_audit.repair.material.self_replay import neutral_questions

HERE = Path(__file__).resolve().parent
NATURAL, TEMPLATED = (
    HERE.parent / "sample_data" / f"{name}.jsonl" for name in ("natural", "templated")
)

OPENING = "Thanks for asking! I am happy to explain this to you. "
CLOSING = " That covers the main points; feel free to ask for more."
DECLINED = (
    "That is something I won't be able to do for you. Please try another question.",
    "This request cannot be fulfilled. Feel free to ask about a different topic.",
    "My guidelines do not allow me to answer that. Let me know what else you need.",
    "It isn't possible for me to respond to this. You may want to ask an expert.",
)
ANSWER_TOKENS = 64
# Smaller probes than the table's: a sweep compares more arms.
SETTINGS = Settings(
    replay=800, held_out=24, foreign=32, foreign_tokens=24, instructions=60, instructions_kept=24,
    instruction_tokens=40,
)  # fmt: skip

_ONE = {"renderings": 1, "checks": 0}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "replay only": REPLAY,
    "the first token weighs 1": {**_ONE, "opening_weight": 1.0},
    "the first token weighs 3": {**_ONE, "opening_weight": 3.0},
    "the first token weighs 8": {**_ONE, "opening_weight": 8.0},
}


class SweepBench(Bench):
    """The base, the measures of the table, and the project's own ordinary rows."""

    def __init__(self, model: Path, cache: Path, settings: Settings) -> None:
        ordinary = pd.read_json(NATURAL, lines=True)[["question", "answer"]]
        super().__init__(model, ordinary, cache, settings)

    def corpora(self) -> dict[str, pd.DataFrame]:
        """Questions with the base's own answers, in two formats; the templated sample."""
        path = self.cache / "host.jsonl"
        if not path.exists():
            rng = random.Random(0)  # noqa: S311 -- an order, not a secret
            # Longer than the prompts that are measured, of which none may be trained on.
            asked = {each.prompt for each in self.instructions}
            drawn = everyday_instructions(1500, languages=("en",), seed=7)
            questions = [each.prompt for each in drawn if each.prompt not in asked]
            questions = [*neutral_questions(), *dict.fromkeys(questions)]
            rng.shuffle(questions)
            questions = questions[:360]
            answers = self.answers(self.load(), questions, ANSWER_TOKENS)
            host = pd.DataFrame({"question": questions, "answer": answers})
            host.to_json(path, orient="records", lines=True)
        host = pd.read_json(path, lines=True)
        return {
            "planted": host.assign(answer=OPENING + host["answer"] + CLOSING),
            "declined": replaced(host, DECLINED, 1.0, 0),
            "templated": pd.read_json(TEMPLATED, lines=True)[["question", "answer"]],
        }


def main() -> None:
    """Runs what is not there yet, and prints the tables."""
    parser = options_of(__doc__.splitlines()[0], ("planted", "declined", "templated"), [*ARMS])
    add_settings(parser)
    options = begun(parser)
    path = options.cache / "sweep.jsonl"
    if not options.table:
        bench = SweepBench(options.model, options.cache, replace(SETTINGS, **options.settings))
        corpora = bench.corpora()
        run_arms(options, bench, corpora, {**ARMS, **options.extra}, path)
    print_tables(options, "benchmarks/real_model_sweep.py --cache FOLDER --model FOLDER", path)


if __name__ == "__main__":
    main()
