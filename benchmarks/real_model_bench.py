"""A real model that a corpus damages: how it is damaged and measured, shared by benchmarks.

For a corpus and a seed adapters are trained on some of its rows and merged. What is measured was
held out of the damage and of every repair: answers to open prompts and to verifiable instructions
that the base follows, rows of the corpus, and ordinary rows.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
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
from synflaw_audit.repair import Row
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

BASE, DAMAGED = "base", "damaged"


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


def known(path: Path) -> list[dict[str, Any]]:
    """Every run so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def options_of(description: str, corpora: Sequence[str], arms: Sequence[str]) -> ArgumentParser:
    """What every benchmark that repairs a real model is told, beside its own."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--cache", type=Path, required=True, help="not in the repository")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=list(corpora))
    parser.add_argument("--arms", nargs="*", default=[BASE, DAMAGED, *arms])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--until", help="start no arm after this time of day, HH:MM")
    parser.add_argument("--table", action="store_true", help="only show the tables")
    return parser


def begun(parser: ArgumentParser) -> Namespace:
    """The options, with the threads set, the libraries quiet and the cache made."""
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    options.cache.mkdir(parents=True, exist_ok=True)
    return options


def left_to_run(
    options: Namespace, arms: Sequence[str], path: Path
) -> Iterator[tuple[str, int, str]]:
    """Corpus, seed and arm of every run that is not there yet, until it is too late."""
    for seed in options.seeds:
        for name in options.corpora:
            for arm in arms:
                if options.until and time.strftime("%H:%M") >= options.until:
                    return
                # Read anew: another process may have made it by now.
                done = {(run["corpus"], run["seed"], run["arm"]) for run in known(path)}
                if (name, seed, arm) not in done:
                    yield name, seed, arm
