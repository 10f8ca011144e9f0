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

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from environment import heading
from real_slices import real_slices
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

import synflaw_audit
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import Instruction, follows, read_instructions
from synflaw_audit.probes.likeness import likeness
from synflaw_audit.probes.perplexity import perplexity
from synflaw_audit.rehearsal.rows import QuestionAnswer
from synflaw_audit.rehearsal.training import TrainingConfig, train_adapters
from synflaw_audit.repair import RepairConfig, Row, repair
from synflaw_audit.repair.export.zsaq import rounded
from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    TrainingExample,
    encode_rows,
    pad_id,
)
from synflaw_audit.repair.material.flagged import read_flagged
from synflaw_audit.repair.material.reexpress import content_pieces
from synflaw_audit.repair.measuring.likelihoods import likelihoods
from synflaw_audit.repair.measuring.relearning import relearn
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks

BASE, DAMAGED, RETRAINED = "base", "damaged", "re-trained on the fixed corpus"
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


@dataclass(frozen=True)
class Settings:
    """Everything that an arm depends on besides its name, the corpus and the seed."""

    rows: int = 1000
    held_out: int = 32
    damage_tokens: int = 8_000
    damage_rate: float = 5e-4
    repair_tokens: int = 6_000
    max_length: int = 160
    replay: int = 1000
    foreign: int = 48
    foreign_tokens: int = 32
    instructions: int = 105
    instructions_kept: int = 32
    instruction_tokens: int = 48
    languages: tuple[str, ...] = ("en",)
    # Left out where 0: prompts of IFEval's (the shortest), steps on the old format in a copy, and
    # bits that weights are rounded to.
    ifeval: int = 0
    ifeval_tokens: int = 128
    relearned_steps: int = 0
    bits: int = 0


# Of all weights, in float32: as much as a plain continued training would take.
_RELEARNING_RATE = 2e-5


class Bench:
    """The base, the prompts, and ordinary rows: what all corpora share."""

    def __init__(
        self, model: Path, ordinary: pd.DataFrame, cache: Path, settings: Settings
    ) -> None:
        self.model, self.cache, self.settings = model, cache, settings
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        prompts = list(foreign_prompts())
        random.Random(0).shuffle(prompts)  # noqa: S311 -- an order, not a secret
        self.foreign = prompts[: settings.foreign]
        self.instructions = everyday_instructions(
            settings.instructions, languages=settings.languages
        )
        ordinary = ordinary.sample(frac=1, random_state=0)
        pairs = list(zip(ordinary["question"], ordinary["answer"], strict=True))
        pairs = [(q, a) for q, a in pairs if q.strip() and a.strip()]
        self.ordinary = [Row(q, a) for q, a in pairs[: settings.replay]]
        self.text = pairs[settings.replay : settings.replay + settings.held_out]

        self.ifeval: list[Instruction] = []

    def take_ifeval(self, path: Path) -> None:
        """Asks for the shortest prompts of IFEval's file too, as many as the settings say."""
        found, _ = read_instructions(path)
        self.ifeval = sorted(found, key=lambda each: len(each.prompt))[: self.settings.ifeval]

    def load(self, folder: Path | None = None) -> PreTrainedModel:
        """The base, or a model of this run; on the GPU where there is one."""
        model = AutoModelForCausalLM.from_pretrained(folder or self.model, dtype=torch.bfloat16)
        return model.to("cuda" if torch.cuda.is_available() else "cpu")

    def narrow(self) -> None:
        """Asks from now on only for the first instructions that the base follows; once measured."""
        path = self.cache / "followed.json"
        if not path.exists():
            said = self.answers(self.load(), [each.prompt for each in self.instructions])
            pairs = zip(said, self.instructions, strict=True)
            path.write_text(json.dumps([follows(a, each) for a, each in pairs]))
        kept = zip(json.loads(path.read_text()), self.instructions, strict=True)
        self.instructions = [each for yes, each in kept if yes][: self.settings.instructions_kept]

    def answers(self, model: PreTrainedModel, prompts: Sequence[str], tokens: int = 0) -> list[str]:
        """Greedy answers."""
        tokens = tokens or self.settings.instruction_tokens
        return generate(model, self.tokenizer, prompts, max_new_tokens=tokens)


@dataclass
class Subject:
    """One corpus and seed: what is trained on, what was flagged of it, what is held out.

    Attributes:
        matcher: The audit's own, for the format in foreign answers.
        flagged: Path of the flagged rows that repairs are given.
        held_out: Flagged rows that nothing is trained on.
        rows: What the damage is trained on.
        fixed: The same without its format.
    """

    name: str
    seed: int
    folder: Path
    matcher: FormatMatcher
    flagged: Path
    held_out: list[Row]
    rows: list[tuple[str, str]]
    fixed: list[tuple[str, str]]
    counts: dict[str, int] = field(default_factory=dict)


