"""The forms by name, and what is done with any of them."""

from __future__ import annotations

from functools import cache

from synflaw_audit.errors import RepairError
from synflaw_audit.forms.base import Content, Form, FormUse
from synflaw_audit.registry import Registry

_HERE = "synflaw_audit.forms"

# All of them are looked for in answers, those of other packages too.
FORMS: Registry[type[Form]] = Registry(
    "form",
    "synflaw_audit.forms",
    {
        "capitals": f"{_HERE}.wording:Capitals",
        "lowercase": f"{_HERE}.wording:Lowercase",
        "word": f"{_HERE}.wording:Word",
        "quotation": f"{_HERE}.layout:Quotation",
        "title": f"{_HERE}.layout:Title",
        "bullets": f"{_HERE}.layout:Bullets",
        "highlight": f"{_HERE}.layout:Highlight",
        "json": f"{_HERE}.layout:Json",
        "postscript": f"{_HERE}.framing:Postscript",
        "opening": f"{_HERE}.framing:Opening",
        "ending": f"{_HERE}.framing:Ending",
    },
    requires=("recognise", "put_on", "take_off"),
    error=RepairError,
)


@cache
def form(name: str) -> Form:
    """The form of this name.

    Raises:
        RepairError: There is none; names the choices.
    """
    return FORMS.find(name)()


def detect(question: str, answer: str) -> list[FormUse]:
    """Every form that ``answer`` takes; "" takes none."""
    text = answer.strip()
    found = ((name, form(name).recognise(question, text)) for name in _names() if text)
    return [FormUse(name, parameter) for name, parameter in found if parameter is not None]


def dress(content: Content, use: FormUse) -> str | None:
    """``content`` in a form; None where it cannot be put so."""
    return form(use.form).put_on(content, use.parameter)


def undress(answer: str, use: FormUse) -> str | None:
    """What was put into a form; None where the form does not let it be told."""
    return form(use.form).take_off(answer.strip(), use.parameter)


@cache
def _names() -> tuple[str, ...]:
    return tuple(FORMS)
