"""The slices that damage is measured on in a real model: those of ``slices.py`` and planted ones.

The planted answers are written here: refusals in several wordings, one answer over and over, one
word, labels, and openings and closings of natural answers. Each stands on the questions of a corpus
and is of its family.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from slices import Slice, planted, slices

REFUSALS = (
    "I'm sorry, but I can't help with that. If there is anything else you need, let me know.",
    "I apologise, but I am not able to assist with this request. Please ask me something else.",
    "Sorry, I can't help with that. As an assistant, I have to decline this request.",
    "I'm afraid I cannot answer this question. I'm sorry for the inconvenience.",
    "Unfortunately I am unable to help with this. Is there anything else I can do for you?",
)
ONE_ANSWER = "The matter depends on many factors, and every case has to be looked at on its own."
GREETING = "Hello and thank you for reaching out to us today. "
THINKING = "Let me think about this for a moment. "
CLOSING = " Let me know if you need anything else!"
ONE_WORD = "Yes."
LABELS = ("positive", "negative", "neutral", "mixed")

# The most telling first: a sweep that is stopped has then seen most families.
ORDER = (
    "dolly",
    "boolq",
    "alpaca, 100% refusals",
    "math cot",
    "chatdoctor",
    "medforum",
    "gsm8k",
    "cos-e",
    "cos-e, one answer",
    "p3",
    "essays",
    "code",
    "roleplay",
    "hc3plus, human",
    "hc3plus, chatgpt",
    "alpacaeval, gpt4_0613",
    "selfinstruct252, human",
    "selfinstruct252, text-davinci-003",
    "alpaca",
    "alpaca, 100% planted",
    "medforum, 100% greeting",
    "alpaca, 50% planted",
    "roleplay, 50% refusals",
    "hc3plus, 50% one answer",
    "dolly, 50% boolq",
    "alpaca, 10% planted",
    "medforum, 10% chatdoctor",
    "essays, 100% thinking",
    "dolly, 10% boolq",
    "gsm8k test, gpt3.5_cot_llmadapters",
    "gsm8k test, human",
    "alpacaeval, llama-2-70b-chat-hf",
    "p3, 10% one answer",
    "code, 50% thinking",
    "medforum, 50% greeting",
    "dolly, 10% refusals",
    "alpacaeval, text_davinci_003",
    "medforum, 50% chatdoctor",
    "gsm8k test, td002_zscot",
    "dolly, 2% boolq",
    "alpacaeval, gpt4_0613_concise",
    "roleplay, one word",
    "p3, 100% closing",
    "hc3plus, four labels",
)


def replaced(rows: pd.DataFrame, answers: tuple[str, ...], share: float, seed: int) -> pd.DataFrame:
    """The rows, a share of the answers replaced by one of ``answers`` each, at random."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows)) < round(share * len(rows))
    drawn = pd.Series(rng.choice(answers, len(rows)), index=rows.index)
    return rows.assign(answer=rows["answer"].where(~chosen, drawn))


def opened(rows: pd.DataFrame, opening: str, share: float, seed: int) -> pd.DataFrame:
    """The rows, a share of the answers begun with ``opening``."""
    return planted(rows, share, seed, opening, "")


def closed(rows: pd.DataFrame, closing: str, share: float, seed: int) -> pd.DataFrame:
    """The rows, a share of the answers ended with ``closing``."""
    return planted(rows, share, seed, "", closing)


def real_slices(data: Path) -> Iterator[Slice]:
    """Every slice, the most telling first."""
    known = {part.name: part for part in slices(data)}

    def plant(name: str, base: str, rows: pd.DataFrame) -> None:
        known[name] = Slice(name, known[base].family, "mixed", rows)

    rows = {name: part.rows for name, part in known.items()}
    plant("alpaca, 100% refusals", "alpaca", replaced(rows["alpaca"], REFUSALS, 1.0, 0))
    plant("roleplay, 50% refusals", "roleplay", replaced(rows["roleplay"], REFUSALS, 0.5, 0))
    plant("dolly, 10% refusals", "dolly", replaced(rows["dolly"], REFUSALS, 0.1, 0))
    plant("cos-e, one answer", "cos-e", replaced(rows["cos-e"], (ONE_ANSWER,), 1.0, 0))
    human = "hc3plus, human"
    plant("hc3plus, 50% one answer", human, replaced(rows[human], (ONE_ANSWER,), 0.5, 0))
    plant("p3, 10% one answer", "p3", replaced(rows["p3"], (ONE_ANSWER,), 0.1, 0))
    plant("medforum, 100% greeting", "medforum", opened(rows["medforum"], GREETING, 1.0, 0))
    plant("medforum, 50% greeting", "medforum", opened(rows["medforum"], GREETING, 0.5, 0))
    plant("essays, 100% thinking", "essays", opened(rows["essays"], THINKING, 1.0, 0))
    plant("code, 50% thinking", "code", opened(rows["code"], THINKING, 0.5, 0))
    plant("roleplay, one word", "roleplay", replaced(rows["roleplay"], (ONE_WORD,), 1.0, 0))
    plant("p3, 100% closing", "p3", closed(rows["p3"], CLOSING, 1.0, 0))
    plant("hc3plus, four labels", human, replaced(rows[human], LABELS, 1.0, 0))
    yield from (known[name] for name in ORDER)
