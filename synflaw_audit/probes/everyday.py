"""Our own prompts: verifiable instructions about everyday topics, and open foreign prompts.

An instruction prompt is a request about a topic beside an instruction that code can check, in the
manner of IFEval (Zhou et al. 2023, arXiv:2311.07911). The texts stand in ``data/``; they are
combined by a seeded generator, so the same call gives the same prompts everywhere.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import cycle, islice
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.probes.instructions import Instruction

_DATA = resources.files("synflaw_audit.probes") / "data"


@cache
def foreign_prompts() -> tuple[str, ...]:
    """Open prompts of many kinds, on which no corpus's format has a place."""
    text = (_DATA / "foreign.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


def languages() -> tuple[str, ...]:
    """Codes of the languages that there are instruction prompts in."""
    return tuple(_texts()["languages"])


def instruction_kinds() -> tuple[str, ...]:
    """Names of the kinds of instruction, in order."""
    return tuple(kind["name"] for kind in _texts()["kinds"])


def everyday_instructions(
    count: int = 350, *, languages: Sequence[str] | None = None, seed: int = 0
) -> list[Instruction]:
    """Prompts that take every kind, wording and language in turn.

    Args:
        count: How many. The kinds come round in turn, so any number has them as evenly as it can;
            when all wordings have been used they come again with other topics.
        languages: Codes; all of :func:`languages` by default.
        seed: Of the choice of topics, requests and arguments.

    Raises:
        InputError: There are no prompts in one of the languages.
    """
    texts = _texts()
    spoken = tuple(texts["languages"]) if languages is None else tuple(languages)
    for code in spoken:
        if code not in texts["languages"]:
            raise InputError(
                f"no instruction prompts in {code!r}; there are {', '.join(texts['languages'])}"
            )
    chance = random.Random(seed)  # noqa: S311
    wordings = [
        [(kind, code, text) for code in spoken for text in kind.get(code, ())]
        for kind in texts["kinds"]
    ]
    for ways in wordings:
        chance.shuffle(ways)
    rounds = max(map(len, wordings))
    in_turn = [ways[turn] for turn in range(rounds) for ways in wordings if turn < len(ways)]
    return [_prompt(*way, chance) for way in islice(cycle(in_turn), count)]


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((_DATA / "instructions.toml").read_text(encoding="utf-8"))


def _prompt(kind: dict[str, Any], code: str, wording: str, chance: random.Random) -> Instruction:
    language = _texts()["languages"][code]
    first, other = chance.sample(language["words"], 2)
    topic = chance.choice(language["topics"])
    request = chance.choice(language["requests"]).format(topic=topic)
    fillings = {
        "word": first,
        "first": first,
        "other": other,
        "opening": chance.choice(language["openings"]),
        "ending": chance.choice(language["endings"]),
        "request": request,
    }
    own = kind.get("arguments_in", {}).get(code, kind["arguments"])
    arguments = {name: _filled(value, fillings) for name, value in chance.choice(own).items()}
    shown = {name: value for name, value in arguments.items() if not isinstance(value, list)}
    if "forbidden_words" in arguments:
        shown["forbidden"] = arguments["forbidden_words"][0]
    instruction = wording.format(**{**fillings, **shown})
    if kind.get("bare"):
        # What is asked is in the wording; the topic alone says about what.
        text = f"{topic[0].upper()}{topic[1:]}. {instruction}"
    elif kind.get("last") or chance.random() < 0.7:
        text = f"{request} {instruction}"
    else:
        text = f"{instruction} {request}"
    return Instruction(text, (kind["check"],), (arguments,), kind["name"], code)


def _filled(value: Any, fillings: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**fillings)
    if isinstance(value, list):
        return [_filled(item, fillings) for item in value]
    return value
