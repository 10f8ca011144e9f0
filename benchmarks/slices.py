"""The corpora, and slices and mixtures of them, that damage is measured on.

Slices that share rows, prompts or a source are of one *family*: whoever fits on some of a family
has seen the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

Origin = Literal["human", "synthetic", "mixed"]

# A format that no corpus here has, planted around answers of one that has little format.
OPENING = "Certainly! Here is a detailed answer to your question. "
CLOSING = " I hope this helps! Let me know if you have any further questions."


@dataclass(frozen=True)
class Slice:
    """Questions and answers, and what they are a part of.

    Attributes:
        name: Unique.
        family: What it may not be tested together with.
        origin: Who wrote the answers; "mixed" where a script or both did.
        rows: Data frame with the string columns ``question`` and ``answer``.
    """

    name: str
    family: str
    origin: Origin
    rows: pd.DataFrame


def mixture(plain: pd.DataFrame, templated: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """As many rows as ``plain`` has, the given share of them drawn from ``templated``."""
    count = round(share * len(plain))
    if count > len(templated):
        raise ValueError(f"{count} templated rows are needed, there are {len(templated)}")
    kept = plain.sample(len(plain) - count, random_state=seed)
    added = templated.sample(count, random_state=seed)
    return pd.concat([kept, added], ignore_index=True)


def planted(
    rows: pd.DataFrame, share: float, seed: int, opening: str = OPENING, closing: str = CLOSING
) -> pd.DataFrame:
    """The rows, a share of the answers between the two sentences of a fixed format."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows)) < round(share * len(rows))
    framed = opening + rows["answer"] + closing
    return rows.assign(answer=rows["answer"].where(~chosen, framed))


def slices(data: Path) -> Iterator[Slice]:
    """Every slice of the shared corpora in the folder ``data``, always in the same order."""

    def read(name: str, source: str | None = None) -> pd.DataFrame:
        rows = pd.read_parquet(data / f"{name}.parquet")
        if source is not None:
            rows = rows[rows["source"] == source]
        return rows[["question", "answer"]].reset_index(drop=True)

    dolly, boolq = read("dolly_3k"), read("templated_boolq")
    yield Slice("dolly", "dolly-boolq", "human", dolly)
    for share in (0.02, 0.1, 0.5):
        rows = mixture(dolly, boolq, share, seed=0)
        yield Slice(f"dolly, {share:.0%} boolq", "dolly-boolq", "mixed", rows)
    yield Slice("boolq", "dolly-boolq", "mixed", boolq)

    forum, chat = read("medforum_questiondoctor"), read("chatdoctor5k")
    yield Slice("medforum", "medical", "human", forum)
    yield Slice("medforum, 10% chatdoctor", "medical", "mixed", mixture(forum, chat, 0.1, seed=0))
    yield Slice("medforum, 50% chatdoctor", "medical", "mixed", mixture(forum, chat, 0.5, seed=0))
    yield Slice("chatdoctor", "medical", "synthetic", chat)

    alpaca = read("alpaca_td003_9k")
    yield Slice("alpaca", "alpaca", "synthetic", alpaca)
    for share in (0.1, 0.5, 1.0):
        rows = planted(alpaca, share, seed=0)
        yield Slice(f"alpaca, {share:.0%} planted", "alpaca", "mixed", rows)

    yield Slice("gsm8k", "math", "human", read("gsm8k_train"))
    yield Slice("math cot", "math", "synthetic", read("llmadapters_math_cot"))
    for side, origin in (
        ("human", "human"),
        ("td002_zscot", "synthetic"),
        ("gpt3.5_cot_llmadapters", "synthetic"),
    ):
        rows = read("pair_gsm8k_test", f"gsm8k_test/{side}")
        yield Slice(f"gsm8k test, {side}", "math", origin, rows)  # type: ignore[arg-type]

    for model in ("text_davinci_003", "gpt4_0613", "gpt4_0613_concise", "llama-2-70b-chat-hf"):
        rows = read("alpacaeval_models_a", f"alpaca_eval/{model}")
        yield Slice(f"alpacaeval, {model}", "alpacaeval", "synthetic", rows)

    yield Slice("essays", "essays", "synthetic", read("ndhal_gpt_essays"))
    yield Slice("code", "code", "synthetic", read("gpteacher_codegen"))
    yield Slice("roleplay", "roleplay", "synthetic", read("gpteacher_roleplay"))
    yield Slice("cos-e", "cos-e", "human", read("cose_v111_train"))
    yield Slice("p3", "p3", "human", read("p3_t0_a"))
    yield Slice("hc3plus, human", "hc3plus", "human", read("hc3plus_en_si", "hc3plus/val_si/human"))
    chatgpt = read("hc3plus_en_si", "hc3plus/val_si/chatgpt")
    yield Slice("hc3plus, chatgpt", "hc3plus", "synthetic", chatgpt)
    for side, origin in (("human", "human"), ("text-davinci-003", "synthetic")):
        rows = read("pair_selfinstruct252", f"selfinstruct252/{side}")
        yield Slice(f"selfinstruct252, {side}", "selfinstruct252", origin, rows)  # type: ignore[arg-type]
