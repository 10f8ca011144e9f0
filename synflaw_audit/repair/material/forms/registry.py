"""The forms by name, and what is done with any of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synflaw_audit.repair.material.forms.base import Content, Form, FormUse
from synflaw_audit.repair.material.forms.framing import Ending, Opening, Postscript
from synflaw_audit.repair.material.forms.layout import Bullets, Highlight, Json, Quotation, Title
from synflaw_audit.repair.material.forms.wording import Capitals, Lowercase, Word

_OURS: tuple[Form, ...] = (
    Capitals(),
    Lowercase(),
    Word(),
    Quotation(),
    Title(),
    Bullets(),
    Highlight(),
    Json(),
    Postscript(),
    Opening(),
    Ending(),
)
FORMS: Mapping[str, Form] = MappingProxyType({form.name: form for form in _OURS})


def detect(question: str, answer: str) -> list[FormUse]:
    """Every form that ``answer`` takes; "" takes none."""
    text = answer.strip()
    found = ((name, form.recognise(question, text)) for name, form in FORMS.items() if text)
    return [FormUse(name, parameter) for name, parameter in found if parameter is not None]


def dress(content: Content, use: FormUse) -> str | None:
    """``content`` in a form; None where it cannot be put so."""
    return FORMS[use.form].put_on(content, use.parameter)


def undress(answer: str, use: FormUse) -> str | None:
    """What was put into a form; None where the form does not let it be told."""
    return FORMS[use.form].take_off(answer.strip(), use.parameter)
