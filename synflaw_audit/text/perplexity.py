"""How predictable each answer is: an n-gram model of the corpus itself, or any causal LM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from synflaw_audit.errors import InputError, MissingExtraError
from synflaw_audit.text.copies import firsts
from synflaw_audit.text.phrases import Floats, numbered
from synflaw_audit.text.tokens import Ids, Ints, extended, factorized, tokenize
from synflaw_audit.text.weights import require_safetensors

ORDER = 3
TRAINING_TOKENS = 7_000  # of either half, so that a large corpus is not the more predictable
ROWS = 2000  # scored by an n-gram model
CAUSAL_ROWS = 500  # scored by a causal LM
BATCH = 16


class LanguageModel(Protocol):
    """Gives the information of answers."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    def bits(self, texts: pa.Array, unit: Ints, window: int) -> Floats:
        """The information of answers, log2 of their perplexity.

        Args:
            texts: Arrow string array [rows].
            unit: int64 [rows], the question that each row answers.
            window: Tokens of each answer, from its first, that are scored.

        Returns:
            float64 [rows], bits a token of a sample of the rows that are at least so long, nan of
            the others.
        """


@dataclass(frozen=True)
class NgramModel:
    """A trigram model of each half of a corpus scores the answers of the other half.

    Interpolated by the method C of Witten and Bell, "The zero-frequency problem", IEEE Transactions
    on Information Theory 1991. Answers to one question stand in one half, and of copies a model
    learns nothing more. Numbers are all alike.
    """

    name: str = "trigram"

    def bits(self, texts: pa.Array, unit: Ints, window: int) -> Floats:
        """See ``LanguageModel.bits``."""
        tokens = tokenize(texts)
        ids = numbered(tokens)
        place = np.arange(len(ids)) - tokens.offsets[:-1][tokens.row]
        half = unit[tokens.row] % 2
        scored = np.flatnonzero(tokens.counts >= window)[:ROWS]
        heads = np.isin(tokens.row, scored) & (place <= window)
        own = firsts(unit, factorized(texts)[0])[tokens.row]
        found = np.full(len(tokens), np.nan)
        for side in (0, 1):
            known = np.flatnonzero(own & (half != side))[:TRAINING_TOKENS]
            held = np.flatnonzero(heads & (half == side))
            if len(known) and len(held):
                cost = information(ids[known], place[known], ids[held], place[held])
                real = place[held] > 0
                sums = np.bincount(tokens.row[held][real], cost[real], len(tokens))
                rows = np.unique(tokens.row[held])
                found[rows] = sums[rows] / window
        return found


def information(known: Ids, known_place: Ints, held: Ids, held_place: Ints) -> Floats:
    """Bits of each token under an n-gram model of other tokens.

    Args:
        known: uint64 [tokens] that the model is made from, rows end to end.
        known_place: int64 [tokens], the place of each in its row.
        held: uint64 [tokens] to score, rows end to end.
        held_place: int64 [tokens], as ``known_place``.

    Returns:
        float64 [tokens to score].
    """
    chance = np.full(len(held), 1.0 / (len(np.unique(known)) + 1))
    for order in range(1, ORDER + 1):
        before, after = (_pairs(ids, at, order) for ids, at in
                         ((known, known_place), (held, held_place)))  # fmt: skip
        context, index = np.unique(before[0], return_inverse=True)
        gram, first, count = np.unique(before[1], return_index=True, return_counts=True)
        total = np.bincount(index, minlength=len(context))
        kinds = np.bincount(index[first], minlength=len(context))
        seen = _looked_up(after[0], context, total)
        new = _looked_up(after[0], context, kinds)
        times = _looked_up(after[1], gram, count)
        better = (times + new * chance) / np.maximum(seen + new, 1)
        chance = np.where(seen > 0, better, chance)
    return np.asarray(-np.log2(chance))


def _pairs(ids: Ids, place: Ints, order: int) -> tuple[Ids, Ids]:
    """The hash of each token's context of ``order - 1`` tokens, and of context and token.

    At the begin of a row the context is as long as the row goes back.
    """
    context = np.zeros(len(ids), dtype=np.uint64)
    for step in range(order - 1, 0, -1):
        inside = np.flatnonzero(place >= step)
        context[inside] = extended(context[inside], ids[inside - step])
    return context, extended(context, ids)


def _looked_up(keys: Ids, table: Ids, values: Ints) -> Ints:
    """The value of each key in a sorted table; 0 where it is not in it."""
    place = np.minimum(np.searchsorted(table, keys), max(len(table) - 1, 0))
    return np.where(table[place] == keys, values[place], 0)


@dataclass(frozen=True)
class CausalModel:
    """A Hugging Face causal language model, by hub name or local folder.

    Attributes:
        name: Of the model.
    """

    name: str

    def bits(self, texts: pa.Array, unit: Ints, window: int) -> Floats:
        """See ``LanguageModel.bits``; tokens are the model's own.

        Raises:
            MissingExtraError: If transformers or torch is not installed.
            InputError: If the model cannot be loaded.
        """
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError(f"the perplexity model {self.name!r}", "repair") from error
        try:
            require_safetensors(self.name)
            tokenizer = AutoTokenizer.from_pretrained(self.name, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                self.name, trust_remote_code=False, use_safetensors=True
            )
            model.eval()  # type: ignore[no-untyped-call]
        except InputError:
            raise
        except Exception as error:  # whatever a model's files can raise
            raise InputError(
                f"the perplexity model {self.name!r} cannot be loaded: {error}. Choose 'ngram', "
                "a local model folder, or a hub name that can be reached"
            ) from error
        encoded = [
            tokenizer(text, add_special_tokens=False, truncation=True, max_length=window + 1)
            for text in texts.to_pylist()
        ]
        # The first token is given, since not every model has a token to begin with.
        long = [n for n, row in enumerate(encoded) if len(row["input_ids"]) == window + 1]
        found = np.full(len(texts), np.nan)
        with torch.inference_mode():
            for at in range(0, min(len(long), CAUSAL_ROWS), BATCH):
                rows = long[at : min(at + BATCH, CAUSAL_ROWS)]
                ids = torch.tensor([encoded[row]["input_ids"] for row in rows])
                logits = model(ids).logits[:, :-1].float()
                nats = torch.nn.functional.cross_entropy(
                    logits.transpose(1, 2), ids[:, 1:], reduction="none"
                ).mean(dim=1)
                found[rows] = (nats / np.log(2)).numpy()
        return found


def language_model_named(name: str) -> LanguageModel:
    """The model for ``--perplexity-model NAME``: ``ngram``, or a causal LM."""
    return NgramModel() if name == "ngram" else CausalModel(name)
