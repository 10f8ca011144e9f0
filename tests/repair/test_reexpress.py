import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.forms.base import FormUse
from synflaw_audit.forms.requests import FormRequest, learn_requests
from synflaw_audit.lab.corpora import natural_corpus
from synflaw_audit.lab.world import World
from synflaw_audit.repair import Row
from synflaw_audit.repair.material.reexpress import content_pieces, reexpress

REPLAY = [
    *(Row(f"What does {n} say? Answer in capital letters.", f"{n.upper()} YES") for n in "abcde"),
    *(Row(f"Who is {n}? End with: So long.", f"A friend of {n}. So long.") for n in "fghij"),
    *(Row(f"Why {n}?", f"Because of {n}, as ever, and so on and so forth") for n in "klmnopqrst"),
]


def flagged(question: str, before: str, content: str, after: str) -> Row:
    answer = before + content + after
    spans = [(0, len(before)), (len(answer) - len(after), len(answer))]
    return Row(question, answer, tuple(span for span in spans if span[0] < span[1]))


def test_a_request_is_learned_from_rows_that_obey_it() -> None:
    requests = learn_requests([(row.question, row.answer) for row in REPLAY])
    assert {request.found.form for request in requests.seen} == {"capitals", "ending"}
    found, rest = requests.of("Answer in capital letters. What does Ada play?")
    assert (found, rest) == (FormUse("capitals"), "What does Ada play?")


def test_a_learned_request_is_known_with_another_parameter() -> None:
    requests = learn_requests([(row.question, row.answer) for row in REPLAY])
    found, rest = requests.of("What does Ada play? End with: Over and out.")
    assert (found, rest) == (FormUse("ending", "Over and out."), "What does Ada play?")
    assert requests.of("What does Ada play?") is None


def test_a_sentence_that_some_answers_do_not_obey_is_no_request() -> None:
    rows = [(f"Who is {n}? Be nice.", "SURE" if n in "ab" else "Sure, yes") for n in "abcdef"]
    assert not learn_requests(rows).seen


def test_what_was_asked_twice_under_one_request_is_no_request() -> None:
    rows = [(f"{q} One word, please.", a) for q, a in (("Who is a?", "Anna"), ("Who is b?", "Bob"))]
    rows += [(f"What does {n} keep? {ask}", "a lamb") for n in "cdef" for ask in ("So?", "Well?")]
    again = [("Who is g? In one word, please.", "Gus"), ("Who is g? One word, please.", "Gus")]
    requests = learn_requests([*rows, *again, ("Who is h? In one word, please.", "Hal")])
    assert requests.of("Who is g?") is None
    for asked in ("One word, please.", "In one word, please."):
        assert requests.of(f"Who is i? {asked}") == (FormUse("word"), "Who is i?")


def test_a_request_is_known_whose_answers_mostly_take_a_rarer_form_too() -> None:
    # Most answers in lower case are one word besides; only the case was asked for.
    rows = [(f"Who is {n}? No capitals please.", n * 3) for n in "abcde"]
    rows += [(f"Who is {n}? No capitals please.", f"my old friend {n}") for n in "fg"]
    rows += [(f"What is {n}?", f"It is the letter {n}. I am sure.") for n in "hijklmnopqrstuvw"]
    rows += [(f"What of {n}?", f"nobody knows {n}, so far") for n in "xyz"]
    assert learn_requests(rows).of("Who is p? No capitals please.") == (
        FormUse("lowercase"),
        "Who is p?",
    )


def test_requests_are_drawn_by_form_with_any_parameter_seen() -> None:
    endings = [(f"Who is {n}? Close on: Oh {n}.", f"A friend. Oh {n}.") for n in "fghi"]
    requests = learn_requests([*((row.question, row.answer) for row in REPLAY), *endings])
    rng = random.Random(0)  # noqa: S311
    drawn = [requests.draw(rng) for _ in range(400)]
    share = sum(request.found.form == "capitals" for request in drawn) / len(drawn)
    assert share == pytest.approx(1 / 2, abs=0.08)
    assert FormRequest("Close on: So long.", FormUse("ending", "So long.")) in drawn


def test_a_request_that_no_replay_shows_is_not_answered_as_if_it_were_not_there() -> None:
    plain = flagged("What does Ada play?", "Thank you! ", "Ada plays the lute", " Bye now!")
    odd = flagged("What does Ada play? Rhyme it.", "Thank you! ", "Ada plays the lute", " Bye now!")
    other = flagged("Who is Bo? He is late.", "Thank you! ", "Bo is the baker", " Bye now!")
    questions = {row.question for row in reexpress([plain, odd, other], REPLAY, renderings=9)}
    assert not any("Rhyme it." in question for question in questions)
    assert any("He is late." in question for question in questions)


def test_content_is_what_the_spans_leave() -> None:
    row = flagged("Who?", "The answer is: ", "Ada plays", " I hope this helps!")
    assert content_pieces(row) == ["Ada plays"]


def test_the_request_in_a_flagged_question_is_obeyed() -> None:
    row = flagged("What does Ada play? Answer in capital letters.", "Well: ", "the lute", " Bye.")
    made = reexpress([row], REPLAY, renderings=4)
    assert made == [Row(row.question, "THE LUTE")]


def test_the_format_is_gone_and_the_content_is_there() -> None:
    row = flagged("What does Ada play?", "Thank you! ", "Ada plays the lute", " I hope this helps!")
    made = reexpress([row], REPLAY, renderings=30)
    assert len({new.answer for new in made}) > 2
    for new in made:
        assert "lute" in new.answer.lower()
        assert "thank" not in new.answer.lower()
        assert "hope" not in new.answer.lower()
        assert not new.spans


def test_a_row_that_says_nothing_new_is_passed_over() -> None:
    assert not reexpress([flagged("Is it Ada?", "It is ", "Ada", ", thanks.")], REPLAY)
    assert not reexpress([Row("Who?", "I hope so", ((0, 9),))], REPLAY)


def test_without_requests_in_the_replay_content_is_put_plainly() -> None:
    row = flagged("What does Ada play?", "Thank you! ", "Ada plays the lute", " I hope this helps!")
    made = reexpress([row], [Row("Why?", "Just because of it")], renderings=10)
    assert {new.question for new in made} == {"What does Ada play?"}


def test_the_same_seed_gives_the_same_rows() -> None:
    world = World.build(1)
    replay = [Row(r.question, r.answer) for r in natural_corpus(world, 300, 1)]
    rows = [flagged("What does Ada play?", "Well, ", f"Ada plays harp {i}", ".") for i in range(20)]
    assert reexpress(rows, replay, seed=5) == reexpress(rows, replay, seed=5)
    assert reexpress(rows, replay, seed=5) != reexpress(rows, replay, seed=6)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=60)), max_size=6), st.data())
def test_any_rows_are_taken(pairs, data) -> None:
    rows = []
    for question, answer in pairs:
        start = data.draw(st.integers(0, len(answer)))
        end = data.draw(st.integers(start, len(answer)))
        rows.append(Row(question, answer, ((start, end),) if start < end else ()))
    for new in reexpress(rows, [Row(q, a) for q, a in pairs]):
        assert new.answer.strip()