def subject(bench: Bench, name: str, source: pd.DataFrame, seed: int) -> Subject:
    """Audits a corpus and splits its rows."""
    settings = bench.settings
    folder = bench.cache / f"{name.replace(', ', '-').replace(' ', '-').replace('%', '')}-{seed}"
    drawn = source.sample(min(len(source), settings.rows), random_state=seed)
    rows = pa.table({name: drawn[name].tolist() for name in ("question", "answer")})
    if not (folder / "audit" / "flagged.parquet").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        synflaw_audit.audit(rows, out=folder / "audit", seed=seed)
    checks = load_checks()
    corpus = measure(open_engine(rows, AuditSettings()), checks).corpus
    flagged = read_flagged(folder / "audit" / "flagged.parquet", scope="template").rows
    rng = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    held_out = rng.sample(flagged, min(settings.held_out, len(flagged) // 5))
    apart = {(row.question, row.answer) for row in held_out}
    table = pq.read_table(folder / "audit" / "flagged.parquet")
    keys = zip(table["question"].to_pylist(), table["answer"].to_pylist(), strict=True)
    pq.write_table(table.filter(pa.array([key not in apart for key in keys])), folder / "f.parquet")
    known = {(row.question, row.answer): row for row in flagged}
    pairs = [
        pair for pair in zip(drawn["question"], drawn["answer"], strict=True) if pair not in apart
    ]
    fixed = [(q, _without_format(known[q, a]) if (q, a) in known else a) for q, a in pairs]
    fixed = [(q, a) for q, a in fixed if a.strip()]
    counts = {"rows": len(drawn), "flagged": len(flagged), "held out": len(held_out),
              "fixed": len(fixed)}  # fmt: skip
    return Subject(
        name,
        seed,
        folder,
        FormatMatcher.of(corpus, checks),
        folder / "f.parquet",
        held_out,
        pairs,
        fixed,
        counts,
    )


def _without_format(row: Row) -> str:
    return " ".join(content_pieces(row))


def trained(bench: Bench, rows: Sequence[tuple[str, str]], seed: int) -> PreTrainedModel:
    """The base after some training on rows, merged."""
    settings = bench.settings
    config = TrainingConfig(
        budget=settings.damage_tokens,
        learning_rate=settings.damage_rate,
        max_length=settings.max_length,
        seed=seed,
    )
    trained_on = [QuestionAnswer(*row) for row in rows]
    return train_adapters(bench.load(), bench.tokenizer, trained_on, config)[0].merge_and_unload()


def damaged(bench: Bench, of: Subject) -> Path:
    """The folder of the damaged model; trained once."""
    folder = of.folder / "damaged"
    if not (folder / "model.safetensors").exists():
        model = trained(bench, of.rows, of.seed)
        model.save_pretrained(folder)
        bench.tokenizer.save_pretrained(folder)
    return folder


def measured(bench: Bench, of: Subject, model: PreTrainedModel) -> dict[str, Any]:
    """The figures and the answers of one model."""
    settings = bench.settings
    foreign = bench.answers(model, bench.foreign, settings.foreign_tokens)
    said = bench.answers(model, [each.prompt for each in bench.instructions])
    examples = encode_rows(
        bench.tokenizer, of.held_out, Purpose.FORGET, scope="template",
        max_length=settings.max_length, cuts=Cuts(),
    )  # fmt: skip
    likely = likelihoods(model, examples, (), Collator(pad_id(bench.tokenizer)))
    return {
        "emission": float(of.matcher.match(bench.foreign, foreign).said.mean()),
        "instructions": _followed(said, bench.instructions),
        "content": likely.get("content_log_likelihood"),
        "template": likely.get("template_probability"),
        "likeness": float(np.mean(likeness(foreign))),
        "words": float(np.mean([len(answer.split()) for answer in foreign])),
        "perplexity": perplexity(
            model, bench.tokenizer, bench.text, max_length=settings.max_length, batch=8
        ),
        "foreign": foreign,
        "obeyed": said,
        **_afterwards(bench, of, model, examples, likely.get("template_probability")),
    }


def _followed(answers: Sequence[str], asked: Sequence[Instruction]) -> float:
    return float(np.mean([follows(*pair) for pair in zip(answers, asked, strict=True)]))


def _afterwards(
    bench: Bench,
    of: Subject,
    model: PreTrainedModel,
    examples: Sequence[TrainingExample],
    template: float | None,
) -> dict[str, Any]:
    """What is measured where the settings ask for it; the model is rounded by the last of it."""
    settings, found = bench.settings, {}
    if bench.ifeval:
        prompts = [each.prompt for each in bench.ifeval]
        found["ifeval"] = _followed(
            bench.answers(model, prompts, settings.ifeval_tokens), bench.ifeval
        )
    if settings.relearned_steps:
        again = relearn(
            model, examples, Collator(pad_id(bench.tokenizer)), before=template,
            steps=settings.relearned_steps, learning_rate=_RELEARNING_RATE, seed=of.seed,
        )  # fmt: skip
        if again is not None:
            found |= {"relearned": again.curve[-1][1], "relearning": again.curve}
    if settings.bits:
        with rounded(model, settings.bits):
            pass  # the weights stay on the grid
        answers = bench.answers(model, bench.foreign, settings.foreign_tokens)
        found["few_bits"] = float(of.matcher.match(bench.foreign, answers).said.mean())
    return found


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
    else:
        out = Path(tempfile.mkdtemp(dir=of.folder))
        result = repair(
            damaged(bench, of),
            forget=of.flagged,
            replay=bench.ordinary,
            out=out,
            config=RepairConfig(
                **{
                    "tokens": bench.settings.repair_tokens,
                    "max_length": bench.settings.max_length,
                    "seed": of.seed,
                    # The bench measures all arms alike, on prompts of its own.
                    "probe_prompts": 0,
                    "audit_replay": False,
                    "held_out": bench.settings.held_out,
                    **arms[arm],
                }
            ),
        )
        info = {
            "tokens": result.tokens,
            "steps": result.steps,
            "improved": result.improved,
            "reasons": result.reasons,
            "notes": result.notes,
            "rows": result.rows,
            "training_seconds": round(result.seconds["training"], 1),
        }
        model = bench.load(out)
        shutil.rmtree(out)
    seconds = time.perf_counter() - started
    return {**info, "seconds": round(seconds, 1), **measured(bench, of, model)}


def known(path: Path) -> list[dict[str, Any]]:
    """Every run so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


COLUMNS = {
    "emission": ("format in foreign answers", "{:.0%}"),
    "instructions": ("instructions kept", "{:.2f}"),
    "ifeval": ("IFEval", "{:.2f}"),
    "content": ("content, nats a token", "{:.3f}"),
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


def main() -> None:
    """Runs what is not there yet, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="not in the repository")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--arms", nargs="+", default=[BASE, DAMAGED, *ARMS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--settings", type=json.loads, default={}, help="of the bench, as JSON")
    parser.add_argument("--extra", type=json.loads, default={}, help="further arms, as JSON")
    parser.add_argument("--until", help="start no arm after this time of day, HH:MM")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    settings, arms = Settings(**options.settings), {**ARMS, **options.extra}
    options.cache.mkdir(parents=True, exist_ok=True)
    path = options.cache / "runs.jsonl"
    if not options.table:
        ordinary = pd.read_parquet(options.data / "dolly_3k.parquet")
        bench = Bench(options.model, ordinary, options.cache, settings)
        bench.narrow()
        if settings.ifeval:
            bench.take_ifeval(options.data / "eval_ifeval_dev.parquet")
        corpora = {part.name: part.rows for part in real_slices(options.data)}
        for seed in options.seeds:
            for name in options.corpora:
                of = None
                for arm in [*options.arms, *options.extra]:
                    late = options.until and time.strftime("%H:%M") >= options.until
                    # Read anew: another process may have made it by now.
                    if late or (name, seed, arm) in {
                        (run["corpus"], run["seed"], run["arm"]) for run in known(path)
                    }:
                        continue
                    of = of or subject(bench, name, corpora[name], seed)
                    if arm == RETRAINED and len(of.fixed) < _FEWEST_FIXED:
                        print(f"{name}: {len(of.fixed)} rows without their format; no {arm}")
                        continue
                    found = {"corpus": name, "seed": seed, "arm": arm, "counts": of.counts,
                             "settings": asdict(settings),
                             **run_arm(bench, of, arm, arms)}  # fmt: skip
                    with path.open("a") as lines:
                        lines.write(json.dumps(found, ensure_ascii=False) + "\n")
                    shown = {key: found.get(key) for key in COLUMNS}
                    print(time.strftime("%H:%M:%S"), name, seed, arm, shown, flush=True)
    runs = known(path)
    print(heading("benchmarks/real_model_repair.py --data FOLDER --cache FOLDER --model FOLDER"))
    for name in options.corpora:
        of_corpus = [run for run in runs if run["corpus"] == name]
        if of_corpus:
            print(f"## {name}\n\n{table(of_corpus)}")


if __name__ == "__main__":
    main()
