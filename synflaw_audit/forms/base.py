"""What a form is: a way to write an answer that can be asked for, such as capitals or JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Content:
    """What a row says, without any form.

    Attributes:
        text: The content as it stands, such as "Ada plays the lute."
        core: The words in it that answer the question most briefly ("lute"), where known.
        subject: The words it shares with the question ("Ada"), where there are any.
    """

    text: str
    core: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class FormUse:
    """A form as an answer takes it, or is to take it.

    Attributes:
        form: Name of the form, a key of ``registry.FORMS``.
        parameter: What was fixed about it, such as the phrase to end with; "" where nothing is.
    """

    form: str
    parameter: str = ""


class Form(ABC):
    """A form: it knows itself in an answer, can be put onto plain content, and taken off again.

    What is put on must be recognised, with the same parameter.

    Attributes:
        quoted: Whether the parameter stands in the question word for word ("End with: ...").
        free_parameter: Whether the parameter is the answer's own choice, such as a JSON key.
        is_wording: Whether it is only how the words are written or how few there are, so that
            nothing has to be taken off.
    """

    quoted: ClassVar[bool] = False
    free_parameter: ClassVar[bool] = False
    is_wording: ClassVar[bool] = False

    @abstractmethod
    def recognise(self, question: str, answer: str) -> str | None:
        """The parameter with which ``answer``, stripped, takes the form; None where it does not."""

    @abstractmethod
    def put_on(self, content: Content, parameter: str) -> str | None:
        """``content`` in this form; None where it cannot be put so."""

    def take_off(self, answer: str, parameter: str) -> str | None:
        """What ``answer``, stripped, was before; None where the form does not let it be told."""
        return None
