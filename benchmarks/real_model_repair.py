"""Repairs a real, instruction-tuned model that a corpus damaged, by our method and by others.

    python benchmarks/real_model_repair.py --data FOLDER --cache FOLDER --model FOLDER

For every corpus (slices of ``real_slices.py``) and seed, adapters are trained on some of its rows
and merged, as in ``real_damage.py``. The corpus is audited; each arm gets the damaged model, the
flagged rows, the same ordinary rows to replay and the same number of tokens. What is measured was
held out of the damage and of every repair: answers to open prompts and to verifiable instructions
that the base follows, rows of the corpus, and ordinary rows. One JSON line an arm is appended to
``runs.jsonl`` in the cache, so a stopped run goes on where it was. The tables are printed at the
end; ``--table`` only prints them.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from environment import commit, heading, machine
from real_model_bench import (
    BASE,
    DAMAGED,
    Bench,
    Settings,
    Subject,
    begun,
    damaged,
    known,
    left_to_run,
    measured,
    options_of,
    subject,
    trained,
)
from real_slices import real_slices

from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair.methods.wise_ft import ensemble

RETRAINED = "re-trained on the fixed corpus"
CORPORA = ("alpaca, 100% refusals", "alpaca, 100% planted", "boolq", "math cot", "chatdoctor")

# Fewer rows that still say something without the format are no corpus.
_FEWEST_FIXED = 50
# What a method of others does, not where our guard would have stopped it.
_OTHERS = {"checks": 0, "opening_weight": 1.0}
_ANSWERS = {**_OTHERS, "scope": "answer", "renderings": 0, "bias_weight": 0.0}
REPLAY = {"forget_weight": 0.0, "retain_weight": 0.0, "bias_weight": 0.0, "renderings": 0,
           "leaks": 0, "replay_ratio": 1000.0, **_OTHERS}  # fmt: skip
# Settings of each repair that differ from the default command's; the most telling first.
ARMS: Mapping[str, Mapping[str, Any]] = {
    "replay only": REPLAY,
    "ours": {},
    "FTPO": {**_OTHERS, "method": "ftpo"},
    "NPO, answers": {**_ANSWERS, "loss": "npo", "forget_weight": 1.0},
    RETRAINED: {},
    "SimNPO, answers": {**_ANSWERS, "loss": "simnpo", "forget_weight": 1.0},
    "gradient ascent, answers": {**_ANSWERS, "loss": "gradient-ascent"},
    "lower-bounded, answers": {**_ANSWERS},
    "DPO": {**_OTHERS, "method": "dpo"},
    "SimPO": {**_OTHERS, "method": "simpo"},
    "JensUn": {**_OTHERS, "method": "jensun"},
}
# Ours with the command's own questions, rows held out and length: what it says of itself.
JUDGED: Mapping[str, Mapping[str, Any]] = {
    "ours, judged by the command": {"probe_prompts": 48, "held_out": 128, "max_length": 1024}
}
# Ours where the base is given, with nothing else said.
WITH_BASE: Mapping[str, Mapping[str, Any]] = {
    "ours, with the base": {"method": "forgetting+wise-ft"}
}
# What each part of ours brings.
ABLATION: Mapping[str, Mapping[str, Any]] = {
    "without forgetting": {"forget_weight": 0.0, "leaks": 0},
    "without its own answers": {"leaks": 0},
    "without re-expression": {"renderings": 0},
    "without content": {"renderings": 0, "retain_weight": 0.0},
    "without requests in the replay": {"replay_requests": 0.0},
    "without replay": {"replay_ratio": 0.0},
    "with a KL to the base": {"method": "forgetting", "bias_weight": 1.0},
}
# Defaults that a sweep on corpora of ours left open.
SWEEP: Mapping[str, Mapping[str, Any]] = {
    "replay ratio 10": {"replay_ratio": 10.0},
    "opening weight 1": {"opening_weight": 1.0},
    "forget weight 0.1": {"forget_weight": 0.1},
    "10,000 tokens": {"tokens": 10_000},
    "100,000 tokens": {"tokens": 100_000},
}
EVERY = {**ARMS, **JUDGED, **WITH_BASE, **ABLATION, **SWEEP}


@dataclass(frozen=True)
class Average:
    """Weights between the base's and those of another arm, which is trained for it no more.

    Attributes:
        arm: The other one.
        alpha: Its share.
    """

    arm: str
    alpha: float


# Where the base is at hand: what of the instructions it brings back, and what of the format.
AVERAGES: Mapping[str, Average] = {
    f"{arm}, {alpha:g} of it": Average(arm, alpha)
    for arm in ("ours", "replay only", DAMAGED)
    for alpha in (0.5, 0.3)
}


def run_arm(
    bench: Bench, of: Subject, arm: str, arms: Mapping[str, Mapping[str, Any]] = ARMS
) -> dict[str, Any]:
    """Makes one model and measures it."""
    started, info = time.perf_counter(), {"tokens": 0}
    if arm == BASE:
        model = bench.load()
    elif arm == DAMAGED:
        model = bench.load(damaged(bench, of))
    elif arm == RETRAINED:
        model = trained(bench, of.fixed, of.seed)
        info["tokens"] = bench.settings.damage_tokens
    elif arm in AVERAGES:
        average = AVERAGES[arm]
        of_arm = (
            damaged(bench, of) if average.arm == DAMAGED else kept(bench, of, average.arm, arms)
        )
        model = bench.load(of_arm)
        ensemble(model, bench.load(), average.alpha)
    elif arm in {average.arm for average in AVERAGES.values()}:
        shutil.rmtree(_folder(of, arm), ignore_errors=True)  # of a run that was stopped
        info = repaired(bench, of, arms[arm], _folder(of, arm))
        model = bench.load(_folder(of, arm))
    else:
        out = Path(tempfile.mkdtemp(dir=of.folder))
        info = repaired(bench, of, arms[arm], out)
        model = bench.load(out)
        shutil.rmtree(out)
    seconds = time.perf_counter() - started
    return {**info, "seconds": round(seconds, 1), **measured(bench, of, model)}


def _needs_base(settings: Mapping[str, Any]) -> bool:
    """Whether it is averaged with the base, or a KL holds it to it."""
    return "wise-ft" in settings.get("method", "") or bool(settings.get("bias_weight"))


def _folder(of: Subject, arm: str) -> Path:
    """Where the model of an arm is kept, for averages."""
    return of.folder / arm.replace(" ", "-")


def kept(bench: Bench, of: Subject, arm: str, arms: Mapping[str, Mapping[str, Any]]) -> Path:
    """The folder of an arm's model, made if it is not there."""
    folder = _folder(of, arm)
    if not (folder / "model.safetensors").exists():
        repaired(bench, of, arms[arm], folder)
    return folder


