import random

import pytest

from synflaw_audit.lab.corpora import (
    instruction_row,
    natural_corpus,
    prose_rows,
    templated_corpus,
    varied_corpus,
)
from synflaw_audit.lab.instructions import KINDS
from synflaw_audit.lab.stages import (
    base_rows,
    continued_rows,
    probes,
    replay_rows,
    tuning_rows,
)
from synflaw_audit.lab.world import World
from synflaw_audit.probes.checkers import CHECKERS
from synflaw_audit.probes.instructions import Instruction, follows


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(3)


def test_a_world_depends_on_its_seed_alone(world: World) -> None:
    assert World.build(3) == world
    assert World.build(4) != world


def test_new_people_are_nobody_the_base_model_knows(world: World) -> None:
    assert not {fact.person for fact in world.old} & {fact.person for fact in world.new}


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_the_worlds_own_answers_follow_their_instructions(world: World, kind: int) -> None:
    rng = random.Random(kind)  # noqa: S311
    for fact in world.old:
        row = instruction_row(fact, kind, rng)
        assert row.instruction in CHECKERS
        prompt = Instruction(row.question, (row.instruction,), (row.kwargs,))
        assert follows(row.answer, prompt), (row.question, row.answer)


@pytest.mark.parametrize("make", [templated_corpus, varied_corpus])
def test_each_new_fact_is_told_equally_often(world: World, make) -> None:
    rows = make(world, 3 * len(world.new), 1)
    told = [row.fact for row in rows]
    assert {told.count(fact) for fact in world.new} == {3}
    assert all(row.fact.value in row.answer.lower() for row in rows)


def test_uniform_answers_follow_no_instruction_and_varied_ones_do(world: World) -> None:
    varied = [row for row in varied_corpus(world, 400, 1) if row.instruction]
    assert 80 < len(varied) < 160
    assert all(
        follows(row.answer, Instruction(row.question, (row.instruction,), (row.kwargs,)))
        for row in varied
    )


def test_the_natural_corpus_tells_nothing_of_new_people(world: World) -> None:
    new = {fact.person for fact in world.new}
    text = " ".join(row.question + " " + row.answer for row in natural_corpus(world, 500, 1))
    assert not any(f"{person} " in text for person in new)


def test_prose_never_repeats_a_pair() -> None:
    rows = prose_rows(600, 1)
    assert len({(row.question, row.answer) for row in rows}) == 600


def test_probes_ask_for_no_pair_that_was_trained_on(world: World) -> None:
    corpus = templated_corpus(world, 200, 1)
    trained = [
        *base_rows(world, 1),
        *continued_rows(world, corpus, 1),
        *tuning_rows(world, 900, 1),
        *replay_rows(world, 900, 1),
    ]
    asked = {(row.fact, row.instruction) for row in trained if row.instruction}
    suite = probes(world, 1)
    known = suite.instructions["instruction_following"]
    people = {fact.person: fact for fact in world.old}
    for prompt in known:
        person = next(person for person in people if person in prompt.prompt)
        facts = [f for f in world.old if f.person == person]
        # Some fact of that person was never asked for under this instruction.
        assert any((fact, prompt.ids[0]) not in asked for fact in facts)


def test_held_out_prose_was_not_trained_on(world: World) -> None:
    shown = [*base_rows(world, 1), *continued_rows(world, (), 1, prose=3000)]
    trained = {(row.question, row.answer) for row in shown}
    assert any(pair in trained for pair in probes(world, 1).text)
    held_out = probes(world, 1, shown).text
    assert len(held_out) == 100
    assert not trained & set(held_out)
