"""Trained stages kept in a folder, so that several runs of the lab share them.

A stage is found again by everything it depends on: the stage before it, the rows it is trained on,
the shape of the model, how it is trained, the seed, and the versions of the libraries. Whatever of
that changes, the stage is trained anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from synflaw_audit.lab.corpora import LabRow


@dataclass(frozen=True)
class Stages:
    """A folder of trained stages.

    Attributes:
        folder: Where they are kept; None keeps nothing.
    """

    folder: Path | None

    def trained(
        self,
        model: LlamaForCausalLM,
        rows: Sequence[LabRow],
        how: object,
        seed: int,
        train: Callable[[], int],
    ) -> int:
        """Bring ``model`` to where ``train`` would, from the folder where it is known there.

        Args:
            model: The model, as it stands before the stage; changed in place.
            rows: What the stage is trained on.
            how: How; its ``repr`` counts.
            seed: Its seed.
            train: Trains the model in place, and gives the tokens it took.

        Returns:
            The tokens that the stage took.
        """
        if self.folder is None:
            return train()
        name = _fingerprint(model, rows, how, seed)
        weights, facts = self.folder / f"{name}.safetensors", self.folder / f"{name}.json"
        if facts.is_file():
            # Tied weights are stored once.
            model.load_state_dict(load_file(weights), strict=False)
            return int(json.loads(facts.read_text(encoding="utf-8"))["tokens"])
        tokens = train()
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {name: each.detach() for name, each in model.named_parameters()}
        save_file(kept, weights)
        facts.write_text(json.dumps({"tokens": tokens}) + "\n", encoding="utf-8")
        return tokens


def _fingerprint(model: LlamaForCausalLM, rows: Sequence[LabRow], how: object, seed: int) -> str:
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    settings = (how, seed, torch.__version__, transformers.__version__)
    digest.update(repr(settings).encode())
    for row in rows:
        digest.update(json.dumps([row.question, row.answer]).encode())
    return digest.hexdigest()[:24]
