"""Rewriting without a model: the format cut, phrases exchanged, sentences and lines arranged anew.

Nothing is said that the answer does not say: what comes in are phrases of ``data/wordings.toml``
and openings that the corpus itself has where nothing is flagged, without a fact, a verdict or a
relation in them. Every choice is drawn by the seed, the row and the form alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

from synflaw_audit.findings.finding import Span
from synflaw_audit.fixing.cutting import cut
from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.generators.sentences import laid_out, reordered, sentences
from synflaw_audit.rewriting.generators.thinning import thinned
from synflaw_audit.rewriting.generators.wordings import exchanged
from synflaw_audit.rewriting.mixture import WantedForm
from synflaw_audit.rewriting.natural import Natural

_CLAUSE = re.compile(r"[^\n,.!?:;]{1,80},\s+(?=\S)")
_SCRAP = 3  # words; a longer one may be a sentence
_MOST_WORDS = 9  # of an opening clause that is taken for format as a whole
_SAFE_OPENING = re.compile(r"[a-z' ]+,", re.IGNORECASE)
# An opening with one of these says something of what follows.
_SAYS = re.compile(
    r"\b(?:yes|no|not|never|none|true|false|correct|right|wrong|but|however|although|though|so|"
    r"thus|therefore|because|since|if|when|unfortunately|fortunately|sadly|luckily|first|finally|"
    r"also|then|of course|case|sure|certainly|clearly|obviously|i|you|he|she|they|we|it|your|his|"
    r"her|their|my|our)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Rules(Rewriter):
    """Rewrites by rules.

    Attributes:
        corpus: Where the alternatives come from.
        seed: Of every choice.
    """

    corpus: Natural = field(default_factory=Natural)
    seed: int = 0

    @property
    def name(self) -> str:
        """See ``Rewriter.name``."""
        return "rules"

    def candidates(self, row: RewriteRow, form: WantedForm) -> list[str]:
        """See ``Rewriter.candidates``: at most one for each way to be rid of the format."""
        found: dict[str, None] = {}
        for way, base in enumerate(_bases(row.answer, row.spans)):
            chance = Random(f"{self.seed} {way} {form} {row.question} {row.answer}")  # noqa: S311
            text = exchanged(base, self.corpus, chance, 0.9 if base == row.answer else 0.6)
            text = laid_out(reordered(text, chance), form.layout)
            if form.opening == "reason":
                text = self._opened(text, chance)
            text = _dressed(text, form)
            if text.strip() and text != row.answer:
                found[text] = None
        return list(found)

    def _opened(self, text: str, chance: Random) -> str:
        """The text with an opening that says nothing, where the corpus has such."""
        openings = {
            phrase: count
            for phrase, count in self.corpus.openings.items()
            if _SAFE_OPENING.fullmatch(phrase)
            and not _SAYS.search(phrase)
            and not self.corpus.facts(phrase)
        }
        first = re.match(r"[^\W\d_]+", text)
        if not openings or first is None or not _may_be_small(first[0], self.corpus):
            return text
        drawn = chance.choices(list(openings), list(openings.values()))[0]
        return f"{drawn} {text[0].lower()}{text[1:]}"


def _may_be_small(word: str, corpus: Natural) -> bool:
    """Whether a word that begins a sentence is written small elsewhere."""
    return word[1:].islower() and not corpus.facts(f"{word} is")


def _bases(answer: str, spans: tuple[Span, ...]) -> list[str]:
    """The answer without its format, in each way there is: cut, without its opening, as it is."""
    # Where not all of it can be cut, what can be is; the judges say whether that is enough.
    alone = [span for span in spans if cut(answer, [span]) is not None]
    cuts = (
        cut(answer, spans),
        cut(answer, alone) if alone else None,
        thinned(answer, spans) if spans else None,
    )
    bases = [
        *(bare and _without_echo(bare) for bare in cuts),
        _without_opening(answer, spans),
        answer,
    ]
    return list(dict.fromkeys(base for base in bases if base))


def _without_echo(text: str) -> str:
    """The text without a last scrap that the sentence before has said, as in "So it is 4. 4."."""
    said = sentences(text.rpartition("\n")[2])
    if len(said) < 2 or len(said[-1].split()) > _SCRAP:
        return text
    scrap = said[-1].rstrip(".!")
    again = re.search(rf"(?<![\w.]){re.escape(scrap)}(?!\w|\.\d)", said[-2])
    return text[: text.rindex(said[-1])].rstrip() if scrap and again else text


def _without_opening(answer: str, spans: tuple[Span, ...]) -> str | None:
    """The answer without its first clause, if that is short and holds some of the format."""
    found = _CLAUSE.match(answer)
    if found is None or not any(start < found.end() for start, _ in spans):
        return None
    if len(found[0].split()) > _MOST_WORDS:
        return None
    rest = answer[found.end() :]
    return rest[:1].upper() + rest[1:] if rest else None


def _dressed(text: str, form: WantedForm) -> str:
    """A brief answer written as people write one: with or without capital and stop."""
    if len(text.split()) > 3 or not re.fullmatch(r"[\w' -]+\.?", text):
        return text
    bare = text.rstrip(".")
    capital = bare[:1].upper() + bare[1:]
    return {"plain": text, "formal": f"{capital}.", "conversational": capital}[form.register]
