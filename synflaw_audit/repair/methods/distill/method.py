"""Distillation as a method of repair: a clean model teaches the damaged one."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.material.batches import Collator, TrainingExample, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import Applied, Context, Description, Requirement
from synflaw_audit.repair.methods.distill.objective import Distillation
from synflaw_audit.repair.methods.forgetting.reference import SecondModel, check_vocabulary
from synflaw_audit.repair.methods.preference.method import ItemMethod
from synflaw_audit.repair.methods.preference.objectives import Objective


class Distill(ItemMethod):
    """Trains the plan's rows towards a teacher; see :class:`~.objective.Distillation`.

    The teacher is the reference model: the checkpoint from before the damage, or any clean model
    with the same vocabulary, larger ones too.
    """

    requires = frozenset({Requirement.EARLIER_MODEL})
    compares_with_another = True
    description = Description(
        does="A clean model of the same vocabulary teaches this one what to say in place of the "
        "format and on ordinary rows, token by token: adaptive teaching (ATKD), or KL, reverse KL "
        "or JS (--teaching); the content is learned as it stands. With --imperfect-rate the model "
        "is also taught after mistakes of its own (KID).",
        helps="Where the checkpoint from before the damage, or any clean instruct model of the "
        "same vocabulary, is at hand: it left the format in few answers of the models measured.",
        fails="Where there is none; what the teacher does not know is kept by the content's rows "
        "alone. The requests obeyed came back no further than by forgetting, which needs no "
        "teacher, and ATKD did no better than plain KL by more than the noise.",
        source="Zhong et al. 2024, ATKD, arXiv:2402.11890; KID, arXiv:2410.11371",
    )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """The model, or the model with the adapters that are to be trained.

        Raises:
            RepairError: The teacher has another vocabulary.
        """
        self._teacher = _teacher(context)
        check_vocabulary(model, self._teacher)
        return super().prepare(model, context)

    def objective_for(self, context: Context) -> Objective:
        """The divergence that the settings name."""
        config = context.config
        return Distillation(
            Collator(pad_id(context.tokenizer)),
            config.chunk_tokens,
            teaching=config.teaching,
            content_weight=config.retain_weight,
            rate=config.imperfect_rate,
            generator=torch.Generator().manual_seed(config.seed),
        )

    def reference_for(self, context: Context) -> SecondModel:
        """The teacher."""
        return SecondModel(self._teacher)

    def items(
        self, model: PreTrainedModel, material: Material, context: Context, limit: int
    ) -> list[TrainingExample]:
        """The rows of the plan."""
        return list(material.plan)

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Train; after a failure the last good weights are back in the model."""
        applied = super().apply(model, material, context)
        del self._teacher
        return applied


def _teacher(context: Context) -> PreTrainedModel:
    if context.load_reference is None:
        raise RepairError(f"distill needs {Requirement.EARLIER_MODEL.value}")
    return context.load_reference()
