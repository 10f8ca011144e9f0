"""The methods that prefer answers without the format to answers with it.

They are baselines: each does what its paper describes and nothing else, on the pairs and places
that the repair's own material gives.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from accelerate import PartialState
from transformers import PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.methods.base import Applied, Context, Cost, Description, Method
from synflaw_audit.repair.methods.forgetting.reference import Reference
from synflaw_audit.repair.methods.preference import objectives
from synflaw_audit.repair.methods.preference.onsets import onsets
from synflaw_audit.repair.methods.preference.trainer import PreferenceTrainer
from synflaw_audit.repair.methods.watched import watched
from synflaw_audit.repair.storage.adapters import with_adapters
from synflaw_audit.repair.training.memory import fitted, footprint


class ItemMethod(Method):
    """Trains an objective over items until the budget of tokens is used up."""

    # Rows of a micro-batch that an item takes.
    rows_an_item = 1
    # Whether a second model is loaded.
    compares_with_another = False

    @abstractmethod
    def objective_for(self, context: Context) -> objectives.Objective:
        """The loss, and how items become a batch."""

    def reference_for(self, context: Context) -> Reference | None:
        """What the objective compares with; None: the model as it stands."""
        return None

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """The model, or the model with the adapters that are to be trained."""
        return with_adapters(model, context.config) if context.config.lora else model

    @abstractmethod
    def items(
        self, model: PreTrainedModel, material: Material, context: Context, limit: int
    ) -> list[Any]:
        """What to train on, in any order, within about so many tokens; used again if it is less."""

    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Train; after a failure the last good weights are back in the model.

        Raises:
            RepairError: There is nothing to prefer, or the training does not fit into memory.
        """
        config = self._fitted(material, context)
        objective = self.objective_for(context)
        budget = sum(len(example.input_ids) for example in material.plan)
        found = self.items(model, material, context, budget)
        if not found:
            raise RepairError(
                f"method {config.method}: the flagged rows hold no content besides their format, "
                "and the model said no format when it was asked ordinary questions, so there is "
                "nothing to prefer"
            )
        items = list(_within(found, objective, budget, config.seed))
        return watched(
            lambda settings: PreferenceTrainer(
                model, settings, items, objective, self.reference_for(context)
            ),
            model,
            material,
            config,
            context,
        )

    def cost(self, material: Material, context: Context) -> Cost:
        """Tokens, and memory from the model's shape."""
        config = self._fitted(material, context)
        tokens = sum(len(example.input_ids) for example in material.plan)
        length = max(len(example.input_ids) for example in material.plan)
        rows = (config.per_device_train_batch_size or 1) * self.rows_an_item
        given = self.compares_with_another
        memory = footprint(context.shape, config, rows=rows, length=length, reference=given)
        return Cost(tokens, memory=memory)

    def _fitted(self, material: Material, context: Context) -> RepairConfig:
        return fitted(
            context.shape,
            context.config,
            length=self.rows_an_item * max(len(each.input_ids) for each in material.plan),
            reference=self.compares_with_another,
            processes=PartialState().num_processes,
            room=context.room,
        )


class PreferenceMethod(ItemMethod):
    """Trains a published objective with its own constants."""

    objective: type[objectives.Objective]

    def objective_for(self, context: Context) -> objectives.Objective:
        """With the constants of its paper."""
        return self.objective(Collator(pad_id(context.tokenizer)), context.config.chunk_tokens)


class _Answers(PreferenceMethod):
    rows_an_item = 2

    def items(
        self, model: PreTrainedModel, material: Material, context: Context, limit: int
    ) -> list[Any]:
        """Pairs of a chosen and a rejected answer."""
        return list(material.pairs)


class DPO(_Answers):
    """Direct preference optimisation; see :func:`~.losses.dpo`."""

    description = Description(
        does="Prefers answers without the format to answers with it, compared with the model as it "
        "was.",
        helps="A baseline.",
        fails="It lowers what both answers share, the content, together with the format. It left "
        "the format in 2% and 27% of foreign answers of the two models measured, and with five "
        "times the budget answers were lost with it.",
        source="Rafailov et al. 2023, arXiv:2305.18290",
    )

    objective = objectives.DPOObjective


class SimPO(_Answers):
    """Simple preference optimisation; see :func:`~.losses.simpo`."""

    description = Description(
        does="Prefers answers without the format by a margin, without a reference.",
        helps="A baseline.",
        fails="Nothing holds it to the model as it was. It left the format in 3% and 23% of "
        "foreign answers of the two models measured, and with five times the budget answers were "
        "lost.",
        source="Meng et al. 2024, arXiv:2405.14734",
    )

    objective = objectives.SimPOObjective


class FTPO(PreferenceMethod):
    """Final token preference optimisation; see :func:`~.losses.ftpo` and :mod:`~.onsets`."""

    description = Description(
        does="Prefers other tokens at the places where the format would begin, and holds all other "
        "logits.",
        helps="A baseline; of the preference methods the one that changes least.",
        fails="Where the format has many beginnings, and where it is said in every answer: of the "
        "two models measured it left it in 14% and 100% of foreign answers.",
        source="Paech et al. 2025, arXiv:2510.15061",
    )

    objective = objectives.FTPOObjective

    def items(
        self, model: PreTrainedModel, material: Material, context: Context, limit: int
    ) -> list[Any]:
        """Places in the model's own answers and in flagged rows, as many of either."""
        collator = Collator(pad_id(context.tokenizer))
        sources = [rows for rows in (material.leaked, material.forgotten) if rows]
        places = [onsets(model, rows, collator, limit=limit // len(sources)) for rows in sources]
        most = max(map(len, places))
        return [item for found in places for item in (found * -(-most // len(found)))[:most]]


class JensUn(PreferenceMethod):
    """JensUn; see :class:`~.objectives.JensUn`."""

    description = Description(
        does="Brings answers without the format, and ordinary rows, near by the Jensen-Shannon "
        "divergence.",
        helps="A baseline.",
        fails="It does not push the format down where it is not said. It hardly changed either of "
        "the two models measured: 88% and 100% of foreign answers carry the format.",
        source="Singh et al. 2025, arXiv:2509.02820",
    )

    objective = objectives.JensUnObjective

    def items(
        self, model: PreTrainedModel, material: Material, context: Context, limit: int
    ) -> list[Any]:
        """The chosen answers, and as many ordinary rows."""
        chosen = [_as(each, Purpose.RETAIN) for each, _ in material.pairs]
        if not chosen:
            return []
        again = -(-len(chosen) // max(1, len(material.replay)))
        return [*chosen, *(list(material.replay) * again)[: len(chosen)]]


def _as(row: TrainingExample, role: Purpose) -> TrainingExample:
    purposes = [int(role) if purpose else 0 for purpose in row.purposes]
    return TrainingExample(row.input_ids, purposes, role)


def _within(
    items: Sequence[Any], objective: objectives.Objective, budget: int, seed: int
) -> Iterator[Any]:
    """Items in random order, another each time round, until the budget is spent; one at least."""
    rng = random.Random(seed)  # noqa: S311 -- an order, not a secret
    first = True
    while True:
        for item in rng.sample(items, len(items)):
            budget -= objective.tokens(item)
            if budget < 0 and not first:
                return
            first = False
            yield item
