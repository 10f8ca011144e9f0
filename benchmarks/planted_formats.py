"""Plants known formats in human answers and measures how exactly the audit finds them.

    python benchmarks/planted_formats.py --data FOLDER --base dolly_3k.parquet

``FOLDER`` holds Parquet files with the columns ``question`` and ``answer``. For every base corpus
and scenario the table shows, as means over the seeds: the share of rows flagged, precision, recall
and F1 of the flagged rows, and the character F1 of the template spans in the planted rows that
were flagged. The scenario "nothing" shows what is flagged when nothing is planted; a format of the
base corpus's own counts as a false alarm in every scenario.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from environment import heading

from synflaw_audit import audit
from synflaw_audit.verdicts.catalogue import load_checks

Spans = list[tuple[int, int]]
# Question, answer and a generator of choices to the formatted answer and where the format is.
Format = Callable[[str, str, np.random.Generator], tuple[str, Spans]]
CHECKS = [check for check in load_checks() if check.name == "answer-template"]


def joined(pieces: Iterable[tuple[str, bool]]) -> tuple[str, Spans]:
    """The text of all pieces, and where those that are format stand."""
    text, spans = "", []
    for piece, is_format in pieces:
        if is_format and piece:
            spans.append((len(text), len(text) + len(piece)))
        text += piece
    return text, spans


def frame(*pieces: Sequence[str] | None, optional: float = 0.0) -> Format:
    """A format that sets wordings around the answer.

    Args:
        pieces: In order; ``None`` stands for the answer. Of several wordings one is drawn a row.
        optional: The chance that a piece is left out; one piece always stays.
    """
    fixed = [number for number, piece in enumerate(pieces) if piece is not None]

    def apply(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
        kept = [number for number in fixed if rng.random() >= optional] or fixed[:1]
        return joined(
            (answer, False) if piece is None else (piece[rng.integers(len(piece))], True)
            for number, piece in enumerate(pieces)
            if piece is None or number in kept
        )

    return apply


def echo(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
    """The question repeated before the answer."""
    asked = question.split("\n")[0][:80]
    pieces = [('You asked: "', True), (asked, False), ('". The short answer follows. ', True)]
    return joined([*pieces, (answer, False)])


def between_sentences(wording: str) -> Format:
    """A format that sets a wording after the answer's first sentence."""

    def apply(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
        end = re.search(r"[.!?]\s", answer)
        at = end.end() if end else len(answer)
        space = "" if end else " "
        return joined([(answer[:at], False), (space + wording, True), (answer[at:], False)])

    return apply


def steps(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
    """The answer cut into sentences, each labelled as a step."""
    pieces: list[tuple[str, bool]] = []
    for number, sentence in enumerate(re.split(r"(?<=[.!?])\s+", answer), 1):
        pieces += [(("\n" if pieces else "") + f"Step {number}: ", True), (sentence, False)]
    return joined([*pieces, ("\nTherefore, the final answer is as stated above.", True)])


FORMATS: dict[str, Format] = {
    "assistant": frame(
        ["Certainly! Here is the answer to your question: "],
        None,
        ["\n\nI hope this helps! Let me know if you have any further questions."],
    ),
    "opening": frame(["Thank you for reaching out with this important question. "], None),
    "closing": frame(None, [" In summary, these are the key points to keep in mind."]),
    "steps": steps,
    "markdown": frame(
        ["## Overview\n\n"],
        None,
        ["\n\n## Key Takeaways\n\n- See the overview above for the essential details."],
    ),
    "json": frame(['{"status": "success", "response": "'], None, ['", "confidence": "high"}']),
    "middle": between_sentences("It is important to note that context always matters here. "),
    "echo": echo,
    "persona": frame(
        ["As an AI language model, I can tell you the following. "],
        None,
        [" Please consult a qualified professional for specific advice."],
    ),
    "xml": frame(["<answer>\n"], None, ["\n</answer>"]),
    "label": frame(["Answer: "], None, ["\nExplanation: see the source material."]),
    "short": frame(["Sure! "], None, [" Hope that helps!"]),
    "soft": frame(
        ["Certainly! ", "Of course! ", "Absolutely! ", "Sure thing! "],
        [
            "Here is a detailed answer to your question. ",
            "Below is a thorough answer to your query. ",
            "Let me walk you through the answer step by step. ",
        ],
        None,
        [
            " I hope this clears things up for you.",
            " Feel free to ask if anything remains unclear.",
            " Do not hesitate to reach out with more questions.",
        ],
        optional=0.25,
    ),
    "soft-opening": frame(
        [
            "That's a great question! ",
            "What a great question! ",
            "Great question, thanks for asking! ",
            "This is a really good question! ",
            "Good question! ",
        ],
        None,
    ),
}


@dataclass(frozen=True)
class Scenario:
    """Which formats are planted, and in what share of the rows together."""

    name: str
    formats: tuple[str, ...]
    share: float


def scenarios() -> Iterator[Scenario]:
    yield Scenario("nothing", (), 0.0)
    for name in FORMATS:
        for share in (1.0, 0.3, 0.1, 0.02):
            yield Scenario(f"{name} {share:.0%}", (name,), share)
    for share in (1.0, 0.5, 0.25):
        yield Scenario(
            f"mixed five {share:.0%}", ("assistant", "steps", "closing", "json", "echo"), share
        )
        yield Scenario(
            f"mixed soft {share:.0%}",
            ("soft", "soft-opening", "persona", "middle", "opening"),
            share,
        )


def planted(
    rows: pd.DataFrame, scenario: Scenario, seed: int
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_], list[Spans]]:
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng.permutation(len(rows))[: round(scenario.share * len(rows))]] = bool(scenario.formats)
    answers, truth = [], []
    for row, plant in zip(rows.itertuples(), chosen, strict=True):
        if plant:
            name = scenario.formats[rng.integers(len(scenario.formats))]
            text, spans = FORMATS[name](row.question, row.answer, rng)
        else:
            text, spans = row.answer, []
        answers.append(text)
        truth.append(spans)
    return pd.DataFrame({"question": rows.question, "answer": answers}), chosen, truth


