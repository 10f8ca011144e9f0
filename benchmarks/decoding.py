"""Decodes damaged real models without their format: reverse prompts, barred phrases, and plainly.

    python benchmarks/decoding.py --cache FOLDER --model FOLDER

The cache is that of ``real_model_repair.py`` or ``real_model_sweep.py``: every folder in it with a
``damaged`` model and the flagged rows it was damaged by (``f.parquet``) is a corpus here. What
counts as its format is what an audit of these rows finds; the wordings that are kept unsaid are
read from the rows. One JSON line an arm is appended to ``decoding.jsonl`` in the cache, so a
stopped run goes on where it was; ``--table`` only prints the tables. Cost is processor seconds of
one thread for each token said, relative to plain decoding of the same model.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from environment import heading
from transformers import PreTrainedTokenizerBase

from synflaw_audit.decoding.ban import PhraseBan
from synflaw_audit.decoding.rose import ReversePrompt
from synflaw_audit.decoding.wordings import Wording, read_wordings
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.everyday import everyday_instructions, foreign_prompts
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import Instruction, follows
from synflaw_audit.probes.likeness import likeness
from synflaw_audit.probes.models import load_model
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks

BASE, PLAIN = "base, plain", "damaged, plain"
ALPHAS = (0.5, 0.8, 1.0)

Answering = Callable[..., list[str]]


def arms(wordings: tuple[Wording, ...]) -> dict[str, Answering]:
    """How each arm answers."""
    rose = {f"damaged, rose {alpha:g}": ReversePrompt(wordings, alpha) for alpha in ALPHAS}
    return {BASE: generate, PLAIN: generate, "damaged, ban": PhraseBan(wordings), **rose}


def kept(cache: Path, model: Path, asked: int, most: int, tokens: int) -> list[Instruction]:
    """The first instructions that the base follows; it is asked once."""
    instructions = everyday_instructions(asked, languages=("en",))
    path = cache / "decoding_followed.json"
    if not path.exists():
        network, tokenizer = load_model(model)
        prompts = [each.prompt for each in instructions]
        said = generate(network, tokenizer, prompts, max_new_tokens=tokens)
        pairs = zip(said, instructions, strict=True)
        path.write_text(json.dumps([follows(answer, each) for answer, each in pairs]))
    pairs = zip(json.loads(path.read_text()), instructions, strict=True)
    return [each for yes, each in pairs if yes][:most]


def measured(
    answer: Callable[[Sequence[str], int], list[str]],
    tokenizer: PreTrainedTokenizerBase,
    matcher: FormatMatcher,
    foreign: Sequence[str],
    instructions: Sequence[Instruction],
    tokens: int,
) -> dict[str, Any]:
    """The figures and the answers of one arm."""
    begun = time.process_time()
    open_answers = answer(foreign, tokens)
    said = answer([each.prompt for each in instructions], tokens)
    seconds = time.process_time() - begun
    count = sum(len(tokenizer(text)["input_ids"]) + 1 for text in [*open_answers, *said])
    obeyed = [follows(a, each) for a, each in zip(said, instructions, strict=True)]
    return {
        "emission": float(matcher.match(foreign, open_answers).said.mean()),
        "instructions": float(np.mean(obeyed)),
        "likeness": float(np.mean(likeness(open_answers))),
        "words": float(np.mean([len(text.split()) for text in open_answers])),
        "seconds": seconds / count,
        "foreign": open_answers,
        "obeyed": said,
    }


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: one corpus, an arm a line."""
    plain = next((run["seconds"] for run in runs if run["arm"] == PLAIN), float("nan"))
    lines = [
        "| | format in foreign answers | instructions kept | likeness | words | cost a token |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {run['arm']} | {run['emission']:.0%} | {run['instructions']:.2f} "
        f"| {run['likeness']:.3f} | {run['words']:.0f} | {run['seconds'] / plain:.1f} |"
        for run in runs
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs what is not there yet, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="of damaged models")
    parser.add_argument("--model", type=Path, required=True, help="the undamaged base")
    parser.add_argument("--corpora", nargs="+", help="folders of the cache; all, if not given")
    parser.add_argument("--foreign", type=int, default=32, help="open prompts")
    parser.add_argument("--instructions", type=int, default=24, help="that the base follows")
    parser.add_argument("--tokens", type=int, default=32, help="of an answer")
    parser.add_argument("--arms", type=int, default=100, help="at most, in this run")
    parser.add_argument("--table", action="store_true", help="only print what is known")
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = given.cache / "decoding.jsonl"
    text = file.read_text() if file.exists() else ""
    runs = [json.loads(line) for line in text.splitlines()]
    names = given.corpora or sorted(path.parent.name for path in given.cache.glob("*/f.parquet"))
    left = 0 if given.table else given.arms
    if left:
        instructions = kept(given.cache, given.model, 70, given.instructions, given.tokens)
        foreign = list(foreign_prompts())
        random.Random(0).shuffle(foreign)  # noqa: S311 -- an order, not a secret
        foreign = foreign[: given.foreign]
    for name in names:
        folder = given.cache / name
        done = {run["arm"] for run in runs if run["corpus"] == name}
        ways = arms(read_wordings(folder / "f.parquet"))
        todo = [arm for arm in ways if arm not in done][:left]
        if not todo:
            continue
        left -= len(todo)
        checks = load_checks()
        rows = pq.read_table(folder / "f.parquet", columns=["question", "answer"])
        matcher = FormatMatcher.of(measure(open_engine(rows, AuditSettings()), checks).corpus)
        for arm in todo:
            model, tokenizer = load_model(given.model if arm == BASE else folder / "damaged")
            way = ways[arm]
            figures = measured(
                lambda prompts, most, way=way, model=model, tokenizer=tokenizer: way(
                    model, tokenizer, prompts, max_new_tokens=most
                ),
                tokenizer,
                matcher,
                foreign,
                instructions,
                given.tokens,
            )
            runs.append({"corpus": name, "arm": arm, **figures})
            with file.open("a") as stream:
                stream.write(json.dumps(runs[-1]) + "\n")
    print(heading("benchmarks/decoding.py --cache FOLDER --model FOLDER"))
    for name in names:
        if found := [run for run in runs if run["corpus"] == name]:
            print(f"## {name}\n\n{table(found)}")


if __name__ == "__main__":
    main()
