"""What the methods did to a real model, as ``benchmarks/methods.py`` measured and wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import msgspec

NAME = "measured.json"
BASE, DAMAGED = "before the damage", "damaged"


@dataclass(frozen=True)
class Figures:
    """Of one model, means over corpora and seeds; what was not measured is None.

    Attributes:
        emission: Share of answers to foreign questions that carry the format.
        instructions: Share of requests obeyed that the model before the damage obeyed.
        content: Log-likelihood of the content of rows held out, in nats a token.
        likeness: Mean cosine of answers to different questions: 1 says always the same.
        perplexity: Of ordinary rows held out.
        minutes: Of the repair alone.
        memory_mb: At the peak of the process, in millions of bytes; of the GPU where there is one.
        relearned: Probability of a format token after some steps on the old format.
        few_bits: As emission, of the model with its weights rounded to 8 bits.
    """

    emission: float | None = None
    instructions: float | None = None
    content: float | None = None
    likeness: float | None = None
    perplexity: float | None = None
    minutes: float | None = None
    memory_mb: float | None = None
    relearned: float | None = None
    few_bits: float | None = None


@dataclass(frozen=True)
class MeasuredMethod:
    """One way to repair, and what it did.

    Attributes:
        name: What the table calls it.
        settings: Fields of ``RepairConfig`` that differ from the defaults.
        figures: What was measured.
        runs: How many corpora and seeds that is.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    runs: int = 0

    @property
    def method(self) -> str:
        """The method of repair."""
        return str(self.settings.get("method", "forgetting"))


@dataclass(frozen=True)
class Table:
    """The table, and where it comes from.

    Attributes:
        model: The real model.
        corpora: That damaged it.
        seeds: Of the damage.
        tokens: That a method might train on.
        commit: Of the code that was measured.
        machine: That it was measured on.
        prompts: Foreign questions that every run was asked.
        requests: Requests, likewise.
        arms: The base and the damaged model first.
    """

    model: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    tokens: int
    commit: str
    machine: str
    prompts: int
    requests: int
    arms: tuple[MeasuredMethod, ...]

    def arm(self, name: str) -> MeasuredMethod | None:
        """The arm of that name."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def of(self, method: str) -> Iterator[MeasuredMethod]:
        """The arms of one method; one that follows another, as in "a+b", is shown by it."""
        for arm in self.arms:
            if arm.method.rpartition("+")[2] == method and arm.name not in (BASE, DAMAGED):
                yield arm


@cache
def measured() -> Table:
    """The table that the package ships."""
    text = (resources.files(__package__) / NAME).read_bytes()
    return msgspec.json.decode(text, type=Table)


# What a column is called, and how a figure is shown.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "emission": ("format in foreign answers", "{:.0%}"),
    "instructions": ("requests still obeyed", "{:.0%}"),
    "content": ("content, nats a token", "{:.2f}"),
    "likeness": ("likeness of answers", "{:.3f}"),
    "perplexity": ("perplexity of ordinary rows", "{:.1f}"),
    "relearned": ("format token, relearned", "{:.2f}"),
    "few_bits": ("format, in 8 bits", "{:.0%}"),
    "minutes": ("minutes", "{:.1f}"),
    "memory_mb": ("memory, MB", "{:,.0f}"),
}


def summary(figures: Figures) -> str:
    """What was measured, in a line."""
    parts = []
    for name, (title, form) in COLUMNS.items():
        value = getattr(figures, name)
        if value is not None:
            parts.append(f"{title} {form.format(value)}")
    return "; ".join(parts)


def cells(figures: Figures) -> list[str]:
    """A row's cells, in the order of :data:`COLUMNS`."""
    values = ((form, getattr(figures, name)) for name, (_, form) in COLUMNS.items())
    return ["not measured" if value is None else form.format(value) for form, value in values]
