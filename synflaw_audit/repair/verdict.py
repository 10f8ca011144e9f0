"""Whether a repair helped: format, content, ordinary text and instructions, each by itself.

All of it on rows and prompts that were held out of the training. Where an interval is known, "fell"
and "rose" are said of what lies beyond chance; bounds are compared with the figure itself. Where a
control arm was trained (replay alone), harm is what goes beyond its harm, and the format must not
be likelier than it left it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from synflaw_audit.repair.measuring.figures import FigureChange, Interval

FORMAT, SAID = "template_probability", "template_emission"
ALIKE = "answer_likeness"
CONTENT, ORDINARY = "content_log_likelihood", "replay_perplexity"
OBEYED = "instruction_following"

# What is judged, and the figure that it is judged by.
ASPECTS = {
    "the format's likelihood": FORMAT,
    "the format in ordinary answers": SAID,
    "content": CONTENT,
    "ordinary text": ORDINARY,
    "instruction following": OBEYED,
}
# Share of the format's probability that a repair must at least take away to have helped.
_LEAST_FALL = 0.05


@dataclass(frozen=True)
class Limits:
    """What a repair may cost, and what it may leave, and still count as one.

    Attributes:
        perplexity_rise: Relative rise of the perplexity of ordinary text.
        content_loss: Fall of the content's log-likelihood, in nats a token.
        emission: Share of ordinary answers that still say the format.
        likeness: How alike the answers to ordinary questions may be.
    """

    perplexity_rise: float
    content_loss: float
    emission: float
    likeness: float = 1.0


def judge_repair(
    found: Mapping[str, FigureChange],
    limits: Limits,
    control: Mapping[str, FigureChange] | None = None,
) -> list[str]:
    """Why a repair does not count as an improvement, in sentences; empty where it does.

    Args:
        found: What became of each figure, original to repaired.
        limits: What is still accepted.
        control: The same, control arm to repaired.
    """
    against = control or {}
    return [
        *_broken(found),
        *_format(found, limits),
        *_content(found, limits, against),
        *_ordinary(found, limits, against),
        *_instructions(found, against),
        *_control(against),
    ]


def unjudged(found: Mapping[str, FigureChange]) -> list[str]:
    """What could not be judged, because nothing was measured."""
    return [aspect for aspect, name in ASPECTS.items() if name not in found]


def undecided(found: Mapping[str, FigureChange]) -> list[str]:
    """Why it cannot be said that a repair helped, in sentences; empty where it can.

    A format that is less likely where it was taught may be said elsewhere all the same.
    """
    if SAID in found:
        return []
    return [
        "Whether the format is still said where it has no place was not measured: the model was "
        "asked no ordinary question, or the flagged rows share no wording to look for."
    ]


def _broken(found: Mapping[str, FigureChange]) -> list[str]:
    broken = [name for name, each in found.items() if not math.isfinite(each.after)]
    return [f"Not finite after the repair: {', '.join(broken)}."] if broken else []


def _format(found: Mapping[str, FigureChange], limits: Limits) -> list[str]:
    """It must be less likely, or less often said; and it must not be said in many answers still."""
    reasons = []
    likely, said, obeyed = (found.get(name) for name in (FORMAT, SAID, OBEYED))
    gained = (said is not None and said.fell) or (obeyed is not None and obeyed.rose)
    less = likely is not None and likely.fell and likely.after <= likely.before * (1 - _LEAST_FALL)
    if not less and not gained:
        shown = _shown(FORMAT, likely) if likely is not None else f"{FORMAT} was not measured"
        reasons.append(f"The format is hardly less likely: {shown}.")
    if said is not None and said.after > limits.emission:
        reasons.append(
            f"The format is still said where it has no place: {_shown(SAID, said)}, and "
            f"{limits.emission:.0%} is accepted."
        )
    elif said is not None and said.rose:
        reasons.append(f"The format is said more often: {_shown(SAID, said)}.")
    alike = found.get(ALIKE)
    if alike is not None and alike.after > limits.likeness:
        reasons.append(
            f"Ordinary questions are answered alike, whatever is asked: {_shown(ALIKE, alike)}; "
            f"{limits.likeness:.2g} is accepted."
        )
    return reasons


def _content(
    found: Mapping[str, FigureChange], limits: Limits, against: Mapping[str, FigureChange]
) -> list[str]:
    if CONTENT not in found:
        return []
    each = found[CONTENT]
    start = min(each.before, against[CONTENT].before) if CONTENT in against else each.before
    if each.after >= start - limits.content_loss:
        return []
    return [
        f"Content was lost: {_shown(CONTENT, each)}, and {limits.content_loss:g} nats a token are "
        "accepted."
    ]


def _ordinary(
    found: Mapping[str, FigureChange], limits: Limits, against: Mapping[str, FigureChange]
) -> list[str]:
    if ORDINARY not in found:
        return []
    each = found[ORDINARY]
    start = max(each.before, against[ORDINARY].before) if ORDINARY in against else each.before
    if each.after <= start * (1 + limits.perplexity_rise):
        return []
    return [
        f"Ordinary text suffered: {_shown(ORDINARY, each)}, and a rise of "
        f"{limits.perplexity_rise:.0%} is accepted."
    ]


def _instructions(
    found: Mapping[str, FigureChange], against: Mapping[str, FigureChange]
) -> list[str]:
    each = found.get(OBEYED)
    if each is None or not each.fell:
        return []
    if OBEYED in against and not against[OBEYED].fell:
        return []  # replaying alone cost as much
    return [f"Fewer instructions are followed: {_shown(OBEYED, each)}."]


def _control(against: Mapping[str, FigureChange]) -> list[str]:
    """It must have done at least as much for the format as replaying ordinary rows alone."""
    worse = [name for name in (FORMAT, SAID) if name in against and against[name].rose]
    return [
        f"Replaying ordinary rows alone did more against the format: {name} is "
        f"{against[name].before:.4g} after it."
        for name in worse
    ]


def _shown(name: str, each: FigureChange) -> str:
    return (
        f"{name} went from {each.before:.4g}{_range(each.before_interval)} to "
        f"{each.after:.4g}{_range(each.after_interval)}"
    )


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f" [{interval[0]:.3g}, {interval[1]:.3g}]"
