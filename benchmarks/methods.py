"""Measures every way to repair on a real model that two corpora damaged, and writes the table.

    python benchmarks/methods.py --cache FOLDER --model FOLDER

The damage, the prompts and the measures are those of ``real_model_bench.py``; the corpora are made
of the project's own samples: its templated one, and natural answers behind an opening. What is
replayed, and what the healthy model that is merged with is trained on, are other natural rows. An
arm that trains runs in a process of its own, whose peak memory is noted; merging, which holds no
more than some weights, in this one. One JSON line an arm is appended to ``methods.jsonl`` in the
cache, so a stopped run goes on where it was. At the end the table that the package ships is
written, by which ``synflaw repair --method list`` and ``--method auto`` go
(``repair/methods/measured.json``), and one for people (``results/methods.md``); ``--table`` only
writes these.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import torch
from environment import commit, machine
from real_model_bench import (
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
from transformers import AutoTokenizer

from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.repair import RepairConfig, Row, repair
from synflaw_audit.repair.methods.base import Requirement
from synflaw_audit.repair.methods.merge.merging import merge
from synflaw_audit.repair.methods.merge.rules import Rule
from synflaw_audit.repair.methods.registry import METHODS, named
from synflaw_audit.repair.methods.table import (
    BASE,
    COLUMNS,
    DAMAGED,
    NAME,
    Figures,
    MeasuredMethod,
    Table,
    cells,
)

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "synflaw_audit" / "repair" / "methods" / NAME
RESULT = HERE / "results" / "methods.md"
SAMPLES = HERE.parent / "sample_data"
CORPORA = ("templated", "planted")
OPENING = "Thanks for asking! I am happy to explain this to you. "
# Natural rows that carry the opening; the others are ordinary rows.
_PLANTED = 500
# Smaller probes than the repair's table: more arms are compared.
SETTINGS = Settings(
    replay=800, held_out=24, foreign=32, foreign_tokens=24, instructions=60, instructions_kept=24,
    instruction_tokens=40, relearned_steps=8, bits=8,
)  # fmt: skip
TOKENS = 6_000
# What people need to read the table.
_READ = """{model}, damaged by each corpus, seeds {seeds}, {tokens:,} tokens to train on; {foreign}
foreign prompts and {obeyed} requests that the base follows, so that a share of a half has, for one
corpus, a standard error of 9% and 12%. *Before the damage* is the base, asked anew; content is that
of rows held out. *Relearned* is a format token's probability in held-out rows after eight steps of
all weights on eight others of the corpus's rows, *in 8 bits* the format in foreign answers once the
weights are rounded to nearest. Minutes compare on one machine alone; memory is that of the GPU
where there is one, at the peak of the arm's process (which also trains the copy that learns the
format again). What one corpus alone has is left out of the means.
"""

_FORGETTING = {"method": "forgetting"}
# Settings of each arm that differ from the default command's; the cheapest first.
ARMS: Mapping[str, Mapping[str, Any]] = {
    "merge, MetaGPT": {"method": "merge"},
    "merge, average": {"method": "merge", "merge_rule": "average"},
    "merge, task arithmetic": {"method": "merge", "merge_rule": "task-arithmetic"},
    "merge, TIES": {"method": "merge", "merge_rule": "ties"},
    "merge, DARE": {"method": "merge", "merge_rule": "dare"},
    "task negation, half": {"method": "task-negation", "task_negation": 0.5},
    "forgetting": _FORGETTING,
    "forgetting, WiSE-FT": {"method": "forgetting+wise-ft"},
    "distill, ATKD": {"method": "distill"},
    "distill, KL": {"method": "distill", "teaching": "kl"},
    "distill, reverse KL": {"method": "distill", "teaching": "reverse-kl"},
    "distill, JS": {"method": "distill", "teaching": "js"},
    "distill, ATKD, imperfect 0.2": {"method": "distill", "imperfect_rate": 0.2},
    "forgetting, FSAM": {**_FORGETTING, "optimizer": "fsam"},
    "forgetting, PATS": {**_FORGETTING, "optimizer": "pats"},
    "forgetting, self-evolution": {**_FORGETTING, "self_evolution": 0.1},
    "FTPO": {"method": "ftpo"},
    "DPO": {"method": "dpo"},
    "SimPO": {"method": "simpo"},
    "JensUn": {"method": "jensun"},
}


class OwnBench(Bench):
    """The base and the prompts of the repair's table; the rows are the project's own."""

    def __init__(self, model: Path, cache: Path, settings: Settings) -> None:
        # Not the parent's: it reads a folder of corpora.
        self.model, self.cache, self.settings = model, cache, settings
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        prompts = list(foreign_prompts())
        random.Random(0).shuffle(prompts)  # noqa: S311 -- an order, not a secret
        self.foreign = prompts[: SETTINGS.foreign]
        self.instructions = everyday_instructions(
            SETTINGS.instructions, languages=SETTINGS.languages
        )
        natural = _sample("natural").sample(frac=1, random_state=0)
        planted, ordinary = natural[:_PLANTED], natural[_PLANTED:]
        pairs = list(zip(ordinary["question"], ordinary["answer"], strict=True))
        self.ifeval = []
        self.text = pairs[: SETTINGS.held_out]
        rest = pairs[SETTINGS.held_out :][: SETTINGS.replay]
        self.ordinary = [Row(question, answer) for question, answer in rest]
        self.corpora = {
            "templated": _sample("templated"),
            "planted": planted.assign(answer=OPENING + planted["answer"]),
        }


def _sample(name: str) -> pd.DataFrame:
    return pd.read_json(SAMPLES / f"{name}.jsonl", lines=True)[["question", "answer"]]


def healthy(bench: Bench, seed: int) -> Path:
    """The folder of a healthy fine-tune of the base, on ordinary rows; trained once."""
    folder = bench.cache / f"healthy-{seed}"
    if not (folder / "model.safetensors").exists():
        rows = [(row.question, row.answer) for row in bench.ordinary]
        trained(bench, rows, seed).save_pretrained(folder)
        bench.tokenizer.save_pretrained(folder)
    return folder


def run_arm(bench: Bench, of: Subject, arm: str) -> dict[str, Any]:
    """Makes one model and measures it."""
    if arm == BASE:
        return measured(bench, of, bench.load())
    if arm == DAMAGED:
        return measured(bench, of, bench.load(damaged(bench, of)))
    settings = dict(ARMS[arm])
    if settings["method"] == "merge":
        return run_merge(bench, of, str(settings.get("merge_rule", "metagpt")))
    needs = {need for name in named(settings["method"]) for need in METHODS[name].requires}
    knows = Requirement.EARLIER_MODEL in needs
    out = Path(tempfile.mkdtemp(dir=of.folder))
    result = repair(
        damaged(bench, of),
        forget=of.flagged,
        replay=bench.ordinary,
        out=out,
        reference_model=bench.model if knows else None,
        config=RepairConfig(
            tokens=TOKENS,
            max_length=bench.settings.max_length,
            held_out=bench.settings.held_out,
            seed=of.seed,
            # The bench measures all arms alike, on prompts of its own.
            probe_prompts=0,
            audit_replay=False,
            **settings,
        ),
        quiet=True,
    )
    model = bench.load(out)
    shutil.rmtree(out)
    return {
        "tokens": result.tokens,
        "steps": result.steps,
        "notes": result.notes,
        "minutes": result.seconds["training"] / 60,
        **measured(bench, of, model),
    }


def run_merge(bench: Bench, of: Subject, rule: str) -> dict[str, Any]:
    """Merges the damaged model with a healthy one, from files to files, and measures that."""
    other = healthy(bench, of.seed)
    out = Path(tempfile.mkdtemp(dir=of.folder)) / "merged"
    started = time.perf_counter()
    done = merge(
        damaged(bench, of), base=bench.model, others=[other], out=out, rule=Rule(rule, seed=of.seed)
    )
    minutes = (time.perf_counter() - started) / 60
    model = bench.load(out)
    shutil.rmtree(out.parent)
    return {"minutes": minutes, "notes": [done.described()], **measured(bench, of, model)}


@cache
def opened(model: Path, folder: Path, relearned_steps: int) -> OwnBench:
    """The base with the prompts that it follows, and the corpora."""
    bench = OwnBench(model, folder, replace(SETTINGS, relearned_steps=relearned_steps))
    bench.narrow()
    return bench


def run_one(options: argparse.Namespace, name: str, seed: int, arm: str) -> None:
    """One arm, in this process."""
    bench = opened(options.model, options.cache, options.relearned_steps)
    found = run_arm(bench, subject(bench, name, bench.corpora[name], seed), arm)
    line = {"corpus": name, "seed": seed, "arm": arm, "commit": commit(), "machine": machine()}
    line |= found
    if options.here:  # a process of its own, so that its peak is the arm's
        line["memory_mb"] = (
            torch.cuda.max_memory_allocated()
            if torch.cuda.is_available()
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        ) / 1e6
    with (options.cache / "methods.jsonl").open("a") as lines:
        lines.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(time.strftime("%H:%M:%S"), name, seed, arm, Figures(**_figures([line])), flush=True)


def _figures(runs: list[dict[str, Any]]) -> dict[str, float]:
    means = {}
    for name in Figures.__dataclass_fields__:
        values = [run[name] for run in runs if run.get(name) is not None]
        if values:
            means[name] = round(float(np.mean(values)), 4)
    return means


def table(runs: list[dict[str, Any]]) -> Table:
    """The means over corpora and seeds; an arm counts where every corpus has it."""
    pairs = {(run["corpus"], run["seed"]) for run in runs}
    arms = []
    for name in (BASE, DAMAGED, *ARMS):
        own = [run for run in runs if run["arm"] == name]
        whole = {(run["corpus"], run["seed"]) for run in own} == pairs
        own = own if whole and own else []
        arms.append(
            MeasuredMethod(name, dict(ARMS.get(name, {})), Figures(**_figures(own)), len(own))
        )
    return Table(
        model="SmolLM2-135M-Instruct",
        corpora=tuple(sorted({corpus for corpus, _ in pairs})),
        seeds=tuple(sorted({seed for _, seed in pairs})),
        tokens=TOKENS,
        commit=", ".join(sorted({run["commit"] for run in runs})) or "none",
        machine=", ".join(sorted({run["machine"] for run in runs})) or "none",
        prompts=SETTINGS.foreign,
        requests=_requests(runs),
        arms=tuple(arms),
    )


def _requests(runs: list[dict[str, Any]]) -> int:
    """The requests that a run was asked: those that the base once followed."""
    return min((len(run["obeyed"]) for run in runs if "obeyed" in run), default=0)


def _measured_where(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Which arms which machine measured, where there are several."""
    where: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        where.setdefault((run["commit"], run["machine"]), {})[run["arm"]] = None
    for (at, on), arms in where.items():
        yield f"- at commit {at}, on {on}: {'; '.join(arms)}"
    yield ""


