"""Weights are numbers: a pickle is refused by name before anything reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.text.embedders import SentenceTransformerEmbedder
from synflaw_audit.text.weights import pickled_weights, require_safetensors


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth", "model.ckpt", "weights.pkl"]
)
@pytest.mark.parametrize("place", ["", "2_Dense"])
def test_pickles_are_refused_by_name(tmp_path: Path, name: str, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / name).write_bytes(b"\x80\x04.")
    reason = pickled_weights(tmp_path)
    assert name in reason
    assert "runs whatever code it holds" in reason
    with pytest.raises(InputError, match="are pickled"):
        require_safetensors(tmp_path)


def test_safetensors_and_what_a_training_left_are_not(tmp_path: Path) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "checkpoint-9").mkdir()
    for name in ("optimizer.pt", "training_args.bin", "rng_state.pth"):
        (tmp_path / "checkpoint-9" / name).write_bytes(b"")
    assert pickled_weights(tmp_path) == ""
    assert pickled_weights("org/name") == pickled_weights(tmp_path / "missing") == ""


def test_an_embedder_of_pickles_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match=r"pickled \(pytorch_model.bin\)"):
        SentenceTransformerEmbedder(str(tmp_path)).embed(["text"])
