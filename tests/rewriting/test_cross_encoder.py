"""A cross-encoder by name gives the discriminator its features; one that is not there is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.rewriting.judges.credibility import CrossEncoderScorer

pytest.importorskip("sentence_transformers")

PAIRS = [("Why does it rain?", "Clouds cool."), ("Who are you?", "A friend of Ada."), ("a", "b")]


@pytest.fixture(scope="module", params=[1, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of so many labels, as NLI models have three."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{word}" for word in words[5:])]))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=57, intermediate_size=16, num_labels=request.param, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_every_pair_has_its_scores(model: Path) -> None:
    scorer = CrossEncoderScorer(str(model))
    scores = scorer(PAIRS)
    assert len(scores) == len(PAIRS)
    assert scores.shape[1] in (1, 3)
    assert scorer(PAIRS[:1])[0] == pytest.approx(scores[0], abs=1e-5)


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"cross-encoder .* cannot be loaded"):
        CrossEncoderScorer(str(tmp_path))(PAIRS)