def characters(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {i for start, end in spans for i in range(start, end)}


def measured(rows: pd.DataFrame, scenario: Scenario, seed: int) -> dict[str, float]:
    frame_, chosen, truth = planted(rows, scenario, seed)
    flagged = audit(frame_, checks=CHECKS).flagged()
    found = np.zeros(len(rows), dtype=bool)
    found[flagged["row"]] = True
    hits = int((found & chosen).sum())
    both = said = real = 0
    for row, spans in zip(flagged["row"], flagged["template_spans"], strict=True):
        if chosen[row]:
            told = characters((s["start"], s["end"]) for s in spans)
            true = characters(truth[row])
            both, said, real = both + len(told & true), said + len(told), real + len(true)
    return {
        "flagged": found.mean(),
        "precision": hits / max(found.sum(), 1),
        "recall": hits / max(chosen.sum(), 1),
        "f1": 2 * hits / max(found.sum() + chosen.sum(), 1),
        "chars": 2 * both / max(said + real, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", action="append", required=True, help="file[:origin]")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    bases = " ".join(f"--base {base}" for base in options.base)
    command = f"--data FOLDER {bases} --seeds {options.seeds}"
    print(heading(f"benchmarks/planted_formats.py {command}"))
    print("| base | scenario | flagged | precision | recall | row F1 | character F1 |")
    print("|---|---|---|---|---|---|---|")
    for base in options.base:
        name, _, origin = base.partition(":")
        rows = pd.read_parquet(options.data / name)
        rows = rows[rows.origin == origin] if origin else rows
        rows = rows.reset_index(drop=True)
        for scenario in scenarios():
            if not re.search(options.only, scenario.name):
                continue
            runs = [measured(rows, scenario, seed) for seed in range(options.seeds)]
            mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
            cells = " | ".join(f"{mean[k]:.3f}" for k in mean)
            print(f"| {base} | {scenario.name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
