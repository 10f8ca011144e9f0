"""Take a format out of a causal LM and keep what was learned through it.

``repair`` is the whole way from a model folder and an audit's ``flagged.parquet`` to a repaired
model folder; ``RepairTrainer`` and ``RepairConfig`` are its middle, a ``transformers.Trainer`` and
its arguments. ``material/`` makes the rows to train on and to measure on, ``methods/`` change the
model, ``measuring/`` and ``verdict`` say what became of it, ``storage/`` reads and writes folders,
``training/`` is what any training needs; ``run`` puts them together.

Needs the extra ``repair``.
"""

from __future__ import annotations

from importlib.util import find_spec

from synflaw_audit.errors import MissingExtraError

if any(find_spec(name) is None for name in ("torch", "transformers", "peft", "accelerate")):
    raise MissingExtraError("The repair", "repair")

from synflaw_audit.chat.encoding import EncodedRow, encode_prompt, encode_row
from synflaw_audit.chat.rendering import render_prompt
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.estimate import Estimate, estimate
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.methods.forgetting.trainer import RepairTrainer
from synflaw_audit.repair.result import RepairResult
from synflaw_audit.repair.run import repair

__all__ = [
    "EncodedRow",
    "Estimate",
    "RepairConfig",
    "RepairResult",
    "RepairTrainer",
    "Row",
    "encode_prompt",
    "encode_row",
    "estimate",
    "render_prompt",
    "repair",
]
