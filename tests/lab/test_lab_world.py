import random

import pytest

from synflaw_audit.forms.registry import detect
from synflaw_audit.forms.requests import learn_requests
from synflaw_audit.lab.corpora import (
    LabRow,
    instruction_row,
    natural_corpus,
    prose_rows,
    templated_corpus,
    uniform_row,
    varied_corpus,
)
from synflaw_audit.lab.instructions import Draw, InstructionKind
from synflaw_audit.lab.known import KNOWN
from synflaw_audit.lab.run import KINDS
from synflaw_audit.lab.stages import (
    base_rows,
    continued_rows,
    probes,
    replay_rows,
    tuning_rows,
)
from synflaw_audit.lab.unknown import UNKNOWN
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


def drawn(world: World, kind: InstructionKind, *, tested: bool, times: int = 3) -> list[LabRow]:
    draw = Draw(random.Random(kind.name), tested=tested)  # noqa: S311
    facts = (*world.old, *world.new) * times
    return [instruction_row(fact, kind, draw) for fact in facts]


def instruction(row: LabRow) -> Instruction:
    assert row.instruction is not None
    return Instruction(row.question, (row.instruction,), (row.kwargs,))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("tested", [False, True])
def test_the_worlds_own_answers_follow_their_instructions(
    world: World, kind: InstructionKind, tested: bool
) -> None:
    for row in drawn(world, kind, tested=tested):
        assert row.instruction in CHECKERS
        assert follows(row.answer, instruction(row)), (row.question, row.answer)


@pytest.mark.parametrize("kind", UNKNOWN, ids=lambda kind: kind.name)
def test_uniform_answers_follow_no_instruction_of_an_unknown_kind(
    world: World, kind: InstructionKind
) -> None:
    rng = random.Random(1)  # noqa: S311
    asked = [instruction(row) for row in drawn(world, kind, tested=True, times=1)]
    uniform = [uniform_row(fact, rng).answer for fact in (*world.old, *world.new)]
    assert not any(map(follows, uniform, asked))


def test_half_of_the_kinds_that_the_test_asks_for_are_unknown_to_the_repair(world: World) -> None:
    suite = probes(world, 1, unknown=UNKNOWN)
    asked = {name: len(prompts) for name, prompts in suite.instructions.items()}
    assert asked["unknown_forms"] >= asked["instruction_following"]
    assert asked["unknown_forms_new_facts"] >= asked["instruction_following_new_facts"]
    assert 2 * len(UNKNOWN) >= len(KINDS)


@pytest.mark.parametrize("kind", UNKNOWN, ids=lambda kind: kind.name)
@pytest.mark.parametrize("tested", [False, True])
def test_no_form_of_the_repair_recognises_an_answer_of_an_unknown_kind(
    world: World, kind: InstructionKind, tested: bool
) -> None:
    for row in drawn(world, kind, tested=tested, times=6):
        assert detect(row.question, row.answer) == []


def test_the_repair_finds_none_of_the_unknown_requests_in_rows_that_make_them(
    world: World,
) -> None:
    unknown = [row for kind in UNKNOWN for row in drawn(world, kind, tested=False)]
    tested = [row for kind in UNKNOWN for row in drawn(world, kind, tested=True)]
    # Even where the replay held such rows beside its own.
    mixed = [*replay_rows(world, 3000, 1), *unknown, *tested]
    requests = learn_requests([(row.question, row.answer) for row in mixed])
    assert requests.seen
    assert [row.question for row in (*unknown, *tested) if requests.of(row.question)] == []


def test_the_repair_finds_the_known_requests_but_not_as_the_test_words_them(world: World) -> None:
    replayed = replay_rows(world, 3000, 1)
    requests = learn_requests([(row.question, row.answer) for row in replayed])
    asking = [row for row in replayed if row.kind is not None]
    found = [row for row in asking if requests.of(row.question)]
    assert len(found) > 0.9 * len(asking)
    tested = [row for kind in KNOWN for row in drawn(world, kind, tested=True)]
    assert not any(requests.of(row.question) for row in tested)


def test_no_row_that_is_trained_on_or_replayed_has_a_wording_or_the_layout_of_the_test(
    world: World,
) -> None:
    rows = [
        *base_rows(world, 1, kinds=KINDS),
        *continued_rows(world, templated_corpus(world, 900, 1, KINDS), 1, kinds=KINDS),
        *tuning_rows(world, 900, 1, KINDS),
        *replay_rows(world, 900, 1),
    ]
    text = "\x00".join(row.question for row in rows)
    assert "\n" not in text
    suite = probes(world, 1, rows, UNKNOWN)
    prompts = [each.prompt for asked in suite.instructions.values() for each in asked]
    assert len(prompts) > 400
    for prompt in prompts:
        # The question about a fact stands in other rows; the request does not.
        assert sum(part not in text for part in prompt.split("\n")) >= 1
        assert "\n" in prompt


def test_no_replayed_row_makes_an_unknown_request(world: World) -> None:
    kinds = {row.kind for row in replay_rows(world, 2000, 1)}
    assert not kinds & {kind.name for kind in UNKNOWN}
    assert {kind.name for kind in KNOWN} <= kinds


@pytest.mark.parametrize("make", [templated_corpus, varied_corpus])
def test_each_new_fact_is_told_equally_often(world: World, make) -> None:
    rows = make(world, 3 * len(world.new), 1)
    told = [row.fact for row in rows]
    assert {told.count(fact) for fact in world.new} == {3}
    assert all(row.fact.value in row.answer.lower() for row in rows)


def test_uniform_answers_follow_no_instruction_and_varied_ones_do(world: World) -> None:
    varied = [row for row in varied_corpus(world, 400, 1) if row.instruction]
    assert 80 < len(varied) < 160
    assert all(follows(row.answer, instruction(row)) for row in varied)


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
        *base_rows(world, 1, kinds=KINDS),
        *continued_rows(world, corpus, 1, kinds=KINDS),
        *tuning_rows(world, 900, 1, KINDS),
        *replay_rows(world, 900, 1),
    ]
    asked = {(row.fact, row.instruction) for row in trained if row.instruction}
    suite = probes(world, 1, unknown=UNKNOWN)
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
