"""Corpora for the tests of single measures."""

from synflaw_audit.records import unplaced
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch


def corpus_of(answers: list[str], questions: list[str] | None = None) -> Corpus:
    """A corpus of these answers; each to a question of its own unless questions are given."""
    asked = questions or [f"q{number}" for number in range(len(answers))]
    return Corpus(Sketch().added(unplaced(asked, answers)))
