"""Forgetting the format's tokens by training, while content and ordinary rows are learned again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from accelerate import PartialState
from transformers import PreTrainedModel

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, TrainingExample, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import Applied, Context, Cost, Description, Method
from synflaw_audit.repair.methods.forgetting.timing import cache_size, seconds_of
from synflaw_audit.repair.methods.forgetting.trainer import RepairTrainer
from synflaw_audit.repair.methods.watched import watched
from synflaw_audit.repair.storage.adapters import with_adapters
from synflaw_audit.repair.training.memory import fitted, footprint


class Forgetting(Method):
    """The :class:`~.trainer.RepairTrainer` over the plan, watched by a :class:`~..guard.Guard`."""

    settings = (
        "loss",
        "scope",
        "forget_weight",
        "retain_weight",
        "replay_weight",
        "bias_weight",
        "bias_rows",
    )
    description = Description(
        does="Makes the format's tokens unlikely by a bounded loss, learns the content of the "
        "flagged rows again in other forms, and replays ordinary rows.",
        helps="Where an audit has flagged rows with their spans and ordinary rows are at hand; "
        "needs no second model. It left the format in 0% and 5% of foreign answers of the two "
        "models that were measured.",
        fails="What the damage has overwritten does not come back by forgetting alone: a third of "
        "the requests was still disobeyed. Some steps on the old format bring it back, if later "
        "than before the repair.",
        source="after Chen et al. 2024, arXiv:2406.12397; Welleck et al. 2020, arXiv:1908.04319",
    )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """The model, or the model with the adapters that are to be trained."""
        return with_adapters(model, context.config) if context.config.lora else model

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Train over the plan; after a failure the last good weights are back in the model.

        Raises:
            RepairError: The training does not fit into memory.
        """
        load = _loads_reference(context)

        def trainer(config: RepairConfig) -> RepairTrainer:
            return RepairTrainer(
                model,
                config,
                material.plan,
                # Not given a name here: a cached reference does without the model.
                reference_model=load() if load else None,
                # Not the tokenizer: with it the trainer would rewrite the special tokens.
                data_collator=Collator(pad_id(context.tokenizer)),
            )

        config = _fitted(material, context)
        applied = watched(trainer, model, material, config, context)
        return replace(applied, says=(*applied.says, *_says(config)))

    def cost(self, material: Material, context: Context) -> Cost:
        """Tokens and steps of the plan, memory from the model's shape; time is to be taken."""
        config = _fitted(material, context)
        rows = config.per_device_train_batch_size or 1
        batches = -(-len(material.plan) // rows)
        given = context.load_reference is not None
        length = _longest(material.plan)
        memory = footprint(context.shape, config, rows=rows, length=length, reference=given)
        if config.reference == "cached":
            memory["reference"] = cache_size(config, material.plan)
            memory["total"] += memory["reference"]
        return Cost(
            tokens=sum(len(example.input_ids) for example in material.plan),
            steps=-(-batches // config.gradient_accumulation_steps),
            memory=memory,
            work=lambda model: seconds_of(
                model,
                config,
                material.plan,
                _loads_reference(context),
                Collator(pad_id(context.tokenizer)),
            ),
        )


def _fitted(material: Material, context: Context) -> RepairConfig:
    return fitted(
        context.shape,
        context.config,
        length=_longest(material.plan),
        reference=context.load_reference is not None,
        processes=PartialState().num_processes,
        room=context.room,
    )


def _loads_reference(context: Context) -> Callable[[], PreTrainedModel] | None:
    """What loads the reference model; None where no term of the loss compares with one."""
    config = context.config
    compares = config.bias_weight or config.forgetting_loss.needs_reference
    return context.load_reference if compares else None


def _longest(plan: Sequence[TrainingExample]) -> int:
    return max(len(example.input_ids) for example in plan)


def _says(config: RepairConfig) -> Iterator[str]:
    if not config.forgetting_loss.safe:
        yield f"{config.loss} has no lower bound and is offered as a baseline only"
