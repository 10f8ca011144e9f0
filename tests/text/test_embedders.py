"""The contract of an embedder, for ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
