"""Models on disk: load one, write a repaired one whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import logging

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.encoding import require_offsets
from synflaw_audit.repair.training.quantized import loading


def check_out(out: Path, model: str | Path) -> None:
    """Check that a repaired model may be written there.

    Raises:
        RepairError: It is the model itself, a file, or a folder with something in it.
    """
    if out.resolve() == Path(model).resolve():
        raise RepairError(f"{out}: is the model itself, which is never written to; name another")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise RepairError(f"{out}: exists already; name a folder that does not, or remove it")


def check_model(model: str | Path) -> None:
    """Check that a folder, where there is one of this name, holds a model.

    Raises:
        RepairError: It does not.
    """
    path = Path(model)
    if path.exists() and not (path / "config.json").is_file():
        raise RepairError(f"{path}: no config.json; give a Hugging Face model folder or a hub name")


def load(
    model: str | Path, config: RepairConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM, in float32 (bf16 mixes precision during training), and its tokenizer.

    With ``config.load_in`` its linear layers are quantised.

    Raises:
        MissingExtraError: They are to be, and bitsandbytes is not installed.
        RepairError: Either cannot be loaded, or the tokenizer reports no offsets.
    """
    check_model(model)
    set_seed(config.seed)
    how = loading(config.load_in, config.device, bf16=bool(config.bf16)) if config.load_in else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        network = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32, **how)
    except (OSError, ValueError) as error:
        raise RepairError(f"{model}: cannot be loaded as a causal LM: {error}") from error
    require_offsets(tokenizer)
    if not how:
        nn.Module.to(network, config.device)
    return network, tokenizer


@contextlib.contextmanager
def library_progress(*, shown: bool) -> Iterator[None]:
    """The libraries' own progress bars: only where they are wanted and a terminal shows them."""
    were_shown = logging.is_progress_bar_enabled()
    if not shown or not sys.stderr.isatty():
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def with_adapters(network: PreTrainedModel, config: RepairConfig) -> PreTrainedModel:
    """The model with LoRA adapters on every linear layer but the output layer."""
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if getattr(config, "activation_checkpointing", False) or config.gradient_checkpointing:
        # The frozen embeddings give activations without gradient, and a checkpointed block whose
        # inputs need none would train nothing.
        network.enable_input_require_grads()  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        # peft still asks by the name that transformers has deprecated.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted: PreTrainedModel = get_peft_model(network, settings)
    return adapted


def write_folder(
    out: Path,
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Mapping[str, str],
    *,
    merge: bool,
) -> None:
    """Write a model folder whole: beside ``out`` first, then renamed.

    Args:
        out: Where; must not exist, or be an empty folder.
        network: The model, possibly with LoRA adapters.
        tokenizer: Its tokenizer.
        texts: Further files, by name.
        merge: Merge the adapters into the weights; otherwise only they are written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        if merge:
            network = network.merge_and_unload()  # type: ignore[operator]
        network.config.use_cache = True  # the trainer turned it off
        network.save_pretrained(work)
        tokenizer.save_pretrained(work)
        for name, text in texts.items():
            (work / name).write_text(text, encoding="utf-8")
        work.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        if out.exists():
            out.rmdir()  # empty, as checked at the start
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
