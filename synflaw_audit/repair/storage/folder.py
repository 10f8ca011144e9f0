"""Models on disk: load one, write a repaired one whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import logging

from synflaw_audit.chat.encoding import require_offsets
from synflaw_audit.errors import RepairError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.storage.adapters import base_of, is_adapter, merged, tokenizer_source
from synflaw_audit.repair.training.quantized import loading
from synflaw_audit.text.weights import pickled_weights


def check_out(out: Path, model: str | Path) -> None:
    """Check that a repaired model may be written there, and that it would find room.

    Raises:
        RepairError: It is the model itself, a file, a folder with something in it, or on a disk
            with less room than the model takes.
    """
    if out.resolve() == Path(model).resolve():
        raise RepairError(f"{out}: is the model itself, which is never written to; name another")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise RepairError(f"{out}: exists already; name a folder that does not, or remove it")
    taken = sum(each.stat().st_size for each in Path(model).glob("*.safetensors"))
    near = next(each for each in (out, *out.absolute().parents) if each.exists())
    free = shutil.disk_usage(near).free
    if free < taken:
        raise RepairError(
            f"{out}: {free / 1e6:,.0f} MB are free there, and the model takes {taken / 1e6:,.0f}"
        )


def check_model(model: str | Path) -> None:
    """Check that a folder, where there is one of this name, holds a model or an adapter.

    Raises:
        RepairError: It does not; a GGUF file is named for what it is.
    """
    path = Path(model)
    ggufs = [path] if path.suffix.lower() == ".gguf" else sorted(path.glob("*.gguf"))
    if path.is_dir() and ((path / "config.json").is_file() or is_adapter(path)):
        if reason := pickled_weights(path):
            raise RepairError(reason)
        return
    if ggufs:
        raise RepairError(
            f"{model}: holds a model in GGUF ({ggufs[0].name}), quantised weights for llama.cpp, "
            "which cannot be trained; give the Hugging Face folder that it was made from, or make "
            "one: AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=NAME), save_pretrained"
        )
    if path.exists():
        raise RepairError(
            f"{path}: no config.json and no adapter_config.json; give a Hugging Face model "
            "folder, an adapter's folder or a hub name"
        )


def load_tokenizer(model: str | Path, *, base: str | Path | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model or of an adapter.

    Raises:
        RepairError: It cannot be loaded, or reports no offsets.
    """
    check_model(model)
    whole = base_of(model, base) if is_adapter(model) else model
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(tokenizer_source(model, whole)), trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise RepairError(f"{model}: its tokenizer cannot be loaded: {error}") from error
    require_offsets(tokenizer)
    return tokenizer


def load(
    model: str | Path, config: RepairConfig, *, base: str | Path | None = None
) -> PreTrainedModel:
    """Load a causal LM, in the precision that it is trained in.

    That is float32 (bf16 then mixes precision during training), or bfloat16 where adapters are
    trained in bf16: its weights are frozen, and need not be converted for every product. With
    ``config.load_in`` its linear layers are quantised. An adapter is merged into its base.

    Args:
        model: A model's or an adapter's folder, or a hub name.
        config: The settings.
        base: The base of an adapter, where it is not found by the adapter's own word.

    Raises:
        MissingExtraError: They are to be quantised, and bitsandbytes is not installed.
        RepairError: It cannot be loaded.
    """
    check_model(model)
    set_seed(config.seed)
    how = loading(config.load_in, config.device, bf16=bool(config.bf16)) if config.load_in else {}
    whole = base_of(model, base) if is_adapter(model) else model
    dtype = torch.bfloat16 if config.freezes_in_bf16 else torch.float32
    try:
        network: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            str(whole), dtype=dtype, trust_remote_code=False, use_safetensors=True, **how
        )
    except Exception as error:  # whatever a model's files can raise
        raise RepairError(f"{whole}: cannot be loaded as a causal LM: {error}") from error
    if whole is not model:
        network = merged(network, model)
    if not how:
        nn.Module.to(network, config.device)
    return network


def configuration(model: str | Path, *, base: str | Path | None = None) -> PretrainedConfig:
    """The configuration of a model, or of an adapter's base.

    Raises:
        RepairError: Its configuration cannot be read, or is of no causal LM.
    """
    check_model(model)
    whole = base_of(model, base) if is_adapter(model) else model
    try:
        found: PretrainedConfig = AutoConfig.from_pretrained(str(whole), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise RepairError(f"{whole}: cannot be loaded as a causal LM: {error}") from error
    return found


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


class Folder:
    """The folder that a repair writes: the model first and whole, then what is said of it.

    Args:
        path: Where; must not exist, or be an empty folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_model(
        self,
        network: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        texts: Mapping[str, str],
        *,
        finish: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        """Write it beside its place first, and rename it then: it appears whole or not at all.

        Args:
            network: The model, or a model with adapters, of which only these are written.
            tokenizer: Its tokenizer.
            texts: Further files, by name.
            finish: Called with the folder before it appears, to change what was written.
        """
        out = self.path
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            network.config.use_cache = True  # the trainer turned it off
            network.save_pretrained(work)
            tokenizer.save_pretrained(work)
            finish(work)
            for name, text in texts.items():
                (work / name).write_text(text, encoding="utf-8")
            work.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            if out.exists():
                out.rmdir()  # empty, as checked at the start
            work.rename(out)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise

    def write_texts(self, texts: Mapping[str, str]) -> None:
        """Replace files of the folder, each whole: the old one stays where there is no room."""
        for name, text in texts.items():
            new = self.path / f".{name}.new"
            try:
                new.write_text(text, encoding="utf-8")
                new.replace(self.path / name)
            except OSError:
                new.unlink(missing_ok=True)
                raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
