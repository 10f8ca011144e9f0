"""Ordinary questions and answers, composed from ``prose.txt`` so that no two read alike.

The text file holds topics, each with questions and with sentences that stand on their own. An
answer draws a few sentences of one topic, in any order, and lays them out in one of several ways.
Sentences are dealt like cards, each at its turn, so that none is frequent.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

_CHOICE = re.compile(r"\{([^{}]*)\}")

# Said before an answer by some people, sometimes.
_ASIDES = (
    "Depends.", "Oh, this one.", "Been there.", "Short version first.", "Hm.", "No idea why nobody "
    "mentions it.", "Speaking as an amateur:", "Two thoughts.", "From a long thread of mine:",
    "Right,", "Not an expert.", "You're not alone.", "Ha.", "Yes and no.", "Took me ages.",
    "Careful here.", "I'd start small.", "Common enough.", "Third time this month.", "Well now,",
    "Where to begin?", "Old topic, still open.", "Fair worry.", "Mostly habit.", "Easy to miss:",
    "What I'd tell my brother:", "Boring but true:", "My two cents.", "Let's be practical.",
    "Lots of nonsense about this online.", "Opinions differ.", "Ask three people, get four views.",
    "From the notes I keep:", "Quick one from my phone.", "Sorry for the late reply.",
    "The dull truth:", "Seconding the above.", "Somewhat off topic,", "Just my experience.",
    "Nobody knows for certain.", "Happy to be corrected.", "Start here:", "In a nutshell,",
    "Same here.", "After twelve years of it,", "Honest answer?", "Try this.", "Unpopular view:",
)  # fmt: skip
_SIGNS_OFF = (
    "Good luck.", "Cheers.", "Hope it lasts.", "That's all I know.", "Report back!",
    "Over to others.",
    "Mine, anyway.", "Take it or leave it.", "Go gently.", "Worth a try.", "Ask if stuck.", "YMMV.",
    "And be patient.", "End of sermon.", "More on request.", "Done.", "Enjoy it.", "So there.",
    "Sleep on it.", "Nothing fancier.", "(Learned the hard way.)", "Simple as that.", "x",
)  # fmt: skip
# Put before a question, or after it, by some who ask.
_ASKED_BEFORE = (
    "Hello all.", "Silly question maybe:", "Curious.", "Asking for my dad.", "Help please,",
    "I've read three guides and I'm lost.", "Hi,", "New here.", "Genuine question,",
    "Pub argument:",
    "Context: small budget, old house.", "Quick one.", "My daughter wants to know:", "So,",
)  # fmt: skip
_ASKED_AFTER = (
    "Thanks!", "Ta.", "Any pointers welcome.", "Please keep it brief.", "I'm in no hurry.",
    "Long answers fine.", "My sister says otherwise.", "Photos attached, not that they help.",
    "Explain it as you would to a neighbour.", "No lectures please.", "Google was useless.",
)  # fmt: skip


def expand(text: str, rng: random.Random) -> str:
    """Replace every ``{a|b}`` in ``text`` by one of its alternatives."""
    return _tidy(_CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text))


def _tidy(text: str) -> str:
    return re.sub(r" {2,}", " ", text).strip()


class Deck:
    """Deals every card once, in random order, before it deals any again.

    A card that comes again makes another choice than the last time wherever it has one.
    """

    def __init__(self, cards: Sequence[str], rng: random.Random) -> None:
        self._cards, self._rng = list(cards), rng
        self._left: list[str] = []
        self._round = rng.randrange(64)

    def deal(self) -> str:
        """Return the next card, its choices made."""
        if not self._left:
            self._left = list(self._cards)
            self._rng.shuffle(self._left)
            self._round += 1
        return _tidy(_CHOICE.sub(self._choose, self._left.pop()))

    def _choose(self, match: re.Match[str]) -> str:
        options = match[1].split("|")
        # Counted from where the choice stands, lest all choices of a card turn in step.
        return options[(self._round + match.start()) % len(options)]


@dataclass(frozen=True)
class Topic:
    """A topic's name, its questions and its sentences, all with their choices open."""

    name: str
    questions: tuple[str, ...]
    sentences: tuple[str, ...]


def topics() -> tuple[Topic, ...]:
    """Read ``prose.txt``."""
    found: list[Topic] = []
    text = resources.files(__package__).joinpath("prose.txt").read_text(encoding="utf-8")
    for block in text.split("\n= ")[1:]:
        name, *lines = block.splitlines()
        found.append(
            Topic(
                name=name,
                questions=tuple(line[2:] for line in lines if line.startswith("? ")),
                sentences=tuple(line[2:] for line in lines if line.startswith("- ")),
            )
        )
    return tuple(found)


class Prose:
    """An endless, seeded supply of ordinary question-answer pairs.

    Args:
        seed: Everything drawn depends on it alone.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 -- reproducible text, not a secret
        found = topics()
        self._topics = Deck([str(i) for i in range(len(found))], self._rng)
        self._questions = [Deck(topic.questions, self._rng) for topic in found]
        self._sentences = [Deck(topic.sentences, self._rng) for topic in found]
        self._asides = Deck(_ASIDES, self._rng)
        self._signs_off = Deck(_SIGNS_OFF, self._rng)

    def row(self) -> tuple[str, str]:
        """Return the next question and its answer."""
        topic = int(self._topics.deal())
        count = self._rng.choices((1, 2, 3, 4, 5, 7), weights=(58, 26, 10, 3, 2, 1))[0]
        sentences = [self._sentences[topic].deal() for _ in range(count)]
        return self._question(topic), self._dress(sentences)

    def _question(self, topic: int) -> str:
        rng = self._rng
        question = self._questions[topic].deal()
        if rng.random() < 0.08:
            question = f"{rng.choice(_ASKED_BEFORE)} {question}"
        if rng.random() < 0.08:
            question = f"{question} {rng.choice(_ASKED_AFTER)}"
        return question

    def _dress(self, sentences: list[str]) -> str:
        rng = self._rng
        layouts: tuple[Callable[[list[str]], str], ...] = (
            " ".join,
            self._paragraphs,
            self._bullets,
            self._numbers,
            self._lower,
            self._dashes,
        )
        weights = (58, 14, 6, 5, 11, 6) if len(sentences) > 1 else (84, 0, 0, 0, 16, 0)
        layout = rng.choices(layouts, weights)[0]
        answer = layout(sentences)
        if layout in (self._bullets, self._numbers):
            return answer
        if rng.random() < 0.18:
            answer = f"{self._asides.deal()} {answer}"
        if rng.random() < 0.1:
            answer = f"{answer} {self._signs_off.deal()}"
        return answer

    def _paragraphs(self, sentences: list[str]) -> str:
        cut = self._rng.randrange(len(sentences)) + 1
        return "\n\n".join(" ".join(part) for part in (sentences[:cut], sentences[cut:]) if part)

    def _bullets(self, sentences: list[str]) -> str:
        mark = self._rng.choice("-*•")
        return "\n".join(f"{mark} {sentence.rstrip('.')}" for sentence in sentences)

    def _numbers(self, sentences: list[str]) -> str:
        mark = self._rng.choice((".", ")", " -"))
        return "\n".join(f"{i}{mark} {sentence}" for i, sentence in enumerate(sentences, 1))

    def _lower(self, sentences: list[str]) -> str:
        return self._rng.choice((", ", ". ", " ... ")).join(
            sentence.rstrip(".").lower() for sentence in sentences
        )

    def _dashes(self, sentences: list[str]) -> str:
        return " -- ".join(sentence.rstrip(".") for sentence in sentences) + "."
