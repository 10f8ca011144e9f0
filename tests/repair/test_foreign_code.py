"""A model's folder runs no code of its own, whatever is answered on the terminal."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from small_models import build, train_tokenizer

from synflaw_audit.chat.encoding import encode_prompt
from synflaw_audit.errors import InputError, RepairError, SynflawError
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.storage.folder import configuration, load, load_tokenizer
from synflaw_audit.text.perplexity import CausalModel


class Marks:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    tokenizer = train_tokenizer(chat=True)
    build("llama", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def loaders(folder: Path) -> list[Callable[[], object]]:
    return [
        lambda: load(folder, RepairConfig()),
        lambda: load_tokenizer(folder),
        lambda: configuration(folder),
        lambda: CausalModel(str(folder)).bits(pa.array(["some text"]), "token", 2),  # type: ignore[arg-type]
    ]


def test_a_model_s_own_code_is_not_run_on_a_yes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (model / "own.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    config = json.loads((model / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (model / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    (model / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}})
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    for loader in loaders(model):
        with pytest.raises(SynflawError):
            loader()
    assert not mark.exists()


def test_pickled_weights_are_not_read(model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Marks(mark)))
    for loader in loaders(model):
        with pytest.raises((RepairError, InputError), match=r"pickled \(pytorch_model.bin\)"):
            loader()
    assert not mark.exists()


def test_pickled_adapters_are_not_read(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    torch.save({}, adapter / "adapter_model.bin")
    with pytest.raises(RepairError, match=r"pickled \(adapter_model.bin\)"):
        load(adapter, RepairConfig())


def test_broken_weights_are_an_error_that_names_them(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(RepairError, match="cannot be loaded as a causal LM"):
        load(model, RepairConfig())


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no') }}",
        "{{ 1 / 0 }}",
        "{{ messages[9].content }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for x in range(10 ** 9) %}{% endfor %}",
        "{{ messages.append(1) }}",
        "{{ none.x.y }}",
        "{{ 'a' + 1 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% if",
    ],
)
def test_a_template_that_raises_is_a_clear_error(template: str) -> None:
    tokenizer = train_tokenizer(chat=True)
    tokenizer.chat_template = template
    with pytest.raises(RepairError, match=r"the chat template of .* does not render"):
        encode_prompt(tokenizer, "Q?")
