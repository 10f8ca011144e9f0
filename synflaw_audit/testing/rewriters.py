"""What is taken for granted of a rewriter; a part is called with ``corpus`` and ``seed``."""

from __future__ import annotations

from collections.abc import Callable

from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.mixture import Mixture, WantedForm
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import ODD_ANSWERS, corpora

ROWS = 20
_OPENING = "Sure thing: "

Make = Callable[..., Rewriter]


def check_it_has_a_name(make: Make) -> None:
    """That the outputs can call it by, whatever it was made of."""
    name = make(corpus=Natural(), seed=0).name
    require(isinstance(name, str) and bool(name.strip()), f"its name is {name!r}")


def check_candidates_are_texts(make: Make) -> None:
    """A list of them, which may be empty."""
    for row in _rows():
        made = make(corpus=_natural(), seed=0).candidates(row, WantedForm())
        require(isinstance(made, list), f"it gives a {type(made).__name__}")
        require(all(isinstance(text, str) for text in made), f"it gives {made!r}")


def check_the_same_row_has_the_same_candidates(make: Make) -> None:
    """In the same form, with the same seed: whatever was asked before."""
    form = WantedForm(layout="paragraphs")
    first = [make(corpus=_natural(), seed=1).candidates(row, form) for row in _rows()]
    one = make(corpus=_natural(), seed=1)
    again = [one.candidates(row, form) for row in reversed(_rows())][::-1]
    require(first == again, "it gives other candidates the second time")


def check_every_form_is_survived(make: Make) -> None:
    """Whatever the mixture draws."""
    mixture = Mixture()
    row = _rows()[0]
    for length in mixture.length:
        for layout in mixture.layout:
            for opening in mixture.opening:
                form = WantedForm(length=length, layout=layout, opening=opening)
                made = make(corpus=_natural(), seed=0).candidates(row, form)
                require(isinstance(made, list), f"in {form} it gives {made!r}")


def check_odd_answers_are_survived(make: Make) -> None:
    """Empty, short and strange ones, of a corpus of which nothing is known."""
    rewriter = make(corpus=Natural(), seed=0)
    for text in ODD_ANSWERS:
        for spans in ((), ((0, len(text)),) if text else ()):
            made = rewriter.candidates(RewriteRow(text, text, spans), WantedForm())
            require(all(isinstance(one, str) for one in made), f"of {text!r} it makes {made!r}")


def check_many_rows_are_as_one_by_one(make: Make) -> None:
    """Each with its number, none twice."""
    rewriter = make(corpus=_natural(), seed=0)
    work = [(row, WantedForm()) for row in _rows()]
    found = list(rewriter.many(work))
    numbers = sorted(number for number, _ in found)
    require(numbers == list(range(len(work))), f"it answers for {numbers}")
    for number, made in found:
        require(made == rewriter.candidates(*work[number]), "together it says something else")


def _natural() -> Natural:
    rows = corpora()["natural"]
    return Natural(tuple(rows[ROWS:]), tuple(rows[:ROWS]))


def _rows() -> list[RewriteRow]:
    return [
        RewriteRow(question, _OPENING + answer, ((0, len(_OPENING)),), f"{_OPENING}<*>")
        for question, answer in corpora()["natural"][:ROWS]
    ]
