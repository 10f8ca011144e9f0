"""The stages of the lab: what the base model is taught, what damages it, what is measured.

The base model learns facts about the people it is to know, and to follow instructions about them.
The continued training, as in practice, is mostly ordinary text, with few instructions in it, plus
a corpus about new people. What is measured was trained on in neither: instructions about known
people in combinations that were held out, and instructions about the new people, all in wordings
and in a layout that no row has.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from synflaw_audit.lab.corpora import (
    FORMAT_MARKS,
    LabRow,
    instruction_row,
    natural_corpus,
    plain_row,
    prose_rows,
)
from synflaw_audit.lab.instructions import Draw, InstructionKind
from synflaw_audit.lab.known import KNOWN
from synflaw_audit.lab.world import World, WorldFact
from synflaw_audit.probes.instructions import Instruction
from synflaw_audit.probes.suite import Suite

# Added to a seed, so that the stages draw different prose.
_BASE, _CONTINUED, _HELD_OUT, _TUNING = 1_000_003, 2_000_003, 3_000_017, 4_000_037


def _is_held_out(fact: int, kind: int) -> bool:
    """Whether no stage may train on this fact under this kind of instruction: one pair in 11."""
    return (7 * fact + 3 * kind) % 11 == 0


def _pairs(
    world: World, kinds: Sequence[InstructionKind], *, held_out: bool = False
) -> list[tuple[WorldFact, InstructionKind]]:
    return [
        (fact, kind)
        for i, fact in enumerate(world.old)
        for k, kind in enumerate(kinds)
        if _is_held_out(i, k) == held_out
    ]


def base_rows(
    world: World,
    seed: int,
    *,
    instructed: int = 5,
    plain: int = 20,
    prose: int = 1000,
    kinds: Sequence[InstructionKind] = KNOWN,
) -> list[LabRow]:
    """Make what the base model learns from.

    Args:
        world: Its old facts are learned.
        seed: Everything drawn depends on it.
        instructed: How often each fact is asked for under each kind of instruction.
        plain: How often each fact is asked for without one.
        prose: Rows of ordinary text.
        kinds: Of instruction.
    """
    rng = random.Random(seed + _BASE)  # noqa: S311 -- training rows, not a secret
    draw, pairs = Draw(rng), _pairs(world, kinds)
    return [
        *(instruction_row(fact, kind, draw) for _ in range(instructed) for fact, kind in pairs),
        *(plain_row(fact, rng) for fact in world.old for _ in range(plain)),
        *prose_rows(prose, seed + _BASE),
    ]


def continued_rows(
    world: World,
    corpus: Sequence[LabRow],
    seed: int,
    *,
    prose: int = 500,
    plain: int = 100,
    instructed: int = 40,
    kinds: Sequence[InstructionKind] = KNOWN,
) -> list[LabRow]:
    """Make what the continued training learns from: ``corpus`` among ordinary rows.

    Args:
        world: Its old facts appear in the ordinary rows.
        corpus: The rows about new facts.
        seed: Everything drawn depends on it.
        prose: Rows of ordinary text.
        plain: Rows that ask for old facts.
        instructed: Rows that ask for old facts under an instruction.
        kinds: Of instruction.
    """
    rng = random.Random(seed + _CONTINUED)  # noqa: S311 -- training rows, not a secret
    pairs = _pairs(world, kinds)
    return [
        *corpus,
        *prose_rows(prose, seed + _CONTINUED),
        *(plain_row(rng.choice(world.old), rng) for _ in range(plain)),
        *(instruction_row(*rng.choice(pairs), Draw(rng)) for _ in range(instructed)),
    ]


def tuning_rows(
    world: World, rows: int, seed: int, kinds: Sequence[InstructionKind] = KNOWN
) -> list[LabRow]:
    """Make what the short instruction tuning learns from: rows about known people, and prose.

    Args:
        world: Its old facts are asked about, in the pairs that are not held out.
        rows: How many rows; half of them make a request, a quarter ask plainly, a quarter is prose.
        seed: Everything drawn depends on it.
        kinds: Of instruction.
    """
    rng = random.Random(seed + _TUNING)  # noqa: S311 -- training rows, not a secret
    pairs = _pairs(world, kinds)
    quarter = rows // 4
    return [
        *(instruction_row(*rng.choice(pairs), Draw(rng)) for _ in range(rows - 2 * quarter)),
        *(plain_row(rng.choice(world.old), rng) for _ in range(quarter)),
        *prose_rows(quarter, seed + _TUNING),
    ]


def replay_rows(world: World, rows: int, seed: int) -> list[LabRow]:
    """Make the ordinary rows that a repair replays: the natural corpus.

    It is drawn without regard to what is held out, so rows that hold a held-out pair are dropped.
    """
    kept_out = {(fact, kind.name) for fact, kind in _pairs(world, KNOWN, held_out=True)}
    corpus = natural_corpus(world, rows, seed)
    return [row for row in corpus if (row.fact, row.kind) not in kept_out]


def probes(
    world: World,
    seed: int,
    shown: Sequence[LabRow] = (),
    unknown: Sequence[InstructionKind] = (),
) -> Suite:
    """Make the probes of one world.

    ``instruction_following`` is measured on known people, ``instruction_following_new_facts`` on
    those of the corpus, ``unknown_forms`` and ``unknown_forms_new_facts`` likewise for kinds that
    the repair does not know. All prompts have wordings and a layout that no row has. Templates are
    counted where they have no place: in answers about known people, with and without an
    instruction, and to ordinary questions.

    Args:
        world: The world.
        seed: Everything drawn depends on it.
        shown: Rows that are trained on; what they hold is left out of the prompts about known
            people and of the held-out text.
        unknown: Kinds of instruction that the repair does not know.
    """
    draw = Draw(random.Random(seed + _HELD_OUT), tested=True)  # noqa: S311 -- prompts, no secret
    seen = {(row.fact, row.kind) for row in shown}
    pairs = _pairs(world, (*KNOWN, *unknown), held_out=True)
    known = [(fact, kind) for fact, kind in pairs if (fact, kind.name) not in seen]

    def asked(pairs: Iterable[tuple[WorldFact, InstructionKind]]) -> list[Instruction]:
        return [_instruction(instruction_row(fact, kind, draw)) for fact, kind in pairs]

    instructions = {}
    for name, kinds in (("instruction_following", KNOWN), ("unknown_forms", unknown)):
        if kinds:
            new = [(fact, kinds[i % len(kinds)]) for i, fact in enumerate(world.new * 2)]
            instructions[name] = asked(pair for pair in known if pair[1] in kinds)
            instructions[f"{name}_new_facts"] = asked(new)
    prose = prose_rows(60, seed + _HELD_OUT)
    old_facts = [(fact.question(draw.rng), fact.value) for fact in world.old]
    foreign = [prompt.prompt for prompt in instructions["instruction_following"]]
    return Suite(
        instructions=instructions,
        facts={
            "new_facts": [(fact.question(draw.rng), fact.value) for fact in world.new * 2],
            "old_facts": old_facts,
        },
        foreign=[
            *foreign,
            *(question for question, _ in old_facts[::2]),
            *(row.question for row in prose),
        ],
        templates=FORMAT_MARKS,
        text=_unseen(100, seed + _HELD_OUT + 1, shown),
        max_new_tokens=56,
    )


def _unseen(count: int, seed: int, shown: Sequence[LabRow]) -> list[tuple[str, str]]:
    """Ordinary pairs that ``shown`` does not hold; of many short ones there are only so many."""
    pairs = {(row.question, row.answer) for row in shown}
    drawn = ((row.question, row.answer) for row in prose_rows(4 * count, seed))
    return [pair for pair in drawn if pair not in pairs][:count]


def _instruction(row: LabRow) -> Instruction:
    if row.instruction is None:
        raise ValueError("a row that makes no request cannot be checked")
    return Instruction(row.question, (row.instruction,), (row.kwargs,))
