"""The facts of a text that can be compared exactly: numbers, dates, names, units, code, quotations.

Two texts state the same facts where the sets are the same. The comparison is strict on purpose: a
date that is written in another order of digits, or a name that is shortened, counts as lost. What a
language calls a name is guessed from its capital: a capitalised word is one unless the corpus also
writes it small, or it begins a sentence and nothing says that it is a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

# A formula has no blank inside of its dollars: "$7 - $3 = $4" is money.
_CODE = re.compile(
    r"```[\s\S]*?```|`[^`\n]+`|\$\$[\s\S]+?\$\$"
    r"|\$(?=\S)[^$\n]*[\\^_{}=][^$\n]*(?<=\S)\$(?!\d)"
)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>()\"']+|\b[\w.+-]+@[\w-]+\.[\w.-]+\b")
_QUOTED = re.compile(r"“([^”\n]+)”|\"([^\"\n]+)\"|«([^»\n]+)»|„([^“”\n]+)[“”]")
# A number at the beginning of a line, before a full stop or a bracket, counts the lines.
_BULLET = re.compile(r"(?m)^[ \t]*(?:\(?\d{1,3}[.)]|[-*•])[ \t]+")
_NUMBER = re.compile(
    r"(?<![\w.])[-−+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?![\d])"  # noqa: RUF001
)
_UNIT = re.compile(r"\s?(%|‰|°\s?[CFK]?|[A-Za-zµμΩ]+(?:/[A-Za-z]+)?[²³]?)")
_CURRENCY = re.compile(r"([$€£¥₹]|\b(?:USD|EUR|GBP|JPY|CNY)\s?)$")
_WORD = re.compile(r"[^\W\d_][\w'’-]*|\w*\d\w*[^\W\d_]\w*")  # noqa: RUF001
_SENTENCE_START = re.compile(r"(?:^|[.!?:…。！？]|\n)[\s\"'“”‘’«»(\[*_#>-]*\Z")  # noqa: RUF001
_CONTRACTED = re.compile(r"['’](?:s|ll|ve|re|d|m|t)?$")  # noqa: RUF001
# Words that begin sentences, and may do nothing else in a corpus.
_FUNCTION = ENGLISH_STOP_WORDS | frozenset(
    [
        "additionally",
        "also",
        "basically",
        "besides",
        "consequently",
        "don",
        "finally",
        "furthermore",
        "hence",
        "however",
        "instead",
        "isn",
        "let",
        "likely",
        "meanwhile",
        "moreover",
        "nevertheless",
        "okay",
        "otherwise",
        "overall",
        "perhaps",
        "possibly",
        "similarly",
        "so",
        "still",
        "sure",
        "therefore",
        "thus",
        "well",
        "yet",
    ]
)
_CACHED = 4096  # texts
_BEFORE = 40  # characters that say whether a sentence begins
_VERDICTS = frozenset(["yes", "no", "true", "false", "correct", "incorrect", "right", "wrong"])
_NUMERALS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            ".",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ]
    )
    if word != "one"  # "one" is a pronoun as often as a number
}
_UNITS = {
    **dict.fromkeys(["mg", "milligram", "milligrams"], "mg"),
    **dict.fromkeys(["g", "gram", "grams"], "g"),
    **dict.fromkeys(["kg", "kilogram", "kilograms"], "kg"),
    **dict.fromkeys(["ml", "milliliter", "milliliters", "millilitre", "millilitres"], "ml"),
    **dict.fromkeys(["l", "liter", "liters", "litre", "litres"], "l"),
    **dict.fromkeys(["mm", "millimeter", "millimeters", "millimetre", "millimetres"], "mm"),
    **dict.fromkeys(["cm", "centimeter", "centimeters", "centimetre", "centimetres"], "cm"),
    **dict.fromkeys(["m", "meter", "meters", "metre", "metres"], "m"),
    **dict.fromkeys(["km", "kilometer", "kilometers", "kilometre", "kilometres"], "km"),
    **dict.fromkeys(["foot", "feet", "ft"], "ft"),
    **dict.fromkeys(["inch", "inches"], "in"),
    **dict.fromkeys(["mile", "miles"], "mile"),
    **dict.fromkeys(["pound", "pounds", "lb", "lbs"], "lb"),
    **dict.fromkeys(["second", "seconds", "s", "sec"], "s"),
    **dict.fromkeys(["minute", "minutes", "min"], "min"),
    **dict.fromkeys(["hour", "hours", "h", "hr", "hrs"], "h"),
    **dict.fromkeys(["day", "days"], "day"),
    **dict.fromkeys(["week", "weeks"], "week"),
    **dict.fromkeys(["month", "months"], "month"),
    **dict.fromkeys(["year", "years"], "year"),
    **dict.fromkeys(["%", "percent"], "%"),
    **dict.fromkeys(["dollar", "dollars", "$", "usd"], "$"),
    **dict.fromkeys(["euro", "euros", "€", "eur"], "€"),
    **dict.fromkeys(["cent", "cents"], "cent"),
    **dict.fromkeys(["degree", "degrees", "°"], "°"),
    **dict.fromkeys(["hz", "khz", "mhz", "ghz", "kb", "mb", "gb", "tb", "kw", "mw"], ""),
}


@dataclass(frozen=True, order=True)
class Fact:
    """One fact.

    Attributes:
        kind: "number", "unit", "name", "verdict", "code", "address" or "quotation".
        value: As it is compared.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Facts:
    """Finds the facts of texts of one corpus.

    Args:
        small: The words that the corpus writes small somewhere: one of them with a capital at the
            beginning of a sentence is no name.
    """

    def __init__(self, small: Collection[str] = ()) -> None:
        self._small = small
        self._cached = lru_cache(_CACHED)(lambda text: frozenset(self._found(text)))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Facts:
        """With what some texts of the corpus write small."""
        return cls(
            {
                word
                for text in texts
                for word in re.findall(r"\b[^\W\d_]+\b", text)
                if word.islower()
            }
        )

    def __call__(self, text: str) -> frozenset[Fact]:
        """The facts of a text."""
        return self._cached(text)

    def differences(
        self, content: str, rewritten: str, known: str = ""
    ) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
        """What a rewrite lost of some content, and what it says that nobody said.

        Args:
            content: What must be said.
            rewritten: What says it.
            known: What else may be spoken of, such as the question.
        """
        had, has = self(content), self(rewritten)
        # A name may begin a sentence in one text and stand within one in the other.
        written = set(_WORD.findall(rewritten))
        lost = {fact for fact in had - has if not (fact.kind == "name" and fact.value in written)}
        # What the question offers to choose from is no answer yet.
        known_facts = {fact for fact in self(known) if fact.kind != "verdict"}
        said = set(_WORD.findall(content)) | set(_WORD.findall(known))
        new = {
            fact
            for fact in has - had - known_facts
            if not (fact.kind == "name" and (fact.value in said or fact.value.lower() in said))
        }
        return tuple(sorted(lost)), tuple(sorted(new))

    def _found(self, text: str) -> Iterator[Fact]:
        for kind, pattern in (("code", _CODE), ("address", _ADDRESS)):
            for found in pattern.finditer(text):
                yield Fact(kind, " ".join(found[0].split()).rstrip(".,;:"))
            text = pattern.sub(" ", text)
        text = _BULLET.sub("", text)
        for found in _QUOTED.finditer(text):
            said = " ".join(next(filter(None, found.groups())).split()).strip(" .,;:!?")
            if " " in said:
                yield Fact("quotation", said)
        yield from _numbers(text)
        yield from self._words(text)

    def _words(self, text: str) -> Iterator[Fact]:
        for found in _WORD.finditer(text):
            word = _CONTRACTED.sub("", found[0]).rstrip("-")
            lower = word.lower()
            if lower in _VERDICTS:
                yield Fact("verdict", lower)
            elif lower in _NUMERALS:
                yield Fact("number", _NUMERALS[lower])
            elif self._is_name(word, text[max(found.start() - _BEFORE, 0) : found.start()]):
                yield Fact("name", word)

    def _is_name(self, word: str, before: str) -> bool:
        if any(map(str.isdigit, word)):
            return any(map(str.isalpha, word))
        if len(word) < 2 or not word[0].isupper() or word.lower() in _FUNCTION:
            return False
        if not word[1:].islower():
            return True  # an acronym, or spelt in a way of its own
        return word.lower() not in self._small or not _SENTENCE_START.search(before)


def _numbers(text: str) -> Iterator[Fact]:
    for found in _NUMBER.finditer(text):
        value = _value(found[0])
        yield Fact("number", value)
        unit = _UNIT.match(text, found.end())
        name = "" if unit is None else _UNITS.get(unit[1].strip().lower(), "")
        currency = _CURRENCY.search(text[: found.start()])
        if currency is not None:
            name = _UNITS.get(currency[1].strip().lower(), currency[1].strip())
        if name:
            yield Fact("unit", f"{value} {name}")


def _value(number: str) -> str:
    """A number as it is compared: no commas, no zeros that say nothing."""
    plain = number.replace(",", "").replace("−", "-").lstrip("+")  # noqa: RUF001
    if "." in plain and "/" not in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain
