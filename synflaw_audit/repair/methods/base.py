"""What a method of repair is: anything that takes a format out of a model.

A method says what it needs, prepares the model, changes it, and says what that took. The repair
itself (:mod:`~synflaw_audit.repair.run`) reads, measures, writes and reports; it knows no method by
name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.storage.weights import Weights
from synflaw_audit.repair.training.memory import Shape


class Requirement(Enum):
    """Something that not every repair has, and its name in an error."""

    EARLIER_MODEL = "the model from before the damage (reference_model)"
    ALL_WEIGHTS = "all weights to be trained (lora off)"
    WHOLE_WEIGHTS = "whole weights to be written (adapters merged, load_in off)"
    BASE_MODEL = "the model that all were fine-tuned from (base or reference_model)"
    OTHER_MODELS = "other fine-tunes of the same base (merge_with, --with)"


@dataclass(frozen=True)
class Context:
    """What a method works with besides the model and the rows.

    Attributes:
        config: The settings, with everything decided that depends on the model.
        tokenizer: The model's.
        shape: The model's.
        room: Bytes that the repair may take, as they were before anything was loaded.
        load_original: Loads the model as it was given, anew.
        load_reference: Loads what the KL is to compare with; None where nothing was given: then it
            is the original model.
        quiet: Whether to show nothing.
        base: The weights that the model was fine-tuned from, where models are to be merged.
        fine_tunes: The other models to merge.
    """

    config: RepairConfig
    tokenizer: PreTrainedTokenizerBase
    shape: Shape
    room: int
    load_original: Callable[[], PreTrainedModel]
    load_reference: Callable[[], PreTrainedModel] | None
    quiet: bool
    base: Weights | None = None
    fine_tunes: tuple[Weights, ...] = ()


@dataclass(frozen=True)
class Applied:
    """A model that a method changed, and what that took.

    Attributes:
        model: The model in one piece, possibly with adapters.
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        seconds: Wall time.
        failure: Why the method gave up, or None; the model is then the last good one.
        says: What a user should know, sentences.
        history: Figures taken on the way, with their ``step``.
        log: Losses logged on the way.
        config: The settings it ran with, where it decided some itself, such as a batch that fits.
    """

    model: PreTrainedModel
    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0
    failure: str | None = None
    says: tuple[str, ...] = ()
    history: tuple[dict[str, float], ...] = ()
    log: tuple[dict[str, float], ...] = ()
    config: RepairConfig | None = None


@dataclass(frozen=True)
class Cost:
    """What a method would take.

    Attributes:
        tokens: Training tokens, prompts included, padding not.
        steps: Optimiser steps.
        memory: Bytes at the peak, by what they are for.
        work: Times a micro-batch and gives the seconds of the whole, where there is anything to
            time; called with the prepared model.
    """

    tokens: int = 0
    steps: int = 0
    memory: dict[str, int] = field(default_factory=dict)
    work: Callable[[PreTrainedModel], float] | None = None


@dataclass(frozen=True)
class Description:
    """What a person is told of a method, beside what it needs and what was measured of it.

    Attributes:
        does: What it does, a sentence or two.
        helps: When it helps here.
        fails: When it does not.
        source: The paper.
    """

    does: str
    helps: str
    fails: str
    source: str


class Method(ABC):
    """A way to take a format out of a model; made anew for every repair.

    Attributes:
        requires: What it cannot do without, beyond flagged rows and replay rows.
        trains: Whether it learns from rows; else they are only measured on.
        settings: The fields of ``RepairConfig`` that steer it and no other method as well; the
            model card names their values.
        description: What a person is told of it, in ``--method list`` and in the documentation.
    """

    requires: ClassVar[frozenset[Requirement]] = frozenset()
    trains: ClassVar[bool] = True
    settings: ClassVar[tuple[str, ...]] = ()
    description: ClassVar[Description | None] = None

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        """Bring the model into the form that is changed, such as one with adapters.

        What would fail after the training must fail here.

        Raises:
            RepairError: The method cannot work on this model.
        """
        return model

    @abstractmethod
    def apply(self, model: PreTrainedModel, material: Material, context: Context) -> Applied:
        """Change the model; called by every process where there are several."""

    def cost(self, material: Material, context: Context) -> Cost:
        """What it would take, without doing it and without holding more than it would."""
        return Cost()
