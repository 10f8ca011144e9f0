"""What is taken for granted of a probe; a part is a probe: ``probe(model, tokenizer)``."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from synflaw_audit.lab.tiny import Size, new_model, train_tokenizer
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import corpora

if TYPE_CHECKING:
    from synflaw_audit.probes.base import Probe


def check_figures_are_numbers_by_name(probe: Probe) -> None:
    """It gives figures by name; not a number where there is nothing to tell."""
    figures = probe(*_model())
    require(len(figures) > 0, "it gives no figure")
    for name, figure in figures.items():
        require(isinstance(name, str), f"{name!r} is no name")
        require(isinstance(figure, float | int), f"{name} is {type(figure).__name__}")
        require(not math.isinf(figure), f"{name} is infinite")


def check_the_model_is_left_as_it_was(probe: Probe) -> None:
    """Its weights, and whether it trains, are the same afterwards."""
    model, tokenizer = _model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for training in (True, False):
        model.train(training)
        probe(model, tokenizer)
        require(model.training is training, f"it leaves the model with training={not training}")
    after = model.state_dict()
    same = all(torch.equal(weight, after[name]) for name, weight in before.items())
    require(same, "it changes the model's weights")


def check_a_probe_repeats_itself(probe: Probe) -> None:
    """The same model has the same figures: a difference is the repair's."""
    first, second = probe(*_model()), probe(*_model())
    require(first.keys() == second.keys(), "it gives other figures the second time")
    for name, figure in first.items():
        same = figure == second[name] or (math.isnan(figure) and math.isnan(second[name]))
        require(same, f"{name} is {figure} first and {second[name]} then")


@cache
def _model() -> tuple[Any, Any]:
    texts = [text for row in corpora()["natural"][:100] for text in row]
    tokenizer = train_tokenizer(texts, Size.vocabulary)
    return new_model(tokenizer, Size(), seed=0), tokenizer
