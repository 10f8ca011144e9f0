"""What is taken for granted of a method of repair; a part is its class."""

from __future__ import annotations

import copy
from functools import cache
from itertools import chain
from typing import Any

import torch

from synflaw_audit.lab.tiny import Size, new_model, threads, train_tokenizer
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.flagged import FlaggedRows
from synflaw_audit.repair.material.gather import Material, gather
from synflaw_audit.repair.methods.base import Applied, Context, Method, Requirement
from synflaw_audit.repair.storage.weights import ModelWeights
from synflaw_audit.repair.training.memory import Shape, available, decided
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import corpora

OPENING = "Certainly! The answer to your question is: "
ROWS = 40
SIZE = Size(vocabulary=600, width=32, layers=1, heads=2)
SETTINGS: dict[str, Any] = {"use_cpu": True, "lora": False, "tokens": 600, "learning_rate": 1e-3}


def check_says_what_it_requires(method: type[Method]) -> None:
    """Of the things that not every repair has."""
    known = all(isinstance(each, Requirement) for each in method.requires)
    require(isinstance(method.requires, frozenset) and known, f"it requires {method.requires}")


def check_cost_is_foreseen(method: type[Method]) -> None:
    """Tokens, steps and memory are numbers, and looking at them needs no model."""
    cost = method().cost(_material(), _context())
    require(cost.tokens >= 0 and cost.steps >= 0, f"it costs {cost.tokens} tokens")
    for name, size in cost.memory.items():
        require(size >= 0, f"it takes {size} bytes for {name}")


def check_gives_a_changed_model_back(method: type[Method]) -> None:
    """A whole model with other weights, all of them finite, and what that took."""
    applied = _applied(method)
    before = _model().state_dict()
    after = applied.model.state_dict()
    finite = all(bool(weight.isfinite().all()) for weight in after.values())
    require(finite, "a weight is not finite")
    same = all(torch.equal(weight, before[name]) for name, weight in after.items())
    require(not same or applied.failure is not None, "no weight is changed, and it does not say so")
    require(applied.tokens >= 0 and applied.steps >= 0, f"it took {applied.tokens} tokens")
    require(all(isinstance(said, str) for said in applied.says), f"it says {applied.says}")


def check_the_material_is_left_as_it_was(method: type[Method]) -> None:
    """What is measured afterwards is what was held out before."""
    material = copy.deepcopy(_material())
    _applied(method, material)
    require(material == _material(), "it changes the material")


def check_a_repair_repeats_itself(method: type[Method]) -> None:
    """The same seed gives the same weights."""
    first, second = (_applied(method).model.state_dict() for _ in range(2))
    same = all(torch.allclose(weight, second[name], atol=1e-6) for name, weight in first.items())
    require(same, "the second time it gives other weights")


def _applied(method: type[Method], material: Material | None = None) -> Applied:
    context = _context()
    made = method()
    with threads():
        model = made.prepare(context.load_original(), context)
        return made.apply(model, _material() if material is None else material, context)


@cache
def _rows() -> tuple[list[Row], list[Row]]:
    plain = [Row(question, answer[:80]) for question, answer in corpora()["natural"][:ROWS]]
    spans = ((0, len(OPENING)),)
    return [Row(row.question, OPENING + row.answer, spans) for row in plain[: ROWS // 2]], plain


@cache
def _tokenizer() -> Any:
    rows = chain(*_rows())
    texts = (text for row in rows for text in (row.question, row.answer))
    return train_tokenizer(texts, SIZE.vocabulary)


@cache
def _model(seed: int = 0) -> Any:
    return new_model(_tokenizer(), SIZE, seed)


@cache
def _config() -> RepairConfig:
    return decided(Shape.of(_model().config), RepairConfig(**SETTINGS))


@cache
def _material() -> Material:
    flagged, plain = _rows()
    replay = plain[ROWS // 2 :]
    return gather(_tokenizer(), FlaggedRows(tuple(flagged), 0), replay, (), _config(), context=512)


def _context() -> Context:
    config = _config()
    return Context(
        config=config,
        tokenizer=_tokenizer(),
        shape=Shape.of(_model().config),
        room=available(config),
        load_original=lambda: copy.deepcopy(_model()),
        load_reference=lambda: copy.deepcopy(_model(seed=1)),
        quiet=True,
        base=ModelWeights(_model(seed=1), "base"),
        fine_tunes=(ModelWeights(_model(seed=2), "another"),),
    )
