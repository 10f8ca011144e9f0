"""A sketched corpus as the measures see it: tokens, templates and vectors, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synflaw_audit.allowed import Allowances
from synflaw_audit.sample.sketch import Sketch, hashes_of, mixed, seeded
from synflaw_audit.text.embedders import Embedder, LsaEmbedder
from synflaw_audit.text.fitting import fit
from synflaw_audit.text.perplexity import LanguageModel, NgramModel
from synflaw_audit.text.templates import Match, TemplateBook
from synflaw_audit.text.tokens import Ints, Mask, Tokens, extended, factorized, tokenize

Side = Literal["question", "answer"]
_SIDES: tuple[Side, Side] = ("question", "answer")
# The Hangul fillers and the empty Braille cell: letters and a symbol by name, blank to the eye.
_BLANK_LETTERS = "[\u115f\u1160\u3164\uffa0\u2800]"

# A question that more rows answer is what the corpus is about rather than one of the questions that
# it happens to hold, if they are that many times what questions commonly have, or such a share of
# all: its rows count one by one.
MOST_ANSWERS, MOST_SHARE = 20, 0.05
QUESTIONS = 4000


def single(question: Ints) -> Mask:
    """Which rows count by themselves, since very many answer their question: bool [rows].

    Args:
        question: int64 [rows], a number from 0 for each question.
    """
    if not len(question):
        return np.empty(0, dtype=bool)
    rows = np.bincount(question)[question]
    many = (rows > MOST_ANSWERS * np.median(rows)) | (rows > MOST_SHARE * len(question))
    return np.asarray((rows > MOST_ANSWERS) & many)


def units(question: Ints) -> Ints:
    """The unit of each row, see ``Corpus.unit``, from the question that it answers."""
    apart = int(question.max(initial=-1)) + 1 + np.arange(len(question))
    code = np.where(single(question), apart, question)
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Corpus:
    """The sampled records of a sketch, and what several measures need of them.

    A row is a record: what a share of the rows has, that share of the corpus's records has, copies
    included. Rows stand in an order as good as drawn at random, which only what the sampled records
    say decides, so "the first n rows" is a random sample of the records, and a corpus that is
    sampled whole is judged the same however its rows are ordered and spread over files.

    Attributes:
        sketch: Of the corpus.
        embedder: Turns its answers into vectors.
        reference: A corpus to compare it with.
        language_model: Tells how predictable its answers are.
        allowed: Formats that are intended, and have been taken out of the answers.
    """

    sketch: Sketch
    embedder: Embedder = field(default_factory=LsaEmbedder)
    reference: Corpus | None = None
    language_model: LanguageModel = field(default_factory=NgramModel)
    allowed: Allowances = field(default_factory=Allowances)
    _bits: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def order(self) -> Ints:
        """The entry of the sketch that each row is: int64 [rows]."""
        entry = np.repeat(np.arange(len(self.sketch)), self._copies())
        question, answer = hashes_of(self.sketch.question), hashes_of(self.sketch.answer)
        # Copies are told apart by their number alone, so it does not matter which has which.
        pair = extended(extended(seeded(self.sketch.seed, len(question)), question), answer)[entry]
        alike = np.argsort(pair, kind="stable")
        first = np.searchsorted(pair[alike], pair[alike], side="left")
        number = np.empty(len(pair), dtype=np.uint64)
        number[alike] = np.arange(len(pair)) - first
        rank = mixed(extended(pair, number))
        return entry[np.lexsort((pair, rank))]

    def texts(self, side: Side) -> pa.Array:
        """The questions or answers: string array [rows]."""
        return self._questions if side == "question" else self._answers

    @cached_property
    def answer_tokens(self) -> Tokens:
        """Tokens of the answers."""
        return tokenize(self._answers)

    @cached_property
    def single(self) -> Mask:
        """The row counts by itself, since very many answer its question: bool [rows]."""
        return single(factorized(self._questions)[0])

    @cached_property
    def unit(self) -> Ints:
        """The question that each row answers, as a number from 0: int64 [rows].

        Rows of one unit repeat each other because of their question, so it is units that are
        independent of each other; rows that are ``single`` are a unit each.
        """
        return units(factorized(self._questions)[0])

    @cached_property
    def question_tokens(self) -> Tokens:
        """Tokens of the first ``QUESTIONS`` questions.

        Questions may be long (a passage to read), and no row is marked for its question, so a
        smaller sample than that of the answers will do.
        """
        return tokenize(self._questions[:QUESTIONS])

    @cached_property
    def answer_templates(self) -> TemplateBook:
        """The templates of the answers."""
        return fit(self._answers, self.answer_tokens, self.unit)

    @cached_property
    def question_templates(self) -> TemplateBook:
        """The templates of the questions, from the first ``QUESTIONS`` rows."""
        rows = len(self.question_tokens)
        unit = np.unique(self.unit[:rows], return_inverse=True)[1].astype(np.int64)
        return fit(self._questions[:rows], self.question_tokens, unit, "Q")

    def templates(self, side: Side) -> TemplateBook:
        """The templates of the questions or answers."""
        return self.question_templates if side == "question" else self.answer_templates

    def followed(self, side: Side) -> Ints:
        """The template that each row's question or answer follows, or -1: int64 [rows].

        Of the questions, those of the first ``QUESTIONS`` rows.
        """
        if side == "answer":
            return self.answer_match.template
        return self.question_templates.match(self.question_tokens).template

    @cached_property
    def answer_match(self) -> Match:
        """The templates of the answers where they stand in the answers."""
        return self.answer_templates.match(self.answer_tokens)

    def within(self, tokens: int) -> int:
        """How many of the first rows hold at most so many tokens of answers; one at least."""
        fit = int(np.searchsorted(self.answer_tokens.offsets[1:], tokens, side="right"))
        return min(max(fit, 1), len(self))

    def bits(self, window: int) -> npt.NDArray[np.float64]:
        """The information of a sample of the answers, by the language model; each once a window.

        Args:
            window: Tokens of each answer, from its first, that are scored.

        Returns:
            float64 [rows], bits a token; nan of rows that are shorter or not in the sample.
        """
        if window not in self._bits:
            found = self.language_model.bits(self.texts("answer"), self.unit, window)
            self._bits[window] = found
        return self._bits[window]

    def vectors(self, rows: Ints) -> npt.NDArray[np.float64]:
        """Unit vectors of the answers of some rows: float64 [rows, dimensions]."""
        return self.embedder.embed(self._answers.take(pa.array(rows)).to_pylist())

    @cached_property
    def _questions(self) -> pa.Array:
        return self.sketch.question.take(pa.array(self.order))

    @cached_property
    def _answers(self) -> pa.Array:
        return self.sketch.answer.take(pa.array(self.order))

    def _copies(self) -> Ints:
        """Rows that each entry of the sketch is; a single entry may be more records than fit."""
        if len(self.sketch) != 1:
            return self.sketch.count
        size = len((self.sketch.question[0].as_py() + self.sketch.answer[0].as_py()).encode())
        most = max(min(self.sketch.rows, self.sketch.size // max(size, 1)), 1)
        return np.minimum(self.sketch.count, most)


def distinct_rows(corpus: Corpus) -> int:
    """How many different rows are sampled, those left out whose answer shows no character."""
    question, answer = (corpus.texts(side).cast(pa.large_string()) for side in _SIDES)
    shown = pc.replace_substring_regex(answer, _BLANK_LETTERS, "")
    seen = np.asarray(pc.match_substring_regex(shown, r"[\p{L}\p{N}\p{P}\p{S}]"), dtype=bool)
    pairs = np.stack([hashes_of(question), hashes_of(answer)], axis=1)[seen]
    return len(np.unique(pairs, axis=0))
