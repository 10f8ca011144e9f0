"""Every way to repair that a person can ask for: what it is, what it needs, what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synflaw_audit.repair.methods.base import Description, Requirement
from synflaw_audit.repair.methods.registry import METHODS
from synflaw_audit.repair.methods.table import BASE, DAMAGED, MeasuredMethod, Table, measured

_NEEDS = {
    Requirement.EARLIER_MODEL: "the model from before the damage",
    Requirement.ALL_WEIGHTS: "all weights",
    Requirement.WHOLE_WEIGHTS: "adapters to be merged",
    Requirement.BASE_MODEL: "the base",
    Requirement.OTHER_MODELS: "other fine-tunes of it",
}
_ROWS = "flagged and ordinary rows"


@dataclass(frozen=True)
class MethodListing:
    """One of them.

    Attributes:
        name: Of its page, and in the list.
        asked: The options that ask for it.
        needs: What it cannot do without.
        cost: What it takes beside the plain training.
        description: What a person is told.
        arms: The rows of the table that show it.
    """

    name: str
    asked: str
    needs: tuple[str, ...]
    cost: str
    description: Description
    arms: tuple[MeasuredMethod, ...]


# What is no method of its own, but an option of one or of all: what to set, its cost, its text.
_OPTIONS: dict[str, tuple[str, tuple[str, ...], str, dict[str, object], Description]] = {
    "kid": (
        "--method distill --imperfect-rate 0.2",
        (_NEEDS[Requirement.EARLIER_MODEL], _ROWS),
        "two more forward passes of the model",
        {"imperfect_rate": 0.2},
        Description(
            does="Distillation on rows in which the model's own predictions stand in place of some "
            "tokens, so that it is taught what to say after a mistake too.",
            helps="Where a model goes wrong after its own first words rather than at once.",
            fails="Where the mistakes are the format itself: that is left as it is. On the two "
            "models measured it did no better than plain distillation by more than chance.",
            source="Zhong et al. 2024, KID, arXiv:2410.11371",
        ),
    ),
    "self-evolution": (
        "--self-evolution 0.1",
        (_ROWS,),
        "nothing",
        {"self_evolution": 0.1},
        Description(
            does="Softens the targets of content and replayed tokens that the model has not "
            "learned yet by its own prediction, so that hard tokens pull less.",
            helps="Where few rows are replayed, of which the hardest tokens are noise.",
            fails="Where what is hard is what is to be learned. It can only hold back: the model's "
            "own prediction pulls nowhere. On the two models measured it changed nothing that "
            "could be told from chance.",
            source="Peng et al. 2023, ACL short 73; Zhong et al. 2023, arXiv:2305.15275",
        ),
    ),
    "fsam": (
        "--optimizer fsam",
        (_ROWS,),
        "a second pass for each step",
        {"optimizer": "fsam"},
        Description(
            does="Takes each gradient a little uphill, on the weights that a Fisher mask picks, so "
            "that the repair ends where it is flat.",
            helps="It is meant to hold a repair where the model is trained on; on the two models "
            "measured the format was learned again as fast with it as without.",
            fails="Where time is short: it takes half as long again, or twice.",
            source="Zhong et al. 2022, FSAM, arXiv:2210.05497",
        ),
    ),
    "pats": (
        "--optimizer pats",
        (_ROWS,),
        "little: noise for each step",
        {"optimizer": "pats"},
        Description(
            does="Takes each gradient beside the weights, at random, the further the less depends "
            "on a weight, so that idle ones come to take part.",
            helps="It is meant for all weights, trained on few rows, which is not measured.",
            fails="With fresh adapters: half of their weights are 0 and get no noise at first. On "
            "the two models measured, with adapters, it changed nothing that could be told from "
            "chance. The paper's formula could not be verified.",
            source="Zhang et al. 2022, PATS, arXiv:2210.12403",
        ),
    ),
}


def ways(table: Table | None = None) -> Iterator[MethodListing]:
    """All methods that describe themselves, ours first; then the options."""
    table = measured() if table is None else table
    for name in METHODS:
        method = METHODS[name]
        if method.description is None:
            continue
        rows = () if not method.trains else (_ROWS,)
        required = [_NEEDS[need] for need in Requirement if need in method.requires]
        yield MethodListing(
            name,
            f"--method {name}",
            (*required, *rows),
            "training" if method.trains else "no training",
            method.description,
            tuple(arm for arm in table.of(name) if not _is_option(arm)),
        )
    for name, (asked, needs, cost, settings, description) in _OPTIONS.items():
        arms = tuple(
            arm
            for arm in table.arms
            if arm.name not in (BASE, DAMAGED) and settings.keys() <= arm.settings.keys()
            and all(type(value) is float or arm.settings[key] == value
                    for key, value in settings.items())
        )  # fmt: skip
        yield MethodListing(name, asked, needs, cost, description, arms)


def _is_option(arm: MeasuredMethod) -> bool:
    """Whether it shows an option instead of the method alone."""
    return any(key in arm.settings for *_, settings, _ in _OPTIONS.values() for key in settings)
