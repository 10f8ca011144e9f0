"""What becomes of flagged rows."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.fixing import Cap, Cut, Drop, FixPlan, Keep, Strategy
from synflaw_audit.fixing.diverse import most_different, words_of
from synflaw_audit.fixing.rows import FlaggedRow, FlaggedTurn, RowTreatment


def turn(
    answer: str,
    *spans: tuple[int, int],
    checks: tuple[str, ...] = ("answer-template",),
    template: str | None = "A1",
    number: int = 0,
) -> FlaggedTurn:
    return FlaggedTurn(number, "q", answer, checks, template, spans, 0.9, "follows a template")


def treated(strategy: Strategy, rows: list[FlaggedRow]) -> list[RowTreatment]:
    for row in rows:
        strategy.observe(row)
    return [strategy.decide(row) for row in rows]


def rows_of(*turns: FlaggedTurn) -> list[FlaggedRow]:
    return [FlaggedRow("f", number, (each,)) for number, each in enumerate(turns)]


def test_dropping_leaves_out_all() -> None:
    assert {t.action for t in treated(Drop(), rows_of(turn("a"), turn("b")))} == {"drop"}


@given(
    st.lists(st.sampled_from("ABC"), max_size=60),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_a_cap_keeps_so_many_of_each_template(templates: list[str], cap: int, seed: int) -> None:
    rows = rows_of(*(turn(f"w{n} w{n % 7}", template=t) for n, t in enumerate(templates)))
    found = treated(Cap(cap, seed), rows)
    for template in set(templates):
        kept = [f for f, t in zip(found, templates, strict=True) if t == template]
        assert sum(f.action == "keep" for f in kept) == min(cap, len(kept))
    assert found == treated(Cap(cap, seed), rows)


def test_a_cap_keeps_those_that_differ_most() -> None:
    alike = [turn(f"the cat sat on the mat number {n}") for n in range(40)]
    others = [turn("rain fell all day"), turn("nobody sings here")]
    found = treated(Cap(3), rows_of(*alike, *others))
    kept = [number for number, each in enumerate(found) if each.action == "keep"]
    assert {40, 41} < set(kept)


def test_copies_are_capped_by_what_they_say() -> None:
    same = {"checks": ("answer-duplicate",), "template": None}
    found = treated(Cap(1), rows_of(*(turn(text, **same) for text in "aabbbA")))
    assert [each.action for each in found] == ["keep", "drop", "keep", "drop", "drop", "drop"]


def test_the_rows_that_cannot_be_cut_are_capped() -> None:
    cuttable = turn("Sure! Rain.", (0, 6))
    stuck = turn("The cat sat on mats.", (0, 14))
    found = treated(Cut(Cap(1)), rows_of(cuttable, stuck, stuck))
    assert [each.action for each in found] in (["cut", "keep", "drop"], ["cut", "drop", "keep"])
    assert found[0].answers == {0: "Rain."}


def test_a_row_is_cut_in_all_of_its_turns_or_in_none() -> None:
    one, other = turn("Sure! Rain.", (0, 6)), turn("The cat sat on mats.", (0, 14), number=1)
    rows = [FlaggedRow("f", 0, (one, other))]
    assert treated(Cut(Cap(0)), rows)[0].action == "drop"


def test_a_plan_does_what_the_first_check_says() -> None:
    plan = FixPlan({"answer-duplicate": Drop(), "answer-template": Cut(Cap(0)), "other": Keep()})
    rows = rows_of(
        turn("Sure! Rain.", (0, 6), checks=("answer-template", "answer-duplicate")),
        turn("Sure! Rain.", (0, 6), checks=("answer-template", "other")),
        turn("Sure! Rain.", (0, 6), checks=("other",)),
        turn("Sure! Rain.", (0, 6), checks=("unplanned",)),
    )
    assert [each.action for each in treated(plan, rows)] == ["drop", "cut", "keep", "keep"]


@given(
    st.dictionaries(st.integers(), st.text(st.sampled_from("abcdef "), max_size=30)),
    st.integers(1, 5),
)
def test_farthest_first_is_within_twice_the_best(texts: dict[int, str], count: int) -> None:
    rows = {name: words_of(text) for name, text in texts.items()}
    chosen = most_different(rows, count, Random(0))  # noqa: S311
    assert len(chosen) == min(count, len(rows))
    assert chosen == most_different(rows, count, Random(0))  # noqa: S311
