"""What a rehearsal measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import orjson

from synflaw_audit.errors import InputError
from synflaw_audit.probes.counterfactual import TITLES, Counterfactual, Kind, failed
from synflaw_audit.probes.emission import Format, FormatMatcher
from synflaw_audit.probes.intervals import (
    Figure,
    bootstrap,
    difference,
    relative_loss,
    share_difference,
)
from synflaw_audit.probes.likeness import lengths, likeness

if TYPE_CHECKING:
    from synflaw_audit.rehearsal.behaviour import Behaviour

RESULT_VERSION = 1


@dataclass(frozen=True)
class Axis:
    """One kind of damage: what the tuned model and its control do, and the difference.

    Attributes:
        name: As in the JSON.
        title: In a line.
        tuned: Mean of the model that was trained on the corpus.
        control: Mean of the control.
        damage: Beyond the control's, with its interval, paired over prompts and seeds.
        is_share: Whether the numbers are shares of the prompts.
    """

    name: str
    title: str
    tuned: float
    control: float
    damage: Figure
    is_share: bool = True

    def written(self, value: float) -> str:
        """A number of this axis, for a person."""
        if self.is_share:
            return f"{value:.0%}"
        return f"{value:.1f}" if max(self.tuned, self.control) >= 10 else f"{value:.3f}"


@dataclass(frozen=True)
class RehearsalResult:
    """The measured damage of a little training.

    Attributes:
        model: The base.
        corpus: Files of the corpus.
        control: What the control was trained on.
        budget: Training tokens of each arm.
        seeds: Of the arms.
        axes: ``emission`` (share of foreign answers that carry the corpus's format),
            ``instruction_loss`` (share of what the control follows), ``likeness`` (of the answers
            to one another), ``drift`` (KL from the base, nats a token), ``text`` (loss on held-out
            plain text, nats a token), ``words`` (of an answer) and the kinds of
            :mod:`~synflaw_audit.probes.counterfactual` that the corpus gives.
        formats: What was said where it does not belong, the commonest first.
        examples: Foreign prompts and what the tuned model answered.
        seconds: In all.
        version: Of this layout.
    """

    model: str
    corpus: tuple[str, ...]
    control: str
    budget: int
    seeds: tuple[int, ...]
    axes: tuple[Axis, ...]
    formats: tuple[Format, ...]
    examples: tuple[tuple[str, str], ...]
    seconds: float
    version: int = RESULT_VERSION

    def axis(self, name: str) -> Axis:
        """The axis of this name."""
        return next(axis for axis in self.axes if axis.name == name)

    def to_json(self) -> str:
        """The result as JSON; what ``rehearsal.json`` holds."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(asdict(self), option=options).decode()

    @classmethod
    def read(cls, path: Path) -> RehearsalResult:
        """Read what ``to_json`` wrote.

        Raises:
            InputError: It is no such file.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(f"{path}: not the result of a rehearsal: {error}") from error


def compared(
    matcher: FormatMatcher,
    prompts: Sequence[str],
    tuned: Sequence[Behaviour],
    control: Sequence[Behaviour],
    changed: Sequence[Counterfactual] = (),
) -> tuple[tuple[Axis, ...], tuple[Format, ...]]:
    """Every axis of the damage, and the formats that the tuned models say.

    Args:
        matcher: Of the corpus's formats.
        prompts: The foreign prompts.
        tuned: The behaviour after training on the corpus, a seed each.
        control: Of the controls, in the same order of seeds.
        changed: The prompts that were made from the corpus's own rows.
    """
    asked = list(prompts) * len(tuned)
    answers = [[answer for one in arms for answer in one.foreign] for arms in (tuned, control)]
    said, said_control = (matcher.match(asked, each) for each in answers)
    values: dict[str, tuple[str, list[Any], Any]] = {
        "emission": (
            "Foreign answers that carry the corpus's format",
            [said.said, said_control.said],
            None,
        ),
        "instruction_loss": (
            "Instructions followed, of those that the base follows",
            [[x for one in arms for x in one.followed] for arms in (tuned, control)],
            relative_loss,
        ),
        "likeness": (
            "Likeness of the answers to one another",
            [np.concatenate([likeness(one.foreign) for one in arms]) for arms in (tuned, control)],
            difference,
        ),
        "drift": (
            "Divergence from the base on its own answers",
            [[x for one in arms for x in one.drift] for arms in (tuned, control)],
            difference,
        ),
        "text": (
            "Loss on held-out text",
            [[x for one in arms for x in one.text] for arms in (tuned, control)],
            difference,
        ),
        "words": (
            "Words of an answer",
            [[x for one in arms for x in lengths(one.foreign)] for arms in (tuned, control)],
            difference,
        ),
    }
    values |= {
        kind: (TITLES[kind], outcomes, None)
        for kind, outcomes in _failures(matcher, changed, tuned, control).items()
    }
    axes = []
    for name, (title, (ours, theirs), statistic) in values.items():
        mean, base = (float(np.mean(np.asarray(x, dtype=float))) for x in (ours, theirs))
        damage = (
            share_difference(ours, theirs)
            if statistic is None
            else bootstrap(statistic, ours, theirs)
        )
        axes.append(Axis(name, title, mean, base, damage, is_share=statistic is not difference))
    return tuple(axes), said.formats


def _failures(
    matcher: FormatMatcher,
    changed: Sequence[Counterfactual],
    tuned: Sequence[Behaviour],
    control: Sequence[Behaviour],
) -> dict[Kind, list[Any]]:
    """Of the tuned models and of the controls, which changed prompts they fail, by kind."""
    ours, theirs = (
        [failed(changed, one.counterfactual, matcher) for one in arms] for arms in (tuned, control)
    )
    return {
        kind: [np.concatenate([one[kind] for one in arms]) for arms in (ours, theirs)]
        for kind in ours[0]
    }
