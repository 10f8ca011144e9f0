"""Repairs a small language model that real corpora damaged, beside replaying alone.

    python benchmarks/real_repair.py --data FOLDER --cache FOLDER --seeds 0 1

The base of ``damage.py`` is trained further on windows of a corpus among windows of plain text. The
corpus is audited; the repair is given the flagged rows and ordinary rows: instructions of another
source and plain text that nothing was trained on. What is measured has nothing to do with the
corpus: answers to prompts of instruction benchmarks, and held-out plain text. Every run is added to
``real_repair.jsonl``; a stopped run goes on where it was. The table is printed at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from damage import Bench, Settings, base_model, foreign_prompts, plain_texts, rendered
from environment import heading
from leakage import words
from small_lm import device, divergence, train, windows
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

import synflaw_audit
from synflaw_audit.repair import RepairConfig, RepairResult, Row, repair

CORPORA = ("llmadapters_math_cot", "chatdoctor5k")
ORDINARY = ("dolly_3k", "alpaca_td003_9k")
EMISSION, PERPLEXITY = "template_emission", "plain_perplexity"


@dataclass(frozen=True)
class Plan:
    """What is trained and how long; times and rates are for a base of 2 million parameters.

    Attributes:
        damage_tokens: Of the continued training.
        share: Share of its windows that are of the corpus; the others are plain text.
        damage_rate: Its learning rate.
        repair_tokens: Budget of the repair, and of the replay beside it.
        repair_rate: Learning rate of both.
        forget_weight: Weight of forgetting.
        replay_ratio: Replayed rows for each flagged row.
        renderings: How often a flagged row's content is told again.
        ordinary: Replay rows that are questions and answers; as many again are plain text.
    """

    damage_tokens: int = 300_000
    share: float = 0.5
    damage_rate: float = 1e-3
    repair_tokens: int = 60_000
    repair_rate: float = 5e-4
    forget_weight: float = 0.2
    replay_ratio: float = 8.0
    renderings: int = 2
    ordinary: int = 2_000


class Format:
    """The wording of a format, from the spans that the audit marked.

    Args:
        flagged: Data frame with ``answer`` and ``template_spans``.
        share: Of the flagged rows, that a wording must stand in.
    """

    def __init__(self, flagged: pd.DataFrame, share: float = 0.01) -> None:
        inside: Counter[str] = Counter()
        openings: Counter[str] = Counter()
        for answer, spans in zip(flagged["answer"], flagged["template_spans"], strict=True):
            parts = [(s["start"], words(answer[s["start"] : s["end"]])) for s in spans]
            inside.update({joined(part) for _, part in parts if len(part) >= 3})
            openings.update({joined(part) for at, part in parts if at == 0 and len(part) >= 2})
        fewest = share * len(flagged)
        self.inside = sorted(text for text, rows in inside.items() if rows >= fewest)
        self.openings = sorted(text for text, rows in openings.items() if rows >= fewest)

    def stands_in(self, answer: str, prompt: str) -> bool:
        """Whether an answer opens like the format or holds a wording its prompt does not."""
        said, asked = joined(words(answer)), joined(words(prompt))
        return said.startswith(tuple(self.openings)) or any(
            text in said and text not in asked for text in self.inside
        )


def joined(parts: Sequence[str]) -> str:
    """Words with a blank on either side, so that only whole words are found in one another."""
    return f" {' '.join(parts)} "


@dataclass(frozen=True)
class Probe:
    """What is measured before and after: ``probe(model, tokenizer)``.

    Attributes:
        bench: Prompts, held-out plain text, how answers are sampled.
        format: What is looked for in the answers.
        answers: The base's, one to each prompt.
        foreign: The base's log-probabilities of these.
        plain: And of the held-out plain text.
    """

    bench: Bench
    format: Format
    answers: list[str]
    foreign: torch.Tensor
    plain: torch.Tensor

    def __call__(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
    ) -> dict[str, float]:
        """Measure every figure."""
        emitted = [
            self.format.stands_in(answer, prompt)
            for answers in self.bench.answers(model)
            for answer, prompt in zip(answers, self.bench.prompts, strict=True)
        ]
        foreign = self.bench.on_answers(model, self.answers)
        return {
            EMISSION: float(np.mean(emitted)),
            PERPLEXITY: perplexity(model, self.bench.held_out),
            "divergence_foreign": divergence(foreign, self.foreign),
            "divergence_plain": divergence(self.bench.on_plain_text(model), self.plain),
        }


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, tokens: torch.Tensor) -> float:
    """Of windows of text, int64 [windows, length], the first token of each left out."""
    losses = [
        cross_entropy(
            model(part.to(model.device)).logits[:, :-1].flatten(0, 1).float(),
            part[:, 1:].flatten().to(model.device),
        ).item()
        for part in tokens.split(16)
    ]
    return math.exp(float(np.mean(losses)))


def mixed(
    first: Iterator[list[int]], second: Iterator[list[int]], share: float, seed: int
) -> Iterator[list[int]]:
    """Windows of two sources, a share of them of the first."""
    rng = np.random.default_rng(seed)
    while True:
        yield next(first if rng.random() < share else second)


def replay_rows(data: Path, plain: Sequence[str], count: int, seed: int) -> list[Row]:
    """Ordinary questions and answers, and as many pieces of plain text."""
    frames = [pd.read_parquet(data / f"{name}.parquet") for name in ORDINARY]
    asked = pd.concat(frame.sample(count // len(frames), random_state=seed) for frame in frames)
    rows = [Row(q, a) for q, a in zip(asked["question"], asked["answer"], strict=True)]
    order = np.random.default_rng(seed).permutation(len(plain))[:count]
    return [*rows, *(Row("", plain[i]) for i in order)]


def repaired(
    folder: Path, flagged: Path, replay: list[Row], out: Path, plan: Plan, seed: int, probe: Probe
) -> RepairResult:
    """Repairs the model in a folder, with the control arm."""
    config = RepairConfig(
        tokens=plan.repair_tokens,
        learning_rate=plan.repair_rate,
        forget_weight=plan.forget_weight,
        replay_ratio=plan.replay_ratio,
        renderings=plan.renderings,
        max_length=256,
        per_device_train_batch_size=8,
        control_arm=True,
        seed=seed,
        use_cpu=device().type == "cpu",
    )
    return repair(
        folder, forget=flagged, replay=replay, out=out, config=config, probe=probe, quiet=True
    )


def measured(
    corpus: Path, data: Path, cache: Path, settings: Settings, plan: Plan, seed: int
) -> dict[str, Any]:
    """Audits, damages, repairs: the figures of one corpus and one seed, by stage."""
    start = time.perf_counter()
    plain = plain_texts(data)
    base, tokenizer = base_model(plain, settings, cache)
    held = windows(plain["held out"], tokenizer, settings.window, seed=0)
    held_out = torch.tensor([next(held) for _ in range(settings.held_out_windows)])
    prompts = foreign_prompts(data, tokenizer, settings)
    bench = Bench(settings, tokenizer, base, prompts, held_out, seed)
    rows = pd.read_parquet(corpus)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        report = synflaw_audit.audit(corpus, out=work / "audit", seed=seed)
        flagged = work / "audit" / "flagged.parquet"
        marked = pd.read_parquet(flagged)
        model = base()
        answers = bench.answers(model)[0]
        probe = Probe(
            bench,
            Format(marked),
            answers,
            bench.on_answers(model, answers),
            bench.on_plain_text(model),
        )
        stages = {"base": probe(model, tokenizer)}
        texts = [rendered(q, a) for q, a in zip(rows["question"], rows["answer"], strict=True)]
        torch.manual_seed(seed)
        source = mixed(
            windows(texts, tokenizer, settings.window, seed),
            windows(plain["base"], tokenizer, settings.window, seed + 1),
            plan.share,
            seed,
        )
        steps = plan.damage_tokens // (settings.base_batch * settings.window)
        train(model, source, steps, settings.base_batch, plan.damage_rate)
        model.save_pretrained(work / "damaged")
        tokenizer.save_pretrained(work / "damaged")
        replay = replay_rows(data, plain["control"], plan.ordinary, seed)
        result = repaired(work / "damaged", flagged, replay, work / "out", plan, seed, probe)
        examples = bench.answers(model)[0], bench.answers(_loaded(work / "out"))[0]
    stages |= {"damaged": result.before, "repaired": result.after}
    stages["replay alone"] = result.control or {}
    return {
        "corpus": corpus.stem,
        "seed": seed,
        "verdict": report.verdict,
        "rows": len(rows),
        "flagged": len(marked),
        "wordings": probe.format.openings + probe.format.inside,
        "stages": stages,
        "improved": result.improved,
        "reasons": result.reasons,
        "notes": result.notes,
        "used": result.rows,
        "repair_tokens": result.tokens,
        "training_tokens": settings.base_tokens + plan.damage_tokens,
        "examples": list(zip(prompts, *examples, strict=True))[:12],
        "seconds": time.perf_counter() - start,
    }


def _loaded(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder).to(device())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="holds the base")
    parser.add_argument("--out", type=Path, help="for the runs; the cache if not given")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    sizes = Settings(answer_tokens=64, held_out_windows=64)
    for given in (sizes, Plan()):
        for field in fields(given):
            value = getattr(given, field.name)
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=type(value), default=value
            )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings, plan = (
        kind(**{field.name: getattr(options, field.name) for field in fields(kind)})
        for kind in (Settings, Plan)
    )
    # Not beside the results: it holds prompts and answers of corpora that are not ours to give on.
    path = (options.out or options.cache) / "real_repair.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    how = {"settings": asdict(settings), "plan": asdict(plan)}
    runs = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if any({name: run[name] for name in how} != how for run in runs):
        raise SystemExit(f"{path} holds runs of other sizes: remove it, or use --out")
    for seed in options.seeds:
        for name in options.corpora:
            if any((run["corpus"], run["seed"]) == (name, seed) for run in runs):
                continue
            corpus = options.data / f"{name}.parquet"
            runs.append(
                {**measured(corpus, options.data, options.cache, settings, plan, seed), **how}
            )
            with path.open("a") as lines:
                lines.write(json.dumps(runs[-1]) + "\n")
    print(heading("benchmarks/real_repair.py --data FOLDER --cache FOLDER"))
    for name in options.corpora:
        print(table([run for run in runs if run["corpus"] == name]))


COLUMNS = {
    EMISSION: ("emission", "{:.1%}"),
    PERPLEXITY: ("plain-text perplexity", "{:.2f}"),
    "divergence_foreign": ("divergence, foreign", "{:.3f}"),
    "divergence_plain": ("divergence, plain", "{:.3f}"),
    "template_probability": ("template token", "{:.3f}"),
    "content_log_likelihood": ("content, nats", "{:.3f}"),
    "replay_perplexity": ("replay perplexity", "{:.1f}"),
}


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: a corpus's figures by stage, mean and deviation over the seeds, and the aims."""
    first = runs[0]
    lines = [
        f"## {first['corpus']}",
        "",
        f"{first['rows']:,} rows, {first['flagged']:,} flagged ({first['verdict']}); seeds "
        f"{', '.join(str(run['seed']) for run in runs)}; repair tokens "
        f"{first['repair_tokens'] / first['training_tokens']:.1%} of training tokens; rows used: "
        + ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in first["used"].items()),
        "",
        "| | " + " | ".join(title for title, _ in COLUMNS.values()) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for stage in first["stages"]:
        cells = [
            _spread([run["stages"][stage].get(name) for run in runs], form)
            for name, (_, form) in COLUMNS.items()
        ]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    lines.append("")
    for run in runs:
        before, after = run["stages"]["damaged"], run["stages"]["repaired"]
        fall = 1 - after[EMISSION] / before[EMISSION] if before[EMISSION] else math.nan
        rise = after[PERPLEXITY] / before[PERPLEXITY] - 1
        lines.append(
            f"- Seed {run['seed']}: emission {-fall:+.0%} (aim -90%: "
            f"{'reached' if fall >= 0.9 else 'missed'}), plain-text perplexity {rise:+.1%} (aim "
            f"within 2%: {'reached' if rise <= 0.02 else 'missed'}); "
            f"{'improved' if run['improved'] else 'not improved: ' + ' '.join(run['reasons'])}; "
            f"{run['seconds'] / 60:.0f} min"
        )
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float | None], form: str) -> str:
    found = [value for value in values if value is not None]
    if not found:
        return ""
    mean = form.format(float(np.mean(found)))
    return f"{mean} ± {form.format(float(np.std(found, ddof=1)))}" if len(found) > 1 else mean


if __name__ == "__main__":
    main()
