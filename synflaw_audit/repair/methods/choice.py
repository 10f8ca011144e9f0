"""The method where none is named, and ``--method auto``.

Where nothing is said the format is forgotten and, with the model from before the damage at hand,
the weights are averaged with its own afterwards, as far as the content allows: over five corpora
and two seeds a real model followed more instructions by either share that was measured than when a
KL held it to that model (``benchmarks/results/real_model_repair.md``).
``auto`` takes what did most in the table, of all that what is at hand allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.methods.base import Requirement
from synflaw_audit.repair.methods.registry import METHODS, USUAL, unmet
from synflaw_audit.repair.methods.table import DAMAGED, Figures, MeasuredMethod, Table, measured

AUTO = "auto"
_WITH_EARLIER_MODEL = f"{USUAL}+wise-ft"
# Fewer tokens teach nothing: some steps of the smallest batch.
_FEWEST_TOKENS = 1_000


class Choice(NamedTuple):
    """What was chosen.

    Attributes:
        config: The settings, with the method and what belongs to it.
        because: Why, sentences.
    """

    config: RepairConfig
    because: tuple[str, ...]


def chosen(
    config: RepairConfig,
    *,
    earlier_model: bool,
    base: bool,
    table: Table | None = None,
) -> Choice:
    """The settings with a method where they name none or ask for ``auto``; else as they are.

    Of the measured ways to repair, those fall out whose needs are not met, those that train where
    the budget is next to nothing, those that left the format, and those that harmed: what was
    measured is put to the bounds of the settings (``max_emission``, ``max_perplexity_rise``,
    ``max_content_loss``). Of the rest the one that gained most, in shares of ordinary answers kept
    free of the format and of requests obeyed again, is found. Of all that gained no less by more
    than a standard error (Breiman et al. 1984, the rule of one standard error) what is done where
    nothing is said is taken, else the plainest: the fewest settings, and of these the quickest.

    Args:
        config: The settings.
        earlier_model: Whether the model from before the damage is at hand.
        base: Whether it is known what the model was fine-tuned from.
        table: What was measured; None: what the package ships.
    """
    if config.method is None:
        return _usual(config, earlier_model=earlier_model, base=base)
    if config.method != AUTO:
        return Choice(config, ())
    table = measured() if table is None else table
    damaged = table.arm(DAMAGED)
    before = Figures() if damaged is None else damaged.figures
    passed: dict[str, str] = {}
    able: list[MeasuredMethod] = []
    for arm in _candidates(table):
        reason = _against(arm, before, config, earlier_model=earlier_model, base=base)
        if reason is None:
            able.append(arm)
        else:
            passed[arm.name] = reason
    if not able:
        said = "no way to repair that was measured can be taken here: the usual one is"
        return Choice(replace(config, method=USUAL), (f"method auto: {USUAL}; {said}",))
    best = max(able, key=lambda arm: _gain(arm.figures, before))
    enough = _gain(best.figures, before) - _standard_error(best, table)
    equals = [arm for arm in able if _gain(arm.figures, before) >= enough]
    usual = {"method": _usual(config, earlier_model=earlier_model, base=base).config.method}
    taken = min(
        equals,
        key=lambda arm: (arm.settings != usual, len(arm.settings), arm.figures.minutes or 0.0),
    )
    settings = {"method": taken.method, **taken.settings}
    why = (
        f"method auto: {taken.name}, {_standing(taken, equals)} of {len(able)} that can be taken "
        f"here, on {table.model} damaged by {len(table.corpora)} corpora: "
        f"{_gain(taken.figures, before):+.2f} in shares of ordinary answers without the format and "
        f"of requests obeyed; the format was left in {taken.figures.emission or 0.0:.0%} of "
        "ordinary answers"
    )
    others = tuple(f"not {name}: {reason}" for name, reason in passed.items())
    return Choice(replace(config, **settings), (why, *others))


def _standing(taken: MeasuredMethod, equals: list[MeasuredMethod]) -> str:
    if len(equals) == 1:
        return "which did most"
    return f"of {len(equals)} that cannot be told apart the usual or plainest, which did most"


def _usual(config: RepairConfig, *, earlier_model: bool, base: bool) -> Choice:
    """Forgetting and, where it can be, an average with the model from before the damage."""
    if config.wise_ft_alpha is not None:  # asked for so, and told what it lacks
        return Choice(replace(config, method=_WITH_EARLIER_MODEL), ())
    if not earlier_model:
        return Choice(replace(config, method=USUAL), ())
    lacks = unmet(METHODS["wise-ft"], config, earlier_model=earlier_model, base=base)
    if lacks:
        why = f"the model from before the damage is not averaged with: that needs {lacks[0].value}"
        return Choice(replace(config, method=USUAL), (why,))
    return Choice(replace(config, method=_WITH_EARLIER_MODEL), ())


def _candidates(table: Table) -> Iterator[MeasuredMethod]:
    for arm in table.arms:
        if arm.runs and "method" in arm.settings and arm.figures.emission is not None:
            yield arm


def _against(
    arm: MeasuredMethod, before: Figures, config: RepairConfig, *, earlier_model: bool, base: bool
) -> str | None:
    """Why an arm cannot be taken, or None."""
    asked = replace(config, method=arm.method)
    names = arm.method.split("+")
    if lacks := [
        need
        for name in names
        for need in unmet(METHODS[name], asked, earlier_model=earlier_model, base=base)
    ]:
        return f"it needs {lacks[0].value}"
    trains = any(METHODS[name].trains for name in names)
    if trains and config.tokens is not None and config.tokens < _FEWEST_TOKENS:
        return f"{config.tokens} tokens are too few to train on"
    if Requirement.ALL_WEIGHTS in METHODS[names[0]].requires and config.load_in:
        return "it changes all weights"
    found = arm.figures
    if found.emission is not None and found.emission > config.max_emission:
        return f"it left the format in {found.emission:.0%} of ordinary answers"
    if found.perplexity and before.perplexity:
        rise = found.perplexity / before.perplexity - 1
        if rise > config.max_perplexity_rise:
            return f"it raised the perplexity of ordinary rows by {rise:.0%}"
    if found.content is not None and before.content is not None:
        fall = before.content - found.content
        if fall > config.max_content_loss:
            return f"it took {fall:.2f} nats a token of the content"
    return None


def _standard_error(arm: MeasuredMethod, table: Table) -> float:
    """Of its gain, from the answers that its shares are counted in."""
    shares = (
        (arm.figures.emission or 0.0, table.prompts),
        (arm.figures.instructions or 0.0, table.requests),
    )
    return math.sqrt(sum(share * (1 - share) / max(1, asked * arm.runs) for share, asked in shares))


def _gain(found: Figures, before: Figures) -> float:
    """Shares of answers freed of the format, and of requests obeyed again."""
    freed = (before.emission or 0.0) - (found.emission or 0.0)
    return freed + (found.instructions or 0.0) - (before.instructions or 0.0)
