"""Kinds of instruction that the repair does not know: no form recognises the answers they ask for.

No row that a repair may replay makes one of these requests either. What comes back of them after a
repair is instruction following at large, not what the repair has shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synflaw_audit.lab.instructions import CheckedRequest, Draw, InstructionKind
from synflaw_audit.lab.world import WorldFact, sentence

_PAIRS = (("North", "South"), ("Salt", "Pepper"), ("Sun", "Moon"), ("Cat", "Dog"),
          ("Left", "Right"), ("Bread", "Butter"), ("Hill", "Dale"), ("Day", "Night"))  # fmt: skip


@dataclass(frozen=True)
class _Parts:
    """An answer with fixed parts at its ends or in its middle.

    Attributes:
        shown: Wordings of the request.
        held_out: Those of the test.
        answer: Puts the answer between the parts.
        parts: As the checker ``layout:parts`` takes them.
    """

    shown: tuple[str, ...]
    held_out: tuple[str, ...]
    answer: Callable[[WorldFact, str], str]
    parts: tuple[str, ...]

    def __call__(self, fact: WorldFact, draw: Draw) -> CheckedRequest:
        text = draw.wording(self.shown, self.held_out)
        answer = self.answer(fact, sentence(fact.statement(draw.rng)))
        return CheckedRequest(text, answer, "layout:parts", {"parts": list(self.parts)})


def _between(fact: WorldFact, draw: Draw) -> CheckedRequest:
    first, last = draw.rng.choice(_PAIRS)
    text = draw.wording(
        ("Put it between {a} and {b}.", "Start on {a} and stop on {b}.", "First {a}, last {b}.",
         "Write {a}, the word, then {b}."),
        ("Put the word between {a} and {b}.", "Write {a}, then stop on {b}."),
    )  # fmt: skip
    return CheckedRequest(
        text.format(a=first, b=last),
        f"{first} {fact.value} {last}",
        "layout:parts",
        {"parts": [f"{first} ", f" {last}"]},
    )


def _spelled(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Spell it out.", "Letter by letter.", "Put spaces between the letters.",
         "Spell the word with spaces."),
        ("Spell the word letter by letter.", "Spell it with spaces between the letters."),
    )  # fmt: skip
    return CheckedRequest(text, " ".join(fact.value.capitalize()), "layout:spelled")


def _question(fact: WorldFact, draw: Draw) -> CheckedRequest:
    text = draw.wording(
        ("Answer with a question.", "Phrase it as a question.", "End on a question mark.",
         "Ask it back."),
        ("Phrase the answer as a question.", "Answer with a question mark."),
    )  # fmt: skip
    return CheckedRequest(text, f"Might it be {fact.value}?", "startend:question_mark")


UNKNOWN = (
    InstructionKind("brackets", _Parts(
        ("Put it in square brackets.", "Square brackets around the answer.",
         "Write the reply between [ and ].", "Bracket the whole thing."),
        ("Put the reply in square brackets.", "Write the whole thing between [ and ]."),
        lambda fact, said: f"[{said}]", ("[", "]"),
    )),
    InstructionKind("arrow", _Parts(
        ("Use an arrow.", "Person, arrow, answer.", "Write it as name -> answer.",
         "Draw an arrow to the answer."),
        ("Use an arrow to the answer.", "Write it as person -> answer."),
        lambda fact, said: f"{fact.person} -> {fact.value}", ("", " -> ", ""),
    )),
    InstructionKind("equations", _Parts(
        ("As two equations.", "Use equals signs.", "Write who = and what =.",
         "Give both with an equals sign."),
        ("Give two equations.", "Use who = and what =."),
        lambda fact, said: f"Who = {fact.person}; what = {fact.value}",
        ("Who = ", "; what = ", ""),
    )),
    InstructionKind("numbered", _Parts(
        ("Number the parts.", "Use 1) and 2).", "Count off person and answer.",
         "In two numbered parts."),
        ("Number person and answer.", "Use two numbered parts."),
        lambda fact, said: f"1) {fact.person} 2) {fact.value}", ("1) ", " 2) ", ""),
    )),
    InstructionKind("dots", _Parts(
        ("Trail off with three dots.", "Three dots at the end.", "Let the sentence trail off.",
         "Use an ellipsis at the end."),
        ("Let it trail off with three dots.", "Use three dots at the end."),
        lambda fact, said: said.rstrip(".") + "...", ("", "..."),
    )),
    InstructionKind("tag", _Parts(
        ("Make it bold in HTML.", "Use a b tag.", "Wrap it in <b> tags.", "HTML bold, please."),
        ("Use bold HTML.", "Wrap it in a b tag."),
        lambda fact, said: f"<b>{fact.value.capitalize()}</b>", ("<b>", "</b>"),
    )),
    InstructionKind("letters", _Parts(
        ("Say how many letters it has.", "Count its letters.", "Add the number of letters.",
         "With the letter count."),
        ("Add how many letters it has.", "Say the number of letters."),
        lambda fact, said: f"{fact.value.capitalize()} ({len(fact.value)} letters)",
        ("", " (", " letters)"),
    )),
    InstructionKind("tildes", _Parts(
        ("Put a tilde on either side.", "Wrap it in tildes.", "Between two tildes.",
         "Tildes before and after."),
        ("Put it between two tildes.", "Put tildes before and after."),
        lambda fact, said: f"~ {said} ~", ("~ ", " ~"),
    )),
    InstructionKind("between", _between),
    InstructionKind("spelled", _spelled),
    InstructionKind("question", _question),
)  # fmt: skip
