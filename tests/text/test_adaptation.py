"""Adapting an encoder: dropping nothing is plain training; what is dropped skips middle layers."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import transformers
from one_thread import _on_cpu, _one_thread  # noqa: F401 -- used by pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from synflaw_audit.errors import InputError
from synflaw_audit.text.adaptation import AdaptConfig, adapt, train
from synflaw_audit.text.dropping import Importance, consistency, dropping, encoder_layers

SAID = "the a river runs through old town and mill stands by water where boats are built"
WORDS = SAID.split()
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
TEXTS = [" ".join(WORDS[i : i + 5 + i % 4]) for i in range(10)]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = dict(zip(("pad", "cls", "sep", "mask", "unk"), SPECIAL, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, **{f"{name}_token": text for name, text in names.items()}
    )


def encoder(tokenizer, layers: int = 4) -> transformers.BertModel:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertModel(config)


def batch(tokenizer):
    told = tokenizer(TEXTS[:4], padding=True, return_tensors="pt")
    return told["input_ids"], told["attention_mask"]


def plain(model, tokenizer, steps: int, rate: float) -> None:
    """Masked-language training as it is usually written, with the same draws."""
    import random

    torch.manual_seed(0)
    order = random.Random(0)  # noqa: S311 -- an order, not a secret
    rows = [list(tokenizer(text)["input_ids"]) for text in TEXTS]
    head = torch.nn.Parameter(torch.zeros(len(tokenizer)))
    words = model.embeddings.word_embeddings.weight
    optimizer = torch.optim.AdamW([*model.parameters(), head], rate)
    for _ in range(steps):
        chosen = order.choices(rows, k=4)
        width = max(map(len, chosen))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in chosen])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in chosen])
        allowed = (ids > 4) & mask.bool()
        chance = torch.rand(ids.shape).masked_fill(~allowed, 2.0)
        rank = chance.argsort(1).argsort(1)
        hidden = (rank < (0.15 * allowed.sum(1, keepdim=True)).ceil()) & allowed
        out = model(ids.masked_fill(hidden, 3), attention_mask=mask).last_hidden_state
        logits = out[hidden] @ words.T + head
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, ids[hidden]).backward()
        optimizer.step()


def test_dropping_nothing_is_plain_training(tokenizer) -> None:
    ours, theirs = encoder(tokenizer), encoder(tokenizer)
    train(ours, tokenizer, TEXTS, AdaptConfig(steps=6, rows=4, drop=0.0, learning_rate=1e-3))
    plain(theirs, tokenizer, 6, 1e-3)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def states(model, ids, mask, kept=None) -> list[torch.Tensor]:
    """What comes out of each layer."""
    found: list[torch.Tensor] = []
    layers = encoder_layers(model)
    everything = torch.arange(ids.shape[1]).expand(len(ids), -1)
    with torch.no_grad(), dropping(layers, everything if kept is None else kept, mask):
        hooks = [
            layer.register_forward_hook(lambda layer, args, output: found.append(output))
            for layer in layers
        ]
        model(ids, attention_mask=mask)
        for hook in hooks:
            hook.remove()
    return found


def test_what_is_dropped_skips_the_middle_layers_and_comes_back_for_the_last(tokenizer) -> None:
    model = encoder(tokenizer, layers=5).eval()
    ids, mask = batch(tokenizer)
    kept = Importance(len(tokenizer), ids.device).kept(ids, mask, ids < 5, 0.5)
    out = states(model, ids, mask, kept)
    dropped = torch.ones_like(ids, dtype=torch.bool).scatter(1, kept, False)
    for layer in (1, 2, 3):
        assert torch.equal(out[layer][dropped], out[0][dropped])
        assert not torch.equal(out[layer][~dropped], out[0][~dropped])
    assert not torch.allclose(out[4][dropped], out[3][dropped])


def test_keeping_all_is_the_full_pass_and_hooks_are_gone_afterwards(tokenizer) -> None:
    model = encoder(tokenizer).eval()
    ids, mask = batch(tokenizer)
    everything = torch.arange(ids.shape[1]).expand(len(ids), -1)
    full = model(ids, attention_mask=mask).last_hidden_state
    with dropping(encoder_layers(model), everything, mask):
        same = model(ids, attention_mask=mask).last_hidden_state
    inside = mask.bool()
    torch.testing.assert_close(same[inside], full[inside])
    again = model(ids, attention_mask=mask).last_hidden_state
    assert torch.equal(again, full)


def test_special_and_masked_tokens_stay_and_padding_goes_first(tokenizer) -> None:
    ids, mask = batch(tokenizer)
    importance = Importance(len(tokenizer), ids.device)
    importance.learn(torch.tensor([5, 6]), torch.tensor([90.0, 80.0]))
    always = (ids < 5) & mask.bool()
    kept = importance.kept(ids, mask, always, 0.5)
    held = torch.zeros_like(ids, dtype=torch.bool).scatter(1, kept, True)
    assert held[always].all()
    assert kept.shape[1] == -(-ids.shape[1] // 2)


def test_consistency_is_nothing_between_equal_passes(tokenizer) -> None:
    model = encoder(tokenizer).eval()
    ids, mask = batch(tokenizer)
    both = states(model, ids, mask)[-2:]
    assert consistency(both, both, mask) == 0
    moved = [both[0], both[1] + 1.0]
    assert float(consistency(moved, both, mask)) == pytest.approx(1.0)


@pytest.mark.parametrize("settings", [{}, {"interval": 0}, {"self_evolution": True}, {"drop": 0.0}])
def test_every_way_learns_the_texts(tokenizer, settings) -> None:
    model = encoder(tokenizer)
    before = deepcopy(model.state_dict())
    told = AdaptConfig(**{"steps": 60, "rows": 8, "learning_rate": 3e-3, **settings})
    losses = train(model, tokenizer, TEXTS, told)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert any(not torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_folder_is_written_and_read_again(tokenizer, tmp_path) -> None:
    encoder(tokenizer).save_pretrained(tmp_path / "in")
    tokenizer.save_pretrained(tmp_path / "in")
    done = adapt(tmp_path / "in", TEXTS, tmp_path / "out", AdaptConfig(steps=2, rows=2))
    assert len(done.losses) == 2
    loaded = transformers.AutoModel.from_pretrained(tmp_path / "out")
    assert loaded.config.num_hidden_layers == 4
    with pytest.raises(InputError, match="is there already"):
        adapt(tmp_path / "in", TEXTS, tmp_path / "out")


def test_what_cannot_be_adapted_is_named(tokenizer, tmp_path) -> None:
    with pytest.raises(InputError, match="cannot be loaded as an encoder"):
        adapt(tmp_path / "none", TEXTS, tmp_path / "out")
    with pytest.raises(InputError, match="three layers or more"):
        train(encoder(tokenizer, layers=2), tokenizer, TEXTS, AdaptConfig(steps=1))
    with pytest.raises(InputError, match="no text has two words"):
        train(encoder(tokenizer), tokenizer, [""], AdaptConfig(steps=1))
    with pytest.raises(ValueError, match="drop must lie"):
        AdaptConfig(drop=1.0)
