"""Question-answer corpora of any size, from a seed, with known shares of copies and of formats.

    python benchmarks/generated_corpora.py --rows 1000000 --out FOLDER

Row ``i`` depends on the seed and on ``i`` alone, so a smaller corpus is the head of a larger one;
memory does not depend on the number of rows. The texts mean nothing, but cost what real ones cost:
the frequencies of words follow Zipf's law, new words keep coming (Heaps' law), phrases come again,
answers take words up from their question, lengths have a long tail. ``throughput.py`` sets a few of
these figures beside those of real corpora.
"""

from __future__ import annotations

import argparse
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 8192  # rows made at once, from a seed of their own
ROW_GROUP = 16  # of these, in a Parquet file

# By kind, the share of rows; all other rows are plain. A copy is one of a plain row's answer: half
# of them of a row nearby, half of one of STOCK rows that are copied all through the corpus.
SHARES = {
    "exact": 0.02,
    "near": 0.03,
    "opening": 0.05,
    "closing": 0.04,
    "slot": 0.03,
    "steps": 0.03,
}
KINDS = ("plain", *SHARES)
STOCK = 64
NEAR_CHANGED = 0.01  # of a near copy's words, beside one that always changes
NEAR_LEAST = 30  # words of an answer that is copied nearly

OPENING = "Thank you for reaching out with your question. Based on what you describe,"
CLOSING = " I hope this helps! Please let me know if you have any further questions."
SLOT = "Here is what you need to know about"
STEPS = [f"\nStep {number}:" for number in range(1, 31)]
PUNCTUATION = [".", ",", "?", ":", f".{CLOSING}"]
LAYOUT = ["\n", "\n\n", "\n- "]
OPENINGS = ["What is", "How do I", "Why does", "Can you explain", "Write a", "Describe", "List the"]

HEAD = 50_000  # words that are drawn one by one; beyond them, words are compounds
PHRASES = 24_000
SUFFIXES = 4_096
ZIPF = 1.08  # exponent of the frequencies over rank + 2.7 (Mandelbrot)
PHRASE_SHARE, NEW_WORD_SHARE, NUMBER_SHARE = 0.20, 0.005, 0.012
SUBJECTS, SUBJECT_WORDS = 300, 400  # every row has a subject, and subjects have words of their own
SENTENCE, COMMA, LINE, ECHO, ON_SUBJECT = 1 / 14, 1 / 18, 0.08, 0.06, 0.20

Array = np.ndarray[Any, Any]
SCHEMA = pa.schema([("question", pa.string()), ("answer", pa.string()), ("kind", pa.string())])


@dataclass(frozen=True)
class Texts:
    """Texts of one chunk before they are put together.

    ``words``, ``before``, ``glued`` and ``after`` run over the words of all texts and hold numbers
    of pieces, -1 for none: the word, what stands before it, what is glued to it, its punctuation.
    ``starts`` (texts + 1) says where each text begins.
    """

    words: Array
    before: Array
    glued: Array
    after: Array
    starts: Array

    def picked(self, texts: Array) -> Texts:
        """These texts, in this order; one may come more than once."""
        lengths = np.diff(self.starts)[texts]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(starts[-1]) + np.repeat(self.starts[texts] - starts[:-1], lengths)
        return Texts(self.words[at], self.before[at], self.glued[at], self.after[at], starts)