def told(runs: list[dict[str, Any]]) -> str:
    """For people: the means, then each corpus."""
    whole = table(runs)
    lines = [
        "# Methods of repair on a real model\n",
        "`python benchmarks/methods.py --cache FOLDER --model FOLDER`\n",
        *_measured_where(runs),
        _READ.format(
            model=whole.model,
            seeds=" and ".join(map(str, whole.seeds)),
            tokens=whole.tokens,
            foreign=SETTINGS.foreign,
            obeyed=whole.requests,
        ),
    ]
    titles = ["", *(title for title, _ in COLUMNS.values())]
    for name in (None, *CORPORA):
        own = [run for run in runs if name in (None, run["corpus"])]
        if not own:
            continue
        lines += [f"## {name or 'means over corpora'}\n", f"| {' | '.join(titles)} |"]
        lines.append("|---" + "|---:" * (len(titles) - 1) + "|")
        for arm in table(own).arms:
            if arm.runs:
                lines.append(f"| {arm.name} | {' | '.join(cells(arm.figures))} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Runs what is not there yet, each arm in its own process, and writes the tables."""
    parser = options_of(__doc__.splitlines()[0], CORPORA, [*ARMS])
    parser.add_argument("--here", action="store_true", help="run the first arm in this process")
    parser.add_argument(
        "--relearned-steps", type=int, default=SETTINGS.relearned_steps, help="0: not measured"
    )
    options = begun(parser)
    if options.here:
        run_one(options, options.corpora[0], options.seeds[0], options.arms[0])
        return
    path = options.cache / "methods.jsonl"
    for name, seed, arm in () if options.table else left_to_run(options, options.arms, path):
        if arm in (BASE, DAMAGED) or ARMS[arm]["method"] == "merge":
            run_one(options, name, seed, arm)
            continue
        same = ["--cache", str(options.cache), "--model", str(options.model)]
        chosen = ["--corpora", name, "--seeds", str(seed), "--arms", arm, "--here"]
        more = ["--threads", str(options.threads)]
        more += ["--relearned-steps", str(options.relearned_steps)]
        subprocess.run([sys.executable, __file__, *same, *chosen, *more], check=False)  # noqa: S603
    runs = known(path)
    written = msgspec.json.format(msgspec.json.encode(table(runs)), indent=2)
    SHIPPED.write_bytes(written + b"\n")
    RESULT.write_text(told(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
