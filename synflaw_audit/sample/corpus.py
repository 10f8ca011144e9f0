"""A sketched corpus as the measures see it: tokens, templates and vectors, each made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.text.embedders import Embedder, LsaEmbedder
from synflaw_audit.text.fitting import fit
from synflaw_audit.text.perplexity import LanguageModel, NgramModel
from synflaw_audit.text.templates import TemplateBook
from synflaw_audit.text.tokens import Ints, Tokens, factorized, tokenize

Side = Literal["question", "answer"]

# With fewer distinct questions a row than this, rows are not grouped by question: a corpus that
# asks one thing over and over is judged row by row.
QUESTIONS_PER_ROW = 0.05
QUESTIONS = 4000


@dataclass(frozen=True, eq=False)
class Corpus:
    """The sampled rows of a sketch, and what several measures need of them.

    Rows stand in the order of their hashes, which is the same however the corpus was read, so
    "the first n rows" is a random sample that nothing but the corpus decides.

    Attributes:
        sketch: Of the corpus.
        embedder: Turns its answers into vectors.
        reference: A corpus to compare it with.
        language_model: Tells how predictable its answers are.
    """

    sketch: Sketch
    embedder: Embedder = field(default_factory=LsaEmbedder)
    reference: Corpus | None = None
    language_model: LanguageModel = field(default_factory=NgramModel)
    _bits: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.sketch)

    @property
    def weight(self) -> Ints:
        """Records that each row stands for: int64 [rows]."""
        return self.sketch.count

    @property
    def sampled(self) -> int:
        """Records that the sampled rows stand for."""
        return int(self.sketch.count.sum())

    def texts(self, side: Side) -> pa.Array:
        """The questions or answers: string array [rows]."""
        return self.sketch.question if side == "question" else self.sketch.answer

    @cached_property
    def answer_tokens(self) -> Tokens:
        """Tokens of the answers."""
        return tokenize(self.sketch.answer)

    @cached_property
    def unit(self) -> Ints:
        """The question each row answers, as a number: int64 [rows]."""
        codes, questions = factorized(self.sketch.question)
        if len(questions) < QUESTIONS_PER_ROW * len(self):
            return np.arange(len(self))
        return codes

    @cached_property
    def answer_templates(self) -> TemplateBook:
        """The templates of the answers."""
        return fit(self.sketch.answer, self.answer_tokens, self.unit, self.weight)

    @cached_property
    def question_templates(self) -> TemplateBook:
        """The templates of the questions, from the first ``QUESTIONS`` rows.

        Questions may be long (a passage to read), and no row is marked for its question, so a
        smaller sample than that of the answers will do.
        """
        texts = self.sketch.question[:QUESTIONS]
        rows = np.arange(len(texts))
        return fit(texts, tokenize(texts), rows, self.weight[:QUESTIONS], "Q")

    def templates(self, side: Side) -> TemplateBook:
        """The templates of the questions or answers."""
        return self.question_templates if side == "question" else self.answer_templates

    def within(self, tokens: int) -> int:
        """How many of the first rows hold at most so many tokens of answers; one at least."""
        fit = int(np.searchsorted(self.answer_tokens.offsets[1:], tokens, side="right"))
        return min(max(fit, 1), len(self))

    def bits(self, window: int) -> npt.NDArray[np.float64]:
        """The information of a sample of the answers, by the language model; each once a window.

        Args:
            window: Tokens of each answer, from its first, that are scored.

        Returns:
            float64 [scored], bits a token of answers that are at least so long.
        """
        if window not in self._bits:
            found = self.language_model.bits(self.texts("answer"), self.unit, window)
            self._bits[window] = found
        return self._bits[window]

    def vectors(self, rows: int) -> npt.NDArray[np.float64]:
        """Unit vectors of the first ``rows`` answers: float64 [rows, dimensions]."""
        return self.embedder.embed(self.sketch.answer[:rows].to_pylist())
