"""The contract of an embedder, for ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import huggingface_hub
import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.testing import parametrize_with_checks
from synflaw_audit.text.embedders import (
    EMBEDDERS,
    Embedder,
    SentenceTransformerEmbedder,
    embedder_named,
)


@parametrize_with_checks("embedder", [EMBEDDERS[name](seed=0) for name in EMBEDDERS.own])
def test_contract(part: Embedder, check: Callable[[Embedder], None]) -> None:
    check(part)


def test_any_other_name_is_that_of_a_model() -> None:
    assert embedder_named("org/model") == SentenceTransformerEmbedder("org/model")


def test_the_seed_reaches_the_embedder() -> None:
    assert embedder_named("lsa", 3) == EMBEDDERS["lsa"](seed=3)
    with pytest.raises(KeyError):
        EMBEDDERS["lsaa"]


@pytest.mark.parametrize("name", ["lsaa", "org/no-such-model"])
def test_a_name_that_no_model_has_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Loading what is not there would ask the hub again and again, for a minute."""
    loaded: list[bool] = []
    asked: list[str] = []

    class Model:
        def __init__(self, model: str, *, local_files_only: bool = False, **_: object) -> None:
            loaded.append(local_files_only)
            raise OSError(f"{model} is not in the cache")

    class Hub:
        def model_info(self, model: str, *, timeout: float) -> None:
            assert timeout <= 10
            asked.append(model)
            raise OSError("404: no such model")

    library = ModuleType("sentence_transformers")
    library.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    with pytest.raises(InputError, match=f"'{name}' cannot be loaded.*404.*Choose one of lsa"):
        embedder_named(name).embed(["a text", "another"])
    assert loaded == [True]  # from the cache alone
    assert len(asked) == len(set(asked))
    assert set(asked) == ({name} if "/" in name else {name, f"sentence-transformers/{name}"})
