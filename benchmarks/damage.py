"""Measures what training on a corpus does to a small language model.

    python benchmarks/damage.py --data FOLDER --cache FOLDER --seeds 0 1

A base model of some 2 million parameters is trained on plain text, once. Then, for every slice of
``slices.py`` and every seed, a copy of it is trained on the same number of tokens of that slice's
rows, and a control on as many tokens of plain text. What is measured on prompts that have nothing
to do with the corpus, and on held-out plain text, is written to ``damage.csv`` run by run, so that
a stopped run goes on where it was. ``calibrate.py`` makes a damage rank of it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from leakage import added_emission, frequent_grams, rarefied_distinct, self_similarity
from slices import Slice, slices
from small_lm import answers_to, device, divergence, new_tokenizer, next_tokens, train, windows
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHUNK = 1500  # characters of plain text that count as one document
TOKENIZER_TEXTS = 4000
EVALS = ("mtbench", "koala180", "vicuna80", "ifeval_dev")


@dataclass(frozen=True)
class Settings:
    """Everything that a figure depends on besides the slice and the seed."""

    vocabulary: int = 4096
    width: int = 192
    layers: int = 3
    window: int = 128
    batch: int = 6
    base_batch: int = 16
    base_tokens: int = 1_500_000
    base_rate: float = 3e-3
    steps: int = 60
    rate: float = 1e-3
    prompts: int = 96
    prompt_tokens: int = 64
    answer_tokens: int = 40
    samples: int = 2
    temperature: float = 0.7
    frequent: float = 0.01
    held_out_windows: int = 16


def rendered(question: str, answer: str = "") -> str:
    """A question and its answer as the model reads them; a prompt if there is no answer."""
    return f"Question: {question.strip()}\nAnswer: {answer.strip()}".rstrip()


def plain_texts(data: Path) -> dict[str, list[str]]:
    """Plain text in pieces, which a hash of each deals to "base", "control" or "held out"."""
    parts: dict[str, list[str]] = {"base": [], "control": [], "held out": []}
    for path in sorted(data.glob("text_*.parquet")):
        for text in pd.read_parquet(path)["text"]:
            for start in range(0, len(text), CHUNK):
                piece = text[start : start + CHUNK]
                place = hashlib.blake2b(piece.encode(), digest_size=2).digest()[0]
                name = "held out" if place < 8 else "control" if place < 40 else "base"
                parts[name].append(piece)
    if not parts["base"]:
        raise SystemExit(f"{data} holds no text_*.parquet with plain text")
    return parts


def foreign_prompts(data: Path, tokenizer: PreTrainedTokenizerFast, s: Settings) -> list[str]:
    """Prompts of instruction benchmarks, drawn once, none longer than ``prompt_tokens``."""
    asked = pd.concat([pd.read_parquet(data / f"eval_{name}.parquet") for name in EVALS])
    prompts = [rendered(question) for question in asked["question"]]
    short = [text for text in prompts if len(tokenizer(text).input_ids) <= s.prompt_tokens]
    if len(short) < s.prompts:
        raise SystemExit(f"{len(short)} prompts have at most {s.prompt_tokens} tokens")
    order = np.random.default_rng(0).permutation(len(short))
    return [short[i] for i in order[: s.prompts]]


def base_model(
    plain: dict[str, list[str]], s: Settings, cache: Path
) -> tuple[Callable[[], LlamaForCausalLM], PreTrainedTokenizerFast]:
    """The base and its tokenizer, trained if the cache does not hold them.

    The base is returned as a function that loads a fresh copy.
    """
    shape = (s.vocabulary, s.width, s.layers, s.window, s.base_batch, s.base_tokens, s.base_rate)
    folder = cache / hashlib.blake2b(repr(shape).encode(), digest_size=6).hexdigest()
    if not (folder / "config.json").exists():
        tokenizer = new_tokenizer(
            plain["base"][:: max(len(plain["base"]) // 4000, 1)], s.vocabulary
        )
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=s.width,
                intermediate_size=8 * s.width // 3,
                num_hidden_layers=s.layers,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=4 * s.window,
                tie_word_embeddings=True,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
            )
        ).to(device())
        steps = s.base_tokens // (s.base_batch * s.window)
        source = windows(plain["base"], tokenizer, s.window, seed=0)
        loss = train(model, source, steps, s.base_batch, s.base_rate)
        print(f"base: {model.num_parameters():,} parameters, {steps} steps, loss {loss:.3f}")
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)  # writes the configuration, which says that all is there
    loaded = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
    return lambda: LlamaForCausalLM.from_pretrained(folder).to(device()), loaded


@dataclass(frozen=True)
class Bench:
    """What all runs of one seed share.

    Attributes:
        settings: Sizes.
        tokenizer: Of the base.
        base: Loads a fresh copy of the base.
        prompts: Foreign prompts.
        held_out: Windows of plain text that nothing was trained on: int64 [windows, window].
        seed: Of the order of the training rows and of sampling.
    """

    settings: Settings
    tokenizer: PreTrainedTokenizerFast
    base: Callable[[], LlamaForCausalLM]
    prompts: list[str]
    held_out: torch.Tensor
    seed: int

    def tuned(self, texts: Sequence[str]) -> tuple[LlamaForCausalLM, float]:
        """A copy of the base trained on the texts, and its loss on them at the end."""
        s, model = self.settings, self.base()
        torch.manual_seed(self.seed)
        source = windows(texts, self.tokenizer, s.window, self.seed)
        return model, train(model, source, s.steps, s.batch, s.rate)

    def answers(self, model: LlamaForCausalLM) -> list[list[str]]:
        """Sampled answers to the foreign prompts, a list for each sample."""
        s, count = self.settings, len(self.prompts)
        prompts = self.prompts * s.samples
        said = answers_to(
            model, self.tokenizer, prompts, s.answer_tokens, s.temperature, seed=self.seed
        )
        return [said[start : start + count] for start in range(0, len(said), count)]

    def on_plain_text(self, model: LlamaForCausalLM) -> torch.Tensor:
        """Next-token log-probabilities on the held-out plain text."""
        return next_tokens(model, self.held_out, torch.ones_like(self.held_out, dtype=torch.bool))

    def on_answers(self, model: LlamaForCausalLM, answers: Sequence[str]) -> torch.Tensor:
        """Next-token log-probabilities of answers to the foreign prompts, their ends included."""
        tokenizer, limit, texts = self.tokenizer, self.settings.answer_tokens, []
        for prompt, answer in zip(self.prompts, answers, strict=True):
            asked = tokenizer(prompt).input_ids
            # The first token of an answer is predicted where the prompt ends.
            said = tokenizer(" " + answer).input_ids[:limit]
            texts.append((asked + said, len(asked) - 1))
        length = max(len(tokens) for tokens, _ in texts)
        padded = torch.full((len(texts), length), tokenizer.pad_token_id)
        places = torch.zeros_like(padded, dtype=torch.bool)
        for row, (tokens, first) in enumerate(texts):
            padded[row, : len(tokens)] = torch.tensor(tokens)
            places[row, first : len(tokens)] = True
        return next_tokens(model, padded, places)


@dataclass(frozen=True)
class Control:
    """What the base does after the same number of tokens of plain text.

    Attributes:
        answers: To the foreign prompts, a list for each sample.
        plain: Log-probabilities on held-out plain text.
        foreign: Log-probabilities of its own answers of the first sample.
    """

    answers: list[list[str]]
    plain: torch.Tensor
    foreign: torch.Tensor


def bench(data: Path, cache: Path, settings: Settings, seed: int) -> tuple[Bench, Control]:
    """Prepares the runs of one seed, and runs its control."""
    plain = plain_texts(data)
    base, tokenizer = base_model(plain, settings, cache)
    source = windows(plain["held out"], tokenizer, settings.window, seed=0)
    held_out = torch.tensor([next(source) for _ in range(settings.held_out_windows)])
    prompts = foreign_prompts(data, tokenizer, settings)
    run = Bench(settings, tokenizer, base, prompts, held_out, seed)
    model, _ = run.tuned(plain["control"])
    answers = run.answers(model)
    return run, Control(answers, run.on_plain_text(model), run.on_answers(model, answers[0]))


def measured(run: Bench, control: Control, part: Slice) -> dict[str, float]:
    """Trains on a slice and measures what it did."""
    start = time.perf_counter()
    pairs = zip(part.rows["question"], part.rows["answer"], strict=True)
    model, loss = run.tuned([rendered(question, answer) for question, answer in pairs])
    answers = run.answers(model)
    formulas = frequent_grams(part.rows["answer"], run.settings.frequent)
    emitted = [
        added_emission(ours, theirs, run.prompts, formulas)
        for ours, theirs in zip(answers, control.answers, strict=True)
    ]
    foreign = run.on_answers(model, control.answers[0])
    return {
        "emission": float(np.mean([added for added, _ in emitted])),
        "emission_control": float(np.mean([before for _, before in emitted])),
        "js_plain": divergence(control.plain, run.on_plain_text(model)),
        "js_foreign": divergence(control.foreign, foreign),
        "similarity": float(np.mean([self_similarity(sample) for sample in answers])),
        "similarity_control": float(np.mean([self_similarity(x) for x in control.answers])),
        "distinct": float(np.mean([rarefied_distinct(sample) for sample in answers])),
        "distinct_control": float(np.mean([rarefied_distinct(x) for x in control.answers])),
        "answer_words": float(np.mean([len(x.split()) for sample in answers for x in sample])),
        "frequent_grams": float(len(formulas)),
        "train_loss": loss,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, required=True, help="for the base; not the repository"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="names of slices")
    parser.add_argument("--threads", type=int, default=1)
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = Settings(**{name: getattr(options, name) for name in asdict(Settings())})
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "damage.csv"
    claim(options.out / "damage.json", settings)
    done = set()
    if table.exists():
        known = pd.read_csv(table)
        done = set(zip(known["slice"], known["seed"], strict=True))
    chosen = [
        part for part in slices(options.data) if not options.only or part.name in options.only
    ]
    for seed in options.seeds:
        left = [part for part in chosen if (part.name, seed) not in done]
        run, control = bench(options.data, options.cache, settings, seed) if left else None
        for part in left:
            assert run is not None  # noqa: S101
            row = {"slice": part.name, "family": part.family, "origin": part.origin, "seed": seed}
            append(
                table, {**row, **{k: round(v, 6) for k, v in measured(run, control, part).items()}}
            )
            print(f"seed {seed}: {part.name}", flush=True)


def claim(path: Path, settings: Settings) -> None:
    """Writes the settings beside the results, or refuses to mix them with others."""
    described = {
        "settings": asdict(settings),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {device().type}",
    }
    if path.exists() and json.loads(path.read_text())["settings"] != described["settings"]:
        raise SystemExit(f"{path} holds other settings: remove it and damage.csv, or use --out")
    path.write_text(json.dumps(described, indent=2) + "\n")


def append(path: Path, row: dict[str, object]) -> None:
    """Adds a row to a CSV file, with the names of the columns if it is the first."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
