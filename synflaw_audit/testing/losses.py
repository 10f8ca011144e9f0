"""What is taken for granted of a forgetting loss; a part is a loss, its constants filled in."""

from __future__ import annotations

import math
import pickle

import torch
from torch import Tensor

from synflaw_audit.repair.losses import ForgettingLoss
from synflaw_audit.repair.scores import TokenScores, target_scores
from synflaw_audit.testing.assertions import require

# Logits of the target less those of all others: from never to always.
MARGINS = (-1000.0, -80.0, -20.0, -3.0, 0.0, 3.0, 20.0, 80.0, 1000.0)
# Where a loss may be flat, and where none may push the target up.
NEARLY_FLAT = 1e-6
VOCABULARY = 7


def check_is_frozen_constants(loss: ForgettingLoss) -> None:
    """It is a value: equal to its copy, and says what one number of it stands for."""
    require(pickle.loads(pickle.dumps(loss)) == loss, "pickling changes it")  # noqa: S301
    require(loss.unit in ("token", "row"), f"its unit is {loss.unit!r}, not token or row")
    low, high = loss.bounds
    require(low < high, f"its bounds are {low} and {high}")
    require(loss.safe == math.isfinite(low), "safe is whether the lower bound is finite")


def check_one_value_a_unit(loss: ForgettingLoss) -> None:
    """A value for each token, or for each row in ascending order; that of rows mixed."""
    logits = torch.linspace(-3, 3, 5 * VOCABULARY).reshape(5, VOCABULARY)
    rows = [4, 9, 4, 2, 9]
    values = loss(_scores(logits, rows))
    expected = len(rows) if loss.unit == "token" else len(set(rows))
    require(values.shape == (expected,), f"the shape is {tuple(values.shape)}, not ({expected},)")
    if loss.unit == "row":
        alone = [loss(_scores(logits[[r == row for r in rows]], [0] * rows.count(row)))[0]
                 for row in sorted(set(rows))]  # fmt: skip
        require(torch.allclose(values, torch.stack(alone)), "a row's value depends on other rows")


def check_values_are_bounded(loss: ForgettingLoss) -> None:
    """In float32 a value lies within the bounds, from a token never said to one always said."""
    low, high = loss.bounds
    for margin in MARGINS:
        value, _ = _at(loss, margin)
        require(math.isfinite(value), f"at a margin of {margin} it is {value}")
        require(low - 1e-5 <= value <= high + 1e-5, f"at a margin of {margin} it is {value}")


def check_gradients_are_finite_and_push_down(loss: ForgettingLoss) -> None:
    """Its gradient is finite, and nowhere makes the target likelier; at p = 1/2 it forgets."""
    for margin in MARGINS:
        _, gradient = _at(loss, margin)
        require(bool(gradient.isfinite().all()), f"at a margin of {margin} it is not finite")
        pushes = gradient[0].item()
        require(pushes >= -NEARLY_FLAT, f"at a margin of {margin} the target is made likelier")
    half = math.log(VOCABULARY - 1)
    require(_at(loss, half)[1][0].item() > NEARLY_FLAT, "a target of probability 1/2 stays")


def _at(loss: ForgettingLoss, margin: float) -> tuple[float, Tensor]:
    logits = torch.zeros(1, VOCABULARY)
    logits[0, 0] = margin
    logits.requires_grad_()
    value = loss(_scores(logits, [0])).sum()
    value.backward()  # type: ignore[no-untyped-call]
    gradient = logits.grad
    if gradient is None:
        raise AssertionError("it does not depend on the logits")
    return value.item(), gradient[0]


def _scores(logits: Tensor, rows: list[int]) -> TokenScores:
    targets = torch.zeros(len(rows), dtype=torch.long)
    reference = torch.full((len(rows),), -1.0)
    return TokenScores(*target_scores(logits, targets), torch.tensor(rows), reference)
