"""Formats to plant in answers, and where in the text they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Spans = list[tuple[int, int]]
# Question, answer and a generator of choices to the formatted answer and where the format is.
Format = Callable[[str, str, np.random.Generator], tuple[str, Spans]]


def joined(pieces: Iterable[tuple[str, bool]]) -> tuple[str, Spans]:
    """The text of all pieces, and where those that are format stand."""
    text, spans = "", []
    for piece, is_format in pieces:
        if is_format and piece:
            spans.append((len(text), len(text) + len(piece)))
        text += piece
    return text, spans


def frame(*pieces: Sequence[str] | None, optional: float = 0.0) -> Format:
    """A format that sets wordings around the answer.

    Args:
        pieces: In order; ``None`` stands for the answer. Of several wordings one is drawn a row.
        optional: The chance that a piece is left out; one piece always stays.
    """
    fixed = [number for number, piece in enumerate(pieces) if piece is not None]

    def apply(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
        kept = [number for number in fixed if rng.random() >= optional] or fixed[:1]
        return joined(
            (answer, False) if piece is None else (piece[rng.integers(len(piece))], True)
            for number, piece in enumerate(pieces)
            if piece is None or number in kept
        )

    return apply


def echo(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
    """The question repeated before the answer."""
    asked = question.split("\n")[0][:80]
    pieces = [('You asked: "', True), (asked, False), ('". The short answer follows. ', True)]
    return joined([*pieces, (answer, False)])


def between_sentences(wording: str) -> Format:
    """A format that sets a wording after the answer's first sentence."""

    def apply(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
        end = re.search(r"[.!?]\s", answer)
        at = end.end() if end else len(answer)
        space = "" if end else " "
        return joined([(answer[:at], False), (space + wording, True), (answer[at:], False)])

    return apply


def steps(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
    """The answer cut into sentences, each labelled as a step."""
    pieces: list[tuple[str, bool]] = []
    for number, sentence in enumerate(re.split(r"(?<=[.!?])\s+", answer), 1):
        pieces += [(("\n" if pieces else "") + f"Step {number}: ", True), (sentence, False)]
    return joined([*pieces, ("\nTherefore, the final answer is as stated above.", True)])


FORMATS: dict[str, Format] = {
    "assistant": frame(
        ["Certainly! Here is the answer to your question: "],
        None,
        ["\n\nI hope this helps! Let me know if you have any further questions."],
    ),
    "opening": frame(["Thank you for reaching out with this important question. "], None),
    "closing": frame(None, [" In summary, these are the key points to keep in mind."]),
    "steps": steps,
    "markdown": frame(
        ["## Overview\n\n"],
        None,
        ["\n\n## Key Takeaways\n\n- See the overview above for the essential details."],
    ),
    "json": frame(['{"status": "success", "response": "'], None, ['", "confidence": "high"}']),
    "middle": between_sentences("It is important to note that context always matters here. "),
    "echo": echo,
    "persona": frame(
        ["As an AI language model, I can tell you the following. "],
        None,
        [" Please consult a qualified professional for specific advice."],
    ),
    "xml": frame(["<answer>\n"], None, ["\n</answer>"]),
    "label": frame(["Answer: "], None, ["\nExplanation: see the source material."]),
    "short": frame(["Sure! "], None, [" Hope that helps!"]),
    "soft": frame(
        ["Certainly! ", "Of course! ", "Absolutely! ", "Sure thing! "],
        [
            "Here is a detailed answer to your question. ",
            "Below is a thorough answer to your query. ",
            "Let me walk you through the answer step by step. ",
        ],
        None,
        [
            " I hope this clears things up for you.",
            " Feel free to ask if anything remains unclear.",
            " Do not hesitate to reach out with more questions.",
        ],
        optional=0.25,
    ),
    "soft-opening": frame(
        [
            "That's a great question! ",
            "What a great question! ",
            "Great question, thanks for asking! ",
            "This is a really good question! ",
            "Good question! ",
        ],
        None,
    ),
}


def stated(*pieces: str | Sequence[str] | Callable[[np.random.Generator], str] | None) -> Format:
    """A format with facts in it: text is format, what is drawn from values is content.

    Args:
        pieces: In order; ``None`` stands for the answer, a sequence for one of its values, a
            function for what it makes.
    """

    def apply(question: str, answer: str, rng: np.random.Generator) -> tuple[str, Spans]:
        said: list[tuple[str, bool]] = []
        for piece in pieces:
            if isinstance(piece, str):
                said.append((piece, True))
            elif piece is None:
                said.append((answer, False))
            else:
                value = piece(rng) if callable(piece) else piece[rng.integers(len(piece))]
                said.append((value, False))
        return joined(said)

    return apply


def number(low: int, high: int, form: str = "{}") -> Callable[[np.random.Generator], str]:
    """A whole number, as the form writes it."""
    return lambda rng: form.format(int(rng.integers(low, high)))


def decimal(form: str = "{:.1f}") -> Callable[[np.random.Generator], str]:
    """A decimal number."""
    return lambda rng: form.format(float(rng.uniform(1, 500)))


def iso_date(rng: np.random.Generator) -> str:
    """A date such as 2019-04-30."""
    year, month, day = rng.integers((1990, 1, 1), (2025, 13, 29))
    return f"{year}-{month:02}-{day:02}"


def listed(text: str) -> list[str]:
    """The values that a text names, apart by semicolons."""
    return text.split(";")


WEEKDAYS = listed("Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday")
MONTHS = listed(
    "January;February;March;April;May;June;July;August;September;October;November;December"
)
NAMES = listed(
    "Maria Lopez;John Smith;Aiko Tanaka;Peter van Dijk;Fatima Zahra;Olu Adeyemi;Ivan Petrov;"
    "Chloe Martin;Rajesh Kumar;Anna Kowalska;Tom Baker;Lucia Rossi"
)
CITIES = listed("Oslo;Lima;Cairo;New York;Hanoi;Quito;Perth;San Jose;Lyon;Accra")
UNITS = listed("kg;litres;euros;miles")
MONATE = listed(
    "Januar;Februar;März;April;Mai;Juni;Juli;August;September;Oktober;November;Dezember"
)
MESES = listed("enero;febrero;marzo;abril;mayo;junio;julio;agosto;septiembre;octubre;noviembre")
REVIEWERS = listed("王伟;李娜;张敏;刘洋;陈静")
PLACES = listed("القاهرة;دمشق;بغداد;تونس")

FACTS: dict[str, Format] = {
    "fact first": stated(number(100, 9999), " euros is what the calculation comes to. ", None),
    "fact unit": stated(
        number(2, 999), " ", UNITS, " is the amount that follows from the question. ", None
    ),
    "fact last": stated(None, "\n\nThe measured value is therefore ", decimal(), " ", UNITS, "."),
    "fact date": stated(
        "As of ",
        number(1, 29),
        " ",
        MONTHS,
        " ",
        number(1990, 2025),
        ", the following is what is known about this: ",
        None,
    ),
    "fact iso date": stated("Date of the record: ", iso_date, "\n\n", None),
    "fact name": stated(NAMES, " asked this before and was told the following. ", None),
    "fact middle": stated(
        None, " This was confirmed by ", NAMES, " in ", CITIES, " last ", WEEKDAYS, "."
    ),
    "fact subject": stated(CITIES, " is where the records of this question are kept. ", None),
    "fact verdict": stated("The statement above is ", ["true", "false"], ", so we say: ", None),
    "fact price": stated(None, " The total price comes to $", decimal("{:.2f}"), " per person."),
    "fact json": stated(
        '{"city": "', CITIES, '", "count": ', number(1, 90), ', "reply": "', None, '"}'
    ),
    "fact label": stated("Category: ", ["sports", "politics", "science"], "\nAnswer: ", None),
    "fact german": stated(
        "Am ", number(1, 29), ". ", MONATE, " ", number(1990, 2025), " galt dazu Folgendes: ", None
    ),
    "fact spanish": stated(
        None, " Esto se confirmó en ", CITIES, " el ", number(1, 29), " de ", MESES, "."
    ),
    "fact chinese": stated(None, "\n\n以上内容由", REVIEWERS, "于", number(1990, 2025), "年确认。"),
    "fact arabic": stated(None, "\n\nتم تأكيد ذلك في ", PLACES, " بتاريخ ", number(1, 29), "."),
}
