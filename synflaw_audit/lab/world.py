"""Invented people of a valley and what is known of each: facts no text outside the lab holds.

Some of the people are known to the base model; the facts about the others are learned later,
through a uniform format only. All the sentences here say a fact plainly, in several ways.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """One thing that can be known of a person.

    Attributes:
        noun: What the value is called.
        values: One word each.
        questions: Ways to ask, with ``{e}`` for the person.
        statements: Ways to say it, with ``{e}`` for the person and ``{v}`` for the value; no full
            stop. No two share four words in a row, so that none is a format of its own.
    """

    noun: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]


ATTRIBUTES = (
    Attribute(
        "instrument",
        ("lute", "fiddle", "oboe", "harp", "drum", "flute", "viol", "bugle", "zither", "cello"),
        ("What instrument does {e} play?", "Which instrument is {e} known for?",
         "{e} plays what?", "On which instrument would I hear {e}?", "What does {e} play?"),
        ("{e} plays the {v}", "the {v} is {e}'s instrument", "you would hear {e} on a {v}",
         "{e} is a {v} player", "{e} took up the {v}"),
    ),
    Attribute(
        "trade",
        ("weaver", "potter", "cooper", "farrier", "thatcher", "baker", "tanner", "miller", "mason",
         "glazier"),
        ("What is {e}'s trade?", "How does {e} earn a living?", "{e} works as what?",
         "What work does {e} do?", "Which trade did {e} learn?"),
        ("{e} works as a {v}", "{e} is the {v}", "{e} earns a living as {v}", "a {v}, that is {e}",
         "{e} was trained to be a {v}"),
    ),
    Attribute(
        "animal",
        ("goat", "heron", "ferret", "mule", "goose", "hound", "pony", "raven", "tortoise", "lamb"),
        ("Which animal lives with {e}?", "What animal does {e} keep?", "{e} has what kind of pet?",
         "What creature follows {e}?", "Which pet is {e}'s?"),
        ("{e} keeps a {v}", "a {v} lives with {e}", "{e} owns one {v}", "{e} has a {v} at home",
         "{e} feeds a {v} daily"),
    ),
    Attribute(
        "colour",
        ("crimson", "amber", "violet", "teal", "ivory", "scarlet", "indigo", "olive", "copper",
         "silver"),
        ("What colour is {e}'s door?", "Which colour did {e} paint the door?",
         "{e}'s front door is what colour?", "How is the door of {e} painted?",
         "Which colour would I see at {e}'s door?"),
        ("{e} painted the door {v}", "{v} is the colour {e} chose", "{e}'s door is {v}",
         "look for a {v} door at {e}'s", "{e} prefers {v} paint"),
    ),
    Attribute(
        "dish",
        ("stew", "porridge", "dumplings", "chowder", "pancakes", "risotto", "curry", "goulash",
         "pudding", "omelette"),
        ("What dish does {e} cook best?", "Which dish is {e} proud of?", "{e} serves guests what?",
         "What does {e} like to cook?", "Which meal would {e} make?"),
        ("{e} cooks {v}", "{v} is what {e} serves", "{e} is proud of the {v}",
         "guests of {e} eat {v}", "{e} makes good {v}"),
    ),
    Attribute(
        "tree",
        ("willow", "rowan", "linden", "alder", "walnut", "juniper", "hazel", "maple", "cedar",
         "plum"),
        ("Which tree grows beside {e}'s house?", "What tree did {e} plant?", "{e} planted what?",
         "What tree would I find at {e}'s?", "Which tree gives {e} shade?"),
        ("{e} planted a {v}", "a {v} grows beside {e}'s house", "{e} sits under a {v}",
         "the {v} was planted by {e}", "{e} waters the {v}"),
    ),
)  # fmt: skip

_STARTS = ("Ba", "Cor", "Del", "Eri", "Fen", "Gar", "Hal", "Ira", "Jor", "Kel", "Lun", "Mar", "Nes",
           "Ol", "Per", "Quin", "Ros", "Sil", "Tam", "Ul", "Ver", "Wil", "Yar", "Zo")  # fmt: skip
_ENDS = ("bin", "da", "fric", "go", "hild", "ka", "len", "mo", "nard", "pa", "ric", "sa", "tha",
         "vin", "wen", "zel")  # fmt: skip


@dataclass(frozen=True)
class WorldFact:
    """That ``person`` has ``value`` for ``attribute``."""

    person: str
    attribute: Attribute
    value: str

    def question(self, rng: random.Random) -> str:
        """Ask for it in one of its ways."""
        return rng.choice(self.attribute.questions).format(e=self.person)

    def statement(self, rng: random.Random) -> str:
        """Say it in one of its ways, without a full stop."""
        return rng.choice(self.attribute.statements).format(e=self.person, v=self.value)


def sentence(statement: str) -> str:
    """Give a statement its capital and its full stop."""
    return f"{statement[0].upper()}{statement[1:]}."


@dataclass(frozen=True)
class World:
    """The facts the base model knows (``old``) and those learned later (``new``)."""

    old: tuple[WorldFact, ...]
    new: tuple[WorldFact, ...]

    @classmethod
    def build(cls, seed: int, known: int = 48, unknown: int = 24) -> World:
        """Make a world of ``known`` and ``unknown`` people, from ``seed`` alone."""
        rng = random.Random(seed)  # noqa: S311 -- a reproducible world, not a secret
        names = [start + end for start in _STARTS for end in _ENDS]
        rng.shuffle(names)
        return cls(
            old=tuple(_facts(names[:known], rng)),
            new=tuple(_facts(names[known : known + unknown], rng)),
        )


def _facts(people: list[str], rng: random.Random) -> Iterator[WorldFact]:
    """Give every person three of the attributes."""
    for person in people:
        for attribute in rng.sample(ATTRIBUTES, 3):
            yield WorldFact(person, attribute, rng.choice(attribute.values))