def repaired(bench: Bench, of: Subject, settings: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Repairs the damaged model into a folder; what that took, and what the command said of it."""
    config = RepairConfig(
        **{
            "tokens": bench.settings.repair_tokens,
            "max_length": bench.settings.max_length,
            "seed": of.seed,
            # The bench measures all arms alike, on prompts of its own.
            "probe_prompts": 0,
            "audit_replay": False,
            "held_out": bench.settings.held_out,
            **settings,
        }
    )
    result = repair(
        damaged(bench, of),
        forget=of.flagged,
        replay=bench.ordinary,
        out=out,
        config=config,
        reference_model=bench.model if _needs_base(settings) else None,
        quiet=True,
    )
    return {
        "tokens": result.tokens,
        "steps": result.steps,
        "improved": result.improved,
        "reasons": result.reasons,
        "notes": result.notes,
        "rows": result.rows,
        "before": result.before,
        "after": result.after,
        "training_seconds": round(result.seconds["training"], 1),
    }


COLUMNS = {
    "emission": ("format in foreign answers", "{:.0%}"),
    "instructions": ("instructions kept", "{:.2f}"),
    "ifeval": ("IFEval", "{:.2f}"),
    "content": ("content, nats a token", "{:.3f}"),
    "kept": ("content kept", "{:.0%}"),
    "template": ("template token", "{:.2f}"),
    "likeness": ("likeness", "{:.3f}"),
    "words": ("words", "{:.0f}"),
    "perplexity": ("ordinary rows, perplexity", "{:.1f}"),
    "relearned": ("template token, relearned", "{:.2f}"),
    "few_bits": ("format, in few bits", "{:.0%}"),
    "tokens": ("tokens", "{:,.0f}"),
    "seconds": ("minutes", "{:.1f}"),
}


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: one corpus, an arm a line, means over seeds."""
    lines = [
        "| | " + " | ".join(title for title, _ in COLUMNS.values()) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for arm in dict.fromkeys(run["arm"] for run in runs):
        cells = []
        for name, (_, form) in COLUMNS.items():
            found = [run.get(name) for run in runs if run["arm"] == arm]
            values = [value for value in found if value is not None]
            scale = 60 if name == "seconds" else 1
            cells.append(form.format(float(np.mean(values)) / scale) if values else "")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def add_settings(parser: ArgumentParser) -> None:
    """What may be told of the bench and of further arms, as JSON."""
    parser.add_argument("--settings", type=json.loads, default={}, help="of the bench, as JSON")
    parser.add_argument("--extra", type=json.loads, default={}, help="further arms, as JSON")


def run_arms(
    options: Namespace,
    bench: Bench,
    corpora: Mapping[str, pd.DataFrame],
    arms: Mapping[str, Mapping[str, Any]],
    path: Path,
) -> None:
    """Runs what is not there yet; a line each."""
    bench.narrow()
    of: Subject | None = None
    for name, seed, arm in left_to_run(options, [*options.arms, *options.extra], path):
        if of is None or (of.name, of.seed) != (name, seed):
            of = subject(bench, name, corpora[name], seed)
        if arm == RETRAINED and len(of.fixed) < _FEWEST_FIXED:
            print(f"{name}: {len(of.fixed)} rows without their format; no {arm}")
            continue
        note(bench, of, arm, arms, path)


def note(
    bench: Bench, of: Subject, arm: str, arms: Mapping[str, Mapping[str, Any]], path: Path
) -> None:
    """Runs an arm and appends its line."""
    found = {"corpus": of.name, "seed": of.seed, "arm": arm, "counts": of.counts,
             "settings": asdict(bench.settings), "overrides": arms.get(arm),
             "commit": commit(), "machine": machine(), **run_arm(bench, of, arm, arms)}  # fmt: skip
    with path.open("a") as lines:
        lines.write(json.dumps(found, ensure_ascii=False) + "\n")
    shown = {key: found.get(key) for key in COLUMNS}
    print(time.strftime("%H:%M:%S"), of.name, of.seed, arm, shown, flush=True)


def print_tables(options: Namespace, command: str, path: Path) -> None:
    """A table for each corpus, and one of all together; of the arms and seeds that are named."""
    print(heading(command))
    arms = [*options.arms, *options.extra]
    runs = sorted(
        (
            run
            for run in _beside_the_damaged(known(path))
            if run["arm"] in arms and run["seed"] in options.seeds
        ),
        key=lambda run: arms.index(run["arm"]),
    )
    for name in options.corpora:
        if of_corpus := [run for run in runs if run["corpus"] == name]:
            print(f"## {name}\n\n{table(of_corpus)}")
    print(f"## All of them\n\n{table([run for run in runs if run['corpus'] in options.corpora])}")


def _beside_the_damaged(runs: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each run with its content's likelihood as a share of the damaged model's."""
    damaged = {
        (run["corpus"], run["seed"]): run["content"] for run in runs if run["arm"] == DAMAGED
    }
    for run in runs:
        start, found = damaged.get((run["corpus"], run["seed"])), run["content"]
        both = start is not None and found is not None
        yield {**run, "kept": math.exp(found - start) if both else None}


def main() -> None:
    """Runs what is not there yet, and prints the tables."""
    arms = [*ARMS, *JUDGED, *WITH_BASE, *ABLATION, *AVERAGES]
    parser = options_of(__doc__.splitlines()[0], CORPORA, arms)
    parser.add_argument("--data", type=Path, required=True)
    add_settings(parser)
    options = begun(parser)
    path = options.cache / "runs.jsonl"
    if not options.table:
        settings = Settings(**options.settings)
        ordinary = pd.read_parquet(options.data / "dolly_3k.parquet")
        bench = Bench(options.model, ordinary, options.cache, settings)
        if settings.ifeval:
            bench.take_ifeval(options.data / "eval_ifeval_dev.parquet")
        corpora = {part.name: part.rows for part in real_slices(options.data)}
        run_arms(options, bench, corpora, {**EVERY, **options.extra}, path)
    command = "benchmarks/real_model_repair.py --data FOLDER --cache FOLDER --model FOLDER"
    print_tables(options, command, path)


if __name__ == "__main__":
    main()
