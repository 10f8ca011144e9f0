"""A model's weights by name, each read when it is asked for: from a folder, an adapter, a model.

Nothing is held: a tensor is read from its safetensors file, and is gone with whoever asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.utils.hub import cached_file

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.storage.adapters import is_adapter

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_ADAPTER, _ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
_A, _B = ".lora_A.weight", ".lora_B.weight"
# What an adapter may hold beside low-rank matrices, and this cannot put into a weight.
_BEYOND = ("use_dora", "modules_to_save", "trainable_token_indices", "layer_replication")


class Weights(Protocol):
    """A model's weights."""

    @property
    def name(self) -> str:
        """What messages call the model: no path of this machine."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of its weights; tied ones once."""
        ...

    def read(self, name: str) -> Tensor:
        """One weight.

        Raises:
            RepairError: There is none of that name; names the model and the weight.
        """
        ...


class ModelWeights:
    """Of a model in memory."""

    def __init__(self, model: nn.Module, name: str) -> None:
        self.name = name
        self._found: Mapping[str, Tensor] = dict(model.named_parameters())

    @property
    def names(self) -> tuple[str, ...]:
        """As the model calls them."""
        return tuple(self._found)

    def read(self, name: str) -> Tensor:
        """The weight itself, no copy."""
        return self._found[known(name, self.names, self.name)].detach()


class FolderWeights:
    """Of a folder, or a hub name, with safetensors in one file or in shards.

    Raises:
        RepairError: It holds none.
    """

    def __init__(self, model: str | Path) -> None:
        self._model = str(model)
        self.name = Path(model).name
        self._place = self._places()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """As the files call them."""
        return tuple(self._place)

    def read(self, name: str) -> Tensor:
        """From its file, which is closed again."""
        name = known(name, self.names, self.name)
        with safe_open(self._place[name], framework="pt") as file:
            found: Tensor = file.get_tensor(name)
        return found

    def _places(self) -> dict[str, Path]:
        try:
            if (index := self._file(_INDEX)) is not None:
                by_name = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
                shards = {shard: self._file(shard) for shard in set(by_name.values())}
                if missing := [shard for shard, path in shards.items() if path is None]:
                    raise RepairError(f"{self._model}: its shard {missing[0]} is missing")
                return {name: path for name, shard in by_name.items() if (path := shards[shard])}
            if (whole := self._file(_WHOLE)) is None:
                raise RepairError(
                    f"{self._model}: no {_WHOLE} and no {_INDEX}; give a folder that "
                    "save_pretrained wrote, or an adapter's"
                )
            with safe_open(whole, framework="pt") as file:
                return dict.fromkeys(file.keys(), whole)
        except (ValueError, KeyError, AttributeError, SafetensorError) as error:
            raise RepairError(f"{self._model}: its weights cannot be read: {error}") from error

    def _file(self, name: str) -> Path | None:
        try:
            found = cached_file(self._model, name, _raise_exceptions_for_missing_entries=False)
        except OSError as error:
            raise RepairError(
                f"{self._model}: there is no such folder or model: {error}"
            ) from error
        return None if found is None else Path(found)


class AdapterWeights:
    """Of a base with a low-rank adapter merged into it, each matrix as it is read.

    ``w + s * B A``, with the scale ``s`` that the adapter's settings give (Hu et al. 2021,
    arXiv:2106.09685, section 4.1).

    Args:
        adapter: Its folder.
        base: The weights that it was trained on.

    Raises:
        RepairError: It is more than low-rank matrices, or belongs to another base.
    """

    def __init__(self, adapter: Path, base: Weights) -> None:
        self.name = adapter.name
        self._base = base
        self._file = adapter / _ADAPTER
        try:
            self._settings: dict[str, Any] = json.loads(
                (adapter / _ADAPTER_CONFIG).read_text(encoding="utf-8")
            )
            with safe_open(self._file, framework="pt") as file:
                keys = list(file.keys())
        except (OSError, ValueError, SafetensorError) as error:
            raise RepairError(f"{adapter}: the adapter cannot be read: {error}") from error
        beyond = [name for name in _BEYOND if self._settings.get(name)]
        strange = [key for key in keys if not key.endswith((_A, _B))]
        if beyond or strange:
            raise RepairError(
                f"{adapter}: holds {(beyond + strange)[0]}, more than low-rank matrices; merge it "
                "into its base first (PeftModel.merge_and_unload), and give that folder"
            )
        self._pairs = {
            known(_module(key) + ".weight", base.names, base.name): key.removesuffix(_A)
            for key in keys
            if key.endswith(_A)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the base."""
        return self._base.names

    def read(self, name: str) -> Tensor:
        """The base's weight, and what the adapter adds to it."""
        name = known(name, self.names, self.name)
        weight = self._base.read(name)
        if name not in self._pairs:
            return weight
        key = self._pairs[name]
        with safe_open(self._file, framework="pt") as file:
            a, b = file.get_tensor(key + _A).float(), file.get_tensor(key + _B).float()
        change: Tensor = (b @ a) * self._scale(_module(key + _A), rank=len(a))
        if self._settings.get("fan_in_fan_out"):
            change = change.T
        whole: Tensor = weight.float() + change
        return whole

    def _scale(self, module: str, rank: int) -> float:
        alpha = float(self._settings["lora_alpha"])
        for pattern, own in (self._settings.get("alpha_pattern") or {}).items():
            if module == pattern or module.endswith("." + pattern):
                alpha = float(own)
        return alpha / (rank**0.5 if self._settings.get("use_rslora") else rank)


def _module(key: str) -> str:
    """The module of an adapter's matrix, as the base calls it."""
    return key.removeprefix("base_model.model.").removesuffix(_A).removesuffix(_B)


def weights_of(model: str | Path, base: Weights) -> Weights:
    """The weights of a fine-tune of ``base``: a folder, a hub name or an adapter's folder."""
    return AdapterWeights(Path(model), base) if is_adapter(model) else FolderWeights(model)


def known(name: str, names: tuple[str, ...], model: str) -> str:
    """What ``model`` calls a weight: the same, or with the prefix of its architecture or without.

    Raises:
        RepairError: It has none of that name.
    """
    if name in names:
        return name
    near = [each for each in names if each.endswith("." + name) or name.endswith("." + each)]
    if len(near) != 1:
        raise RepairError(f"{model} has no weight {name}: it is no fine-tune of the same model")
    return near[0]
