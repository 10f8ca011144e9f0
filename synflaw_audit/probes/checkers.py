"""Checkers: whether an answer does what an instruction asks, verified in code.

The identifiers and arguments of the first group are those of IFEval (Zhou et al. 2023,
"Instruction-Following Evaluation for Large Language Models", arXiv:2311.07911), so its published
prompts can be read from a file; the second group is ours. All checkers are our own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

Checker = Callable[..., bool]


def _words(answer: str) -> list[str]:
    return re.findall(r"\w+", answer)


def _relation(count: int, relation: str | None, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


def _paragraphs(answer: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\n+", answer) if part.strip()]


def occurrences(answer: str, keyword: str) -> int:
    """How often a word or phrase stands in an answer, letter case aside."""
    return len(re.findall(rf"\b{re.escape(keyword)}\b", answer, flags=re.IGNORECASE))


def _json(answer: str) -> bool:
    text = re.sub(r"^```(?:json)?|```$", "", answer.strip(), flags=re.IGNORECASE).strip()
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _first_word(answer: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    parts = _paragraphs(answer)
    if len(parts) != num_paragraphs or not 0 < nth_paragraph <= len(parts):
        return False
    words = _words(parts[nth_paragraph - 1])
    return bool(words) and words[0].lower() == first_word.lower()


def _postscript(answer: str, postscript_marker: str) -> bool:
    marker = re.escape(postscript_marker.lower()).replace(r"\.", r"\.\s?")
    return re.search(rf"^\s*{marker}.*$", answer.lower(), flags=re.MULTILINE) is not None


def _highlights(answer: str, num_highlights: int) -> bool:
    found = re.findall(r"\*\*[^\n*]+\*\*|\*[^\n*]+\*", answer)
    return sum(bool(part.strip("* ")) for part in found) >= num_highlights


def _title(answer: str) -> bool:
    return any(part.strip("<> ") for part in re.findall(r"<<[^\n]+>>", answer))


def _quotation(answer: str) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _end(answer: str, end_phrase: str) -> bool:
    return answer.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _bullets(answer: str, num_bullets: int) -> bool:
    starred = re.findall(r"^\s*\*[^*].*$", answer, flags=re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", answer, flags=re.MULTILINE)
    return len(starred) + len(dashed) == num_bullets


def _sections(answer: str, section_spliter: str, num_sections: int) -> bool:
    heads = re.findall(rf"\s?{re.escape(section_spliter)}\s?\d+\s?", answer)
    return len(heads) >= num_sections


def _two_responses(answer: str) -> bool:
    parts = [part.strip() for part in answer.split("******")]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _sentences(answer: str, num_sentences: int, relation: str) -> bool:
    count = len(re.findall(r"[^\s.!?][^.!?]*(?:[.!?]+(?=[\s\"')]|$)|$)", answer))
    return _relation(count, relation, num_sentences)


def _letters(answer: str) -> str:
    return "".join(filter(str.isalpha, answer))


def _numbered(answer: str, items: int) -> bool:
    return len(re.findall(r"^\s*\d+[.)]\s+\S", answer, flags=re.MULTILINE)) == items


def _comma_list(answer: str, items: int) -> bool:
    text = answer.strip()
    parts = [part.strip() for part in re.split(r"[,、،]", text)]
    return "\n" not in text and len(parts) == items and all(parts)


def _table(answer: str, columns: int) -> bool:
    """A Markdown table: a head, a rule of dashes and a row, each of so many cells."""
    rows = [line.strip() for line in answer.splitlines() if "|" in line]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    ruled = [bool(row) and all(re.fullmatch(r":?-+:?", cell) for cell in row) for row in cells]
    return len(rows) > 2 and ruled[1] and all(len(row) == columns for row in cells)


def _one_of(answer: str, choices: Sequence[str]) -> bool:
    return answer.strip().strip(".!\"'").lower() in {choice.lower() for choice in choices}


def _parts(answer: str, parts: Sequence[str]) -> bool:
    """Begins with the first part, ends with the last, with words before each of those that follow.

    The first or the last may be empty; none is looked for as anything but itself.
    """
    first, *middle, last = parts
    text = answer.strip()
    if not text.startswith(first) or not text.endswith(last):
        return False
    inner = text[len(first) : len(text) - len(last)] if len(first) + len(last) < len(text) else ""
    for part in middle:
        before, found, inner = inner.partition(part)
        if not found or not before.strip():
            return False
    return bool(inner.strip())


def _spelled(answer: str) -> bool:
    """Single letters with spaces between them."""
    letters = answer.split()
    return len(letters) > 1 and all(len(each) == 1 and each.isalpha() for each in letters)


def _opening(answer: str, opening: str) -> bool:
    return re.match(rf"\W*{re.escape(opening)}\b", answer, flags=re.IGNORECASE) is not None


CHECKERS: Mapping[str, Checker] = {
    "change_case:english_capital": lambda answer: _letters(answer).isupper(),
    "change_case:english_lowercase": lambda answer: _letters(answer).islower(),
    "change_case:capital_word_frequency": lambda answer, capital_relation, capital_frequency: (
        _relation(
            sum(word.isupper() for word in _words(answer)), capital_relation, capital_frequency
        )
    ),
    "combination:repeat_prompt": lambda answer, prompt_to_repeat: (
        answer.strip().lower().startswith(prompt_to_repeat.strip().lower())
    ),
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda answer, num_placeholders: (
        len(re.findall(r"\[.*?\]", answer)) >= num_placeholders
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda answer: any(
        f"My answer is {choice}." in answer for choice in ("yes", "no", "maybe")
    ),
    "detectable_format:json_format": _json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": _title,
    "keywords:existence": lambda answer, keywords: all(occurrences(answer, k) for k in keywords),
    "keywords:forbidden_words": lambda answer, forbidden_words: (
        not any(occurrences(answer, word) for word in forbidden_words)
    ),
    "keywords:frequency": lambda answer, keyword, frequency, relation: _relation(
        occurrences(answer, keyword), relation, frequency
    ),
    "keywords:letter_frequency": lambda answer, letter, let_frequency, let_relation: _relation(
        answer.lower().count(letter.lower()), let_relation, let_frequency
    ),
    "length_constraints:nth_paragraph_first_word": _first_word,
    "length_constraints:number_paragraphs": lambda answer, num_paragraphs: (
        len([part for part in re.split(r"\s?\*\*\*\s?", answer) if part.strip()]) == num_paragraphs
    ),
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": lambda answer, num_words, relation: _relation(
        len(_words(answer)), relation, num_words
    ),
    "punctuation:no_comma": lambda answer: "," not in answer,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
    # Ours.
    "content:digits": lambda answer: re.search(r"\d", answer) is not None,
    "content:no_digits": lambda answer: re.search(r"\d", answer) is None,
    "content:number_alone": lambda answer: (
        re.fullmatch(r"\d+(?:[.,]\d+)?\.?", answer.strip()) is not None
    ),
    "content:one_of": _one_of,
    "layout:comma_list": _comma_list,
    "layout:numbered_list": _numbered,
    "layout:parts": _parts,
    "layout:spelled": _spelled,
    "layout:one_line": lambda answer: "\n" not in answer.strip(),
    "layout:table": _table,
    "length:words": lambda answer, count: len(_words(answer)) == count,
    "startend:opening": _opening,
    "startend:question_mark": lambda answer: answer.strip().endswith(("?", '?"')),
}
