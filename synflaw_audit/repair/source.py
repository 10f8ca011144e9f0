"""The models that a repair starts from, and how they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.methods.base import Context, Method, Requirement
from synflaw_audit.repair.storage.adapters import base_of, is_adapter, join
from synflaw_audit.repair.storage.folder import check_model, configuration, load, load_tokenizer
from synflaw_audit.repair.storage.weights import FolderWeights, ModelWeights, Weights, weights_of
from synflaw_audit.repair.training.memory import Shape, available, decided


@dataclass(frozen=True)
class ModelSource:
    """The models that a repair starts from.

    Attributes:
        model: The damaged model, or an adapter.
        base: An adapter's base, where it was given.
        reference: What to stay close to, by name or in memory; None: the damaged model.
    """

    model: str | Path
    base: str | Path | None
    reference: str | Path | PreTrainedModel | None

    def context(self, config: RepairConfig, *, quiet: bool) -> Context:
        """What methods work with; no weights are loaded yet."""
        shape = Shape.of(self.configuration())
        config = decided(shape, config)
        return Context(
            config=config,
            tokenizer=load_tokenizer(self.model, base=self.base),
            shape=shape,
            room=available(config),
            load_original=lambda: load(self.model, config, base=self.base),
            load_reference=None if self.reference is None else partial(self._reference, config),
            quiet=quiet,
            **self._to_merge(config.merge_with or ()),
        )

    @property
    def knows_base(self) -> bool:
        """Whether it is known what the model was fine-tuned from, beside a reference model."""
        return self.base is not None or is_adapter(self.model)

    def require_earlier(self, methods: Sequence[Method]) -> None:
        """Refuse the model itself where one from before the damage is asked for.

        Raises:
            RepairError: They are one.
        """
        given = self.reference
        needed = any(Requirement.EARLIER_MODEL in each.requires for each in methods)
        if needed and isinstance(given, str | Path) and _same(given, self.model):
            raise RepairError(
                f"reference_model {given} is the model to repair itself: give the checkpoint from "
                "before the damage, or none and the method forgetting"
            )

    def _to_merge(self, others: Sequence[str]) -> dict[str, Any]:
        """The base and the other models, of which no weight is read yet."""
        if not others:
            return {}
        for each in others:
            check_model(each)
        base = self._base_weights()
        return {"base": base, "fine_tunes": tuple(weights_of(each, base) for each in others)}

    def _base_weights(self) -> Weights:
        if self.knows_base:
            return FolderWeights(base_of(self.model, self.base))
        if isinstance(self.reference, PreTrainedModel):
            return ModelWeights(self.reference, "the base")
        if self.reference is None:
            raise RepairError(f"method merge needs {Requirement.BASE_MODEL.value}")
        return FolderWeights(self.reference)

    def configuration(self) -> PretrainedConfig:
        """The model's configuration; no weights are loaded."""
        return configuration(self.model, base=self.base)

    def _reference(self, config: RepairConfig) -> PreTrainedModel:
        given = self.reference
        if isinstance(given, PreTrainedModel):
            return given
        if given is None:
            raise RepairError("there is no reference model")
        return load(given, config)

    @property
    def name(self) -> str:
        """What the card calls the original: no path of this machine."""
        return _name(self.model)

    @property
    def reference_name(self) -> str | None:
        """What the report calls the reference; None where it is the original."""
        given = self.reference
        if isinstance(given, PreTrainedModel):
            return _name(given.config.name_or_path or "a model in memory")
        return None if given is None else _name(given)

    def adapter_finisher(self, config: RepairConfig) -> Callable[[Path], None]:
        """What is done to a folder of adapters that were trained on top of another adapter.

        The original is then not a model that is on disk: both become one adapter of its base.
        """
        if not config.lora or config.merges or not is_adapter(self.model):
            return lambda folder: None
        base = base_of(self.model, self.base)
        return lambda folder: join(Path(self.model), folder, base, folder)


def settings_for(
    methods: Sequence[Method], config: RepairConfig, source: ModelSource
) -> RepairConfig:
    """The settings with what the methods demand, where that was left open."""
    if config.lora is None and any(Requirement.ALL_WEIGHTS in each.requires for each in methods):
        config = replace(config, lora=False)
    if not any(each.trains for each in methods):
        # What the model says itself is only asked to be learned from.
        config = replace(config, leaks=0, samples=0, renderings=0)
    if is_adapter(source.model) and not config.lora_merge and config.lora is None:
        config = replace(config, lora=True)  # what is asked for is an adapter
    return config


def _same(one: str | Path, other: str | Path) -> bool:
    """Whether two names are of one folder or of one model of the Hub."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).samefile(other)
    return str(one) == str(other)


def _name(model: str | Path) -> str:
    return Path(model).resolve().name if Path(model).exists() else str(model)