@dataclass(frozen=True)
class Generator:
    """The corpus of a seed."""

    seed: int = 0
    lexicon: Lexicon = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lexicon", Lexicon(self.seed))

    def tables(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The first ``rows`` rows, in batches of at most ``CHUNK``."""
        for number, start in enumerate(range(0, rows, CHUNK)):
            yield self.chunk(number).slice(0, rows - start)

    def chunk(self, number: int) -> pa.RecordBatch:
        """The rows from ``number * CHUNK`` on, columns ``SCHEMA``."""
        rng = np.random.default_rng([self.seed, 1, number])
        kinds = rng.permutation(np.repeat(np.arange(len(KINDS)), _counts()))
        questions, answers = self._plain(rng, CHUNK)
        pool = _joined(answers, self.stock)
        answers = pool.picked(self._sources(rng, kinds, np.diff(pool.starts)))
        self._change(rng, answers, kinds == KINDS.index("near"))
        self._format(answers, questions, kinds)
        names = pa.DictionaryArray.from_arrays(pa.array(kinds, pa.int8()), pa.array(KINDS))
        columns = [self.lexicon.put_together(questions), self.lexicon.put_together(answers)]
        return pa.RecordBatch.from_arrays([*columns, names.cast(pa.string())], schema=SCHEMA)

    @cached_property
    def stock(self) -> Texts:
        """The answers that are copied all through the corpus."""
        return self._plain(np.random.default_rng([self.seed, 2]), STOCK)[1]

    def _plain(self, rng: np.random.Generator, rows: int) -> tuple[Texts, Texts]:
        # Some subjects are commoner; of a subject's words, the row takes three up all the time.
        subjects = (SUBJECTS * rng.random(rows) ** 1.5).astype(np.int64)
        topics = self.lexicon.on_subject(rng, np.repeat(subjects, 3)).reshape(rows, 3)
        questions = self._texts(rng, topics, subjects, median=14, sigma=0.75)
        answers = self._texts(rng, topics, subjects, median=50, sigma=0.95)
        first, last = questions.starts[:-1], questions.starts[1:] - 1
        opened = rng.random(rows) < 0.5
        opening = (len(OPENINGS) * rng.random(rows) ** 2).astype(np.int32)
        questions.before[first[opened]] = self.lexicon.openings + opening[opened]
        questions.words[first[opened]] %= self.lexicon.form  # the word is no sentence's first now
        questions.after[last] = self.lexicon.punctuation + PUNCTUATION.index("?")
        return questions, answers

    def _texts(
        self,
        rng: np.random.Generator,
        topics: Array,
        subjects: Array,
        median: int,
        sigma: float,
    ) -> Texts:
        """Log-normal lengths; every topic is a word that comes again in its text."""
        lexicon, rows = self.lexicon, len(topics)
        lengths = np.exp(rng.normal(np.log(median / lexicon.words_a_draw), sigma, rows))
        lengths = np.clip(lengths.astype(np.int64), 1, 4000)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        total = int(starts[-1])
        words = lexicon.draw(rng, total)
        chance = rng.random(total, np.float32)
        text = np.repeat(np.arange(rows), lengths)
        subject = np.flatnonzero((chance >= ECHO) & (chance < ECHO + ON_SUBJECT))
        words[subject] = lexicon.on_subject(rng, subjects[text[subject]])
        echoed = np.flatnonzero(chance < ECHO)
        words[echoed] = topics[text[echoed], rng.integers(0, 3, len(echoed))]
        glued = np.full(total, -1, np.int32)
        new = np.flatnonzero(chance > 1 - NEW_WORD_SHARE)
        glued[new] = lexicon.suffixes + (SUFFIXES * rng.random(len(new)) ** 2).astype(np.int32)
        after = np.full(total, -1, np.int32)
        chance = rng.random(total, np.float32)
        ends = chance < SENTENCE
        ends[:-1] &= ~ends[1:]
        ends[starts[1:] - 1] = True
        after[ends] = lexicon.punctuation
        after[(chance > 1 - COMMA) & ~ends] = lexicon.punctuation + 1
        first = starts[:-1]
        begins = np.concatenate([[True], ends[:-1]])
        before = np.full(total, -1, np.int32)
        lines = np.flatnonzero(begins & (rng.random(total, np.float32) < LINE))
        before[lines] = lexicon.layout + rng.integers(0, len(LAYOUT), len(lines), np.int32)
        before[first] = -1
        # A sentence begins with a capital letter; nothing stands before a text's first word, and
        # none but a line's mark before a line's.
        words[begins] += lexicon.form
        words[first] += lexicon.form
        words[lines] += lexicon.form * (before[lines] >= 0)
        return Texts(words, before, glued, after, starts)

    def _sources(self, rng: np.random.Generator, kinds: Array, lengths: Array) -> Array:
        """By row, the answer it takes: its own, or for copies a plain row's or one of the stock."""
        sources = np.arange(len(kinds))
        plain = np.flatnonzero(kinds == KINDS.index("plain"))
        stock = np.arange(len(kinds), len(lengths))
        for name, least in (("exact", 1), ("near", NEAR_LEAST)):
            rows = np.flatnonzero(kinds == KINDS.index(name))
            half = len(rows) // 2
            for part, pool in ((rows[:half], plain), (rows[half:], stock)):
                sources[part] = rng.choice(pool[lengths[pool] >= least], len(part))
        return sources

    def _change(self, rng: np.random.Generator, answers: Texts, rows: Array) -> None:
        """Change a few words of these rows' answers."""
        lengths = np.diff(answers.starts)
        one = answers.starts[:-1] + (lengths * rng.random(len(rows))).astype(np.int64)
        changed = np.repeat(rows, lengths) & (rng.random(len(answers.words)) < NEAR_CHANGED)
        changed[one[rows]] = True
        form, old = np.divmod(answers.words[changed], self.lexicon.form)
        words = self.lexicon.draw(rng, len(old))
        words[words == old] += 1  # a change is to another word
        words %= self.lexicon.form
        answers.words[changed] = words + self.lexicon.form * form  # a capital letter stays one

    def _format(self, answers: Texts, questions: Texts, kinds: Array) -> None:
        """Give the rows of the formats their opening, closing, slot or steps."""
        lexicon = self.lexicon
        first, last = answers.starts[:-1], answers.starts[1:] - 1
        opened = first[kinds == KINDS.index("opening")]
        answers.before[opened] = lexicon.opening
        closed = last[kinds == KINDS.index("closing")]
        answers.after[closed] = lexicon.punctuation + PUNCTUATION.index(f".{CLOSING}")
        slotted = kinds == KINDS.index("slot")
        answers.before[first[slotted]] = lexicon.slot
        answers.after[first[slotted]] = lexicon.punctuation + PUNCTUATION.index(":")
        # The slot is a word of the question.
        asked = questions.starts[1:][slotted] - 1
        answers.words[first[slotted]] = questions.words[asked]
        answers.glued[first[slotted]] = -1
        for rows in (opened, first[slotted]):
            answers.words[rows] %= lexicon.form  # an opening stands before: no capital letter
        steps = np.repeat(kinds == KINDS.index("steps"), np.diff(answers.starts))
        ended = np.isin(answers.after, [lexicon.punctuation, lexicon.punctuation + 2])
        begins = np.concatenate([[True], ended[:-1]])
        begins[first] = True
        number = np.cumsum(begins)
        number -= np.repeat(number[first], np.diff(answers.starts))
        answers.before[steps] = -1
        at = np.flatnonzero(steps & begins)
        answers.before[at] = lexicon.steps + np.minimum(number[at], len(STEPS) - 1)
        answers.words[at] = answers.words[at] % lexicon.form + lexicon.form


class Lexicon:
    """All pieces that texts are made of, and how often each word is drawn.

    Attributes:
        pieces: Words, phrases and numbers as " word", " Word" and "Word", one block after the
            other; then everything that is no word.
        form: The length of such a block: a word's number plus once or twice this is its number
            with a capital letter, and at the start of a line.
        words_a_draw: The mean number of words of what is drawn, as phrases have several.
    """

    TABLE = 1 << 22

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        words = _vocabulary(rng, HEAD)
        chance = 1 / (np.arange(HEAD) + 2.7) ** ZIPF
        cumulative = np.cumsum(chance / chance.sum())
        lengths = rng.integers(2, 5, PHRASES)
        ranks = np.searchsorted(cumulative, rng.random(lengths.sum())).clip(max=HEAD - 1)
        parts = np.split(ranks, np.cumsum(lengths)[:-1])
        phrases = [" ".join(words[rank] for rank in part) for part in parts]
        numbers = [str(n) for n in range(1, 3000)]
        drawn = [*words, *phrases, *numbers]
        blocks = [f" {w}" for w in drawn], [f" {_capital(w)}" for w in drawn], map(_capital, drawn)
        pieces = [piece for block in blocks for piece in block]
        self.form = len(drawn)
        self.suffixes = self._added(pieces, _vocabulary(rng, SUFFIXES, least=3))
        self.punctuation = self._added(pieces, PUNCTUATION)
        self.layout = self._added(pieces, LAYOUT)
        self.openings = self._added(pieces, OPENINGS)
        self.opening = self._added(pieces, [OPENING])
        self.slot = self._added(pieces, [SLOT])
        self.steps = self._added(pieces, [STEPS[0].lstrip(), *STEPS[1:]])
        self.pieces = pa.array(pieces, pa.string())
        rarer = 1 / (np.arange(PHRASES) + 10) ** 0.8
        few = 1 / (np.arange(len(numbers)) + 1.0)
        shares = (1 - PHRASE_SHARE - NUMBER_SHARE, PHRASE_SHARE, NUMBER_SHARE)
        weights = [s * c / c.sum() for s, c in zip(shares, (chance, rarer, few), strict=True)]
        points = (np.arange(self.TABLE) + 0.5) / self.TABLE
        cumulative = np.cumsum(np.concatenate(weights))
        self._table = np.searchsorted(cumulative, points).clip(max=self.form - 1).astype(np.int32)
        # Neither the commonest words nor the rarest.
        self._subjects = rng.integers(200, 12_000, (SUBJECTS, SUBJECT_WORDS), np.int32)
        self.words_a_draw = 1 + PHRASE_SHARE * (float(lengths @ weights[1]) / PHRASE_SHARE - 1)

    @staticmethod
    def _added(pieces: list[str], more: list[str]) -> int:
        pieces.extend(more)
        return len(pieces) - len(more)

    def draw(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Words, phrases and numbers, each as often as it should be, as numbers below ``form``."""
        drawn: Array = self._table[rng.integers(0, self.TABLE, shape, np.int32)]
        return drawn

    def on_subject(self, rng: np.random.Generator, subjects: Array) -> Array:
        """A word of each of these subjects; a subject's first words are its commonest."""
        rank = (SUBJECT_WORDS * rng.random(len(subjects)) ** 3).astype(np.int64)
        drawn: Array = self._subjects[subjects, rank]
        return drawn

    def put_together(self, texts: Texts) -> pa.StringArray:
        """The texts as strings."""
        parts = [texts.before, texts.words, texts.glued, texts.after]
        ends = np.cumsum(sum((part >= 0).astype(np.int64) for part in parts))
        total = int(ends[-1])
        pieces = np.empty(total, np.int32)
        at = np.concatenate([[0], ends[:-1]])
        for part in parts:
            there = part >= 0
            pieces[at[there]] = part[there]
            at += there
        joined = self.pieces.take(pa.array(pieces))
        _, offsets, values = joined.buffers()
        every = np.frombuffer(offsets, np.int32, total + 1)
        bounds = np.concatenate([[0], ends])[texts.starts]
        return pa.StringArray.from_buffers(
            len(bounds) - 1, pa.py_buffer(np.ascontiguousarray(every[bounds])), values
        )


def _counts() -> list[int]:
    """How many rows of a chunk are of each kind."""
    counts = [round(share * CHUNK) for share in SHARES.values()]
    return [CHUNK - sum(counts), *counts]


def _joined(one: Texts, other: Texts) -> Texts:
    names = ("words", "before", "glued", "after")
    arrays = [np.concatenate([getattr(one, name), getattr(other, name)]) for name in names]
    return Texts(*arrays, np.concatenate([one.starts, other.starts[1:] + one.starts[-1]]))


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _vocabulary(rng: np.random.Generator, size: int, least: int = 1) -> list[str]:
    """Different words of made-up syllables, the commoner the shorter; a few with accents."""
    onsets = [*string.ascii_lowercase.translate({ord(v): None for v in "aeiouqx"}), "st", "tr"]
    onsets += ["ch", "sh", "pl", "gr", "th", ""]
    vowels = [*"aeiou" * 6, "ea", "ou", "io", "ai", "é", "ü"]
    codas = [*[""] * 14, *"nrstldm", "ng", "nt"]
    choices = rng.integers(0, 1 << 30, (8 * size, 4, 3))
    syllables = rng.poisson(0.12 * np.log1p(np.arange(8 * size)), 8 * size)
    found: dict[str, None] = {}
    for choice, more in zip(choices, syllables, strict=True):
        count = min(1 + int(more), 4)
        word = "".join(
            onsets[a % len(onsets)] + vowels[b % len(vowels)] + codas[c % len(codas)]
            for a, b, c in choice[:count].tolist()
        )
        if len(word) >= least:
            found.setdefault(word)
        if len(found) == size:
            break
    return list(found)


def write(rows: int, path: Path, seed: int = 0) -> None:
    """Write a corpus as ``.jsonl`` or ``.parquet``, whichever ``path`` ends in."""
    tables = Generator(seed).tables(rows)
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, SCHEMA) as writer:
            while group := list(islice(tables, ROW_GROUP)):
                writer.write_table(pa.Table.from_batches(group))
        return
    with path.open("wb") as file:
        for batch in tables:
            lines = map(orjson.dumps, batch.to_pylist())
            file.write(b"\n".join(lines) + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl or .parquet file")
    options = parser.parse_args()
    write(options.rows, options.out, options.seed)


if __name__ == "__main__":
    main()
