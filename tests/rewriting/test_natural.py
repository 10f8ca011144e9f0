"""What a corpus says where nothing is flagged, and what it is about."""

from __future__ import annotations

from synflaw_audit.rewriting.natural import Natural

INSTRUCTION = "If you are a doctor, please answer the medical question."


def test_the_domain_is_what_many_rows_speak_of_and_no_part_of_their_format() -> None:
    pains = ("knee", "throat", "shoulder", "stomach")
    rows = [
        (f"{INSTRUCTION} My {pain} hurts, what about it?", f"Rest the {pain} and drink water.")
        for pain in pains * 5
    ]
    domain = Natural(rows[:10], rows[10:]).domain
    assert set(pains) <= set(domain)
    assert not {"doctor", "question", "the", "rest", "water"} & set(domain)
    assert Natural().domain == ()


def test_a_corpus_without_a_subject_has_no_domain() -> None:
    rows = [(f"Why {chr(97 + n) * 5}?", f"It {chr(97 + n) * 4}s.") for n in range(20)]
    assert Natural(rows).domain == ()


def test_phrases_are_counted_as_whole_words_in_any_case() -> None:
    natural = Natural([("q", "Besides, it rains. besides the point."), ("q", "Besidesome.")])
    assert natural.count("besides") == 2
    assert natural.count("Besides") == 2
    assert natural.count("moreover") == 0


def test_openings_and_closings_are_those_of_several_rows() -> None:
    rows = [("q", f"Well, {n} it is. Hope it serves you well!") for n in range(4)]
    rows += [("q", "Odd, it is. Nobody says so again here!"), ("q", "No comma here.")]
    natural = Natural(rows)
    assert natural.openings == {"Well,": 4}
    assert natural.closings == {"Hope it serves you well!": 4}
