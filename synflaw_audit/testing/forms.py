"""What is taken for granted of a form; a part is an ``Example`` of it."""

from __future__ import annotations

from dataclasses import dataclass

from synflaw_audit.forms.base import Content, Form
from synflaw_audit.testing.assertions import require
from synflaw_audit.testing.corpora import ODD_ANSWERS, corpora

CONTENTS = (
    Content("Ada plays the lute.", core="lute", subject="Ada"),
    Content("Zoe likes the harbour.", core="harbour", subject="Zoe"),
)
ROWS = 200
# Ordinary prose may look like a form by chance, or its reader learns a form from anything.
MOST_BY_CHANCE = 0.2


@dataclass(frozen=True)
class FormExample:
    """A form, and a parameter with which it is put on.

    Attributes:
        form: The form.
        parameter: Such as the word to begin with; "" where nothing is fixed.
    """

    form: Form
    parameter: str = ""

    @property
    def __name__(self) -> str:
        """What the tests call it."""
        return type(self.form).__name__

    @property
    def question(self) -> str:
        """One that asks for the form, with its parameter in it."""
        return f"Tell me. {self.parameter}".strip()


def check_what_is_put_on_is_recognised(example: FormExample) -> None:
    """With the same parameter, however often."""
    for content in CONTENTS:
        answer = example.form.put_on(content, example.parameter)
        require(answer is not None, f"{content.text!r} cannot be put into the form")
        found = example.form.recognise(example.question, (answer or "").strip())
        require(
            found == example.parameter,
            f"{answer!r} is recognised with {found!r} instead of {example.parameter!r}",
        )
        again = example.form.put_on(content, example.parameter)
        require(answer == again, f"put on twice it is {answer!r} and {again!r}")


def check_what_is_taken_off_is_the_content(example: FormExample) -> None:
    """What was put on comes off again, whole, or the form says that it cannot tell."""
    for content in CONTENTS:
        answer = (example.form.put_on(content, example.parameter) or "").strip()
        bare = example.form.take_off(answer, example.parameter)
        require(bare in (None, content.text), f"{answer!r} without its form is {bare!r}")


def check_content_that_is_missing_is_survived(example: FormExample) -> None:
    """A form that needs more than the text gives None where it is not known."""
    answer = example.form.put_on(Content("It rains."), example.parameter)
    require(answer is None or isinstance(answer, str), f"it gives {answer!r}")


def check_ordinary_answers_are_not_recognised(example: FormExample) -> None:
    """Of plain prose few take the form by chance; nothing takes none."""
    require(example.form.recognise(example.question, "") is None, 'it recognises ""')
    rows = corpora()["natural"][:ROWS]
    taken = sum(example.form.recognise(q, answer.strip()) is not None for q, answer in rows)
    most = MOST_BY_CHANCE * len(rows)
    require(taken <= most, f"it recognises {taken} of {len(rows)} plain answers")


def check_odd_answers_are_survived(example: FormExample) -> None:
    """Empty, short and strange texts are recognised or not, and break nothing."""
    for text in (answer.strip() for answer in ODD_ANSWERS):
        found = example.form.recognise(text, text)
        require(found is None or isinstance(found, str), f"{text!r} is recognised as {found!r}")
