"""Low-rank adapters: folders that hold one, adapters to train, adapters put together.

Hu et al. 2021, "LoRA: Low-rank adaptation of large language models", arXiv:2106.09685.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig

_CONFIG = "adapter_config.json"


def is_adapter(model: str | Path) -> bool:
    """Whether it is the folder of a PEFT adapter, and not of a whole model."""
    path = Path(model)
    return (path / _CONFIG).is_file() and not (path / "config.json").is_file()


def base_of(adapter: str | Path, given: str | Path | None = None) -> str | Path:
    """The model that an adapter was trained on: the one given, else the one it names.

    Raises:
        RepairError: It names none, or one that is not there.
    """
    if given is not None:
        return given
    try:
        settings = json.loads((Path(adapter) / _CONFIG).read_text(encoding="utf-8"))
        named = settings.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise RepairError(f"{adapter}: {_CONFIG} cannot be read: {error}") from error
    if not named:
        raise RepairError(f"{adapter}: {_CONFIG} names no base model; give it (--base)")
    if Path(named).is_absolute() and not Path(named).exists():
        raise RepairError(
            f"{adapter}: its base model {named} is not there; give it (--base FOLDER)"
        )
    return str(named)


def tokenizer_source(model: str | Path, base: str | Path) -> str | Path:
    """Where the tokenizer is: with an adapter where it was saved there, else with its base."""
    path = Path(model)
    own = any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))
    return model if model == base or own else base


def merged(base: PreTrainedModel, adapter: str | Path) -> PreTrainedModel:
    """The base with an adapter merged into its weights.

    Raises:
        RepairError: The adapter does not fit the base.
    """
    try:
        with _old_name():
            adapted = PeftModel.from_pretrained(base, str(adapter))
        whole: PreTrainedModel = adapted.merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        raise RepairError(f"{adapter}: does not fit its base model: {error}") from error
    return whole.requires_grad_(True)


def with_adapters(network: PreTrainedModel, config: RepairConfig) -> PreTrainedModel:
    """The model with LoRA adapters on every linear layer but the output layer.

    One that has adapters keeps them: of several methods in a row, the next trains what the one
    before it has trained.
    """
    if isinstance(network, PeftModel):
        return network  # type: ignore[no-any-return]
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if config.recomputes or config.fits_batch:
        # The frozen embeddings give activations without gradient, and a checkpointed block whose
        # inputs need none would train nothing.
        network.enable_input_require_grads()  # type: ignore[no-untyped-call]
    with _old_name():
        adapted: PreTrainedModel = get_peft_model(network, settings)
    return adapted


@contextlib.contextmanager
def _old_name() -> Iterator[None]:
    """Peft still asks for checkpointing by the name that transformers has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def join(first: Path, second: Path, base: str | Path, out: Path) -> None:
    """Write the adapter that does what ``first`` and, on top of it, ``second`` do to a base.

    Their low-rank matrices stand side by side, so nothing is approximated; the rank is the sum of
    both ranks.

    Args:
        first: Folder of the adapter that the second one was trained on top of.
        second: Folder of the second one.
        base: The base model of the first.
        out: Folder to write the adapter's files to.

    Raises:
        RepairError: The first one is more than low-rank matrices.
    """
    model = AutoModelForCausalLM.from_pretrained(
        str(base), dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    try:
        with _old_name():
            adapted = PeftModel.from_pretrained(model, str(first), adapter_name="first")
            adapted.load_adapter(str(second), adapter_name="second")
            adapted.add_weighted_adapter(
                ["first", "second"], [1.0, 1.0], "joined", combination_type="cat"
            )
    except (ValueError, TypeError) as error:
        raise RepairError(
            f"{first}: the repair cannot be written as an adapter of the same base: {error}; "
            "merge it instead (--merge)"
        ) from error
    with tempfile.TemporaryDirectory(dir=out) as folder:
        adapted.save_pretrained(folder, selected_adapters=["joined"])
        for file in (Path(folder) / "joined").iterdir():
            shutil.move(str(file), out / file.name)
