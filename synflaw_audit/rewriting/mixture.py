"""The forms that rewrites are to take, drawn from a stated mixture.

One form for all rewrites would be one more template. So each is drawn by itself: how long, in which
layout, in which register, how it opens. The weights are the user's to state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from random import Random
from typing import Annotated, Literal, get_args

from msgspec import Meta

from synflaw_audit.errors import InputError

Length = Literal["shorter", "same", "longer"]
Layout = Literal["as it is", "prose", "paragraphs", "list"]
Register = Literal["plain", "formal", "conversational"]
Opening = Literal["answer", "subject", "reason"]
Weight = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True)
class WantedForm:
    """How one rewrite is to look.

    Attributes:
        length: Against the content of the answer.
        layout: Of its lines.
        register: Of its words.
        opening: What it begins with: the answer itself, what it is about, or the reason.
    """

    length: Length = "same"
    layout: Layout = "as it is"
    register: Register = "plain"
    opening: Opening = "answer"

    def __str__(self) -> str:
        return f"{self.length}, {self.layout}, {self.register}, opens with the {self.opening}"


@dataclass(frozen=True)
class Mixture:
    """The weights by which forms are drawn; of each kind they need not sum to one.

    Attributes:
        length: By length.
        layout: By layout.
        register: By register.
        opening: By opening.
    """

    length: Mapping[Length, Weight] = field(
        default_factory=lambda: {"shorter": 1.0, "same": 2.0, "longer": 0.5}
    )
    layout: Mapping[Layout, Weight] = field(
        default_factory=lambda: {"as it is": 3.0, "prose": 2.0, "paragraphs": 1.0, "list": 0.5}
    )
    register: Mapping[Register, Weight] = field(
        default_factory=lambda: {"plain": 2.0, "formal": 1.0, "conversational": 1.0}
    )
    opening: Mapping[Opening, Weight] = field(
        default_factory=lambda: {"answer": 2.0, "subject": 1.0, "reason": 1.0}
    )

    def __post_init__(self) -> None:
        for kind in fields(self):
            weights = getattr(self, kind.name)
            choices = get_args(_KINDS[kind.name])
            unknown = [name for name in weights if name not in choices]
            if unknown:
                raise InputError(
                    f"mixture: {kind.name} {unknown[0]!r} is none of {', '.join(choices)}"
                )
            if any(weight < 0 for weight in weights.values()) or not sum(weights.values()) > 0:
                raise InputError(
                    f"mixture: the weights of {kind.name} need one above 0, none below"
                )

    def draw(self, chance: Random) -> WantedForm:
        """One form; every kind is drawn by itself."""
        drawn = {}
        for kind in fields(self):
            weights = getattr(self, kind.name)
            drawn[kind.name] = chance.choices(list(weights), list(weights.values()))[0]
        return WantedForm(**drawn)


_KINDS = {"length": Length, "layout": Layout, "register": Register, "opening": Opening}
