"""A program is known by its lines, in whatever language, and only its syntax is taken out."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from synflaw_audit.allowed.code import RESERVED, code_ranges, is_code

PROGRAMS = {
    "python": "import os\n\n@cache\ndef size(path: str) -> int:\n    return os.stat(path).st_size",
    "one line": "total = sum(x * x for x in values)",
    "javascript": "const seen = new Set();\nfor (const x of rows) {\n  seen.add(x);\n}",
    "c": '#include <stdio.h>\n\nint main(void) {\n  printf("hello\\n");\n  return 0;\n}',
    "java": "public class Heap {\n  private int[] kept;\n\n  int least() { return kept[0]; }\n}",
    "sql": "SELECT name, count(*)\nFROM boats\nWHERE length > 9\nGROUP BY name\nORDER BY 2 DESC",
    "rust": "fn twice(x: u32) -> u32 {\n    let y = x;\n    x + y\n}",
    "shell": '#!/bin/sh\nfor f in *.txt; do\n  wc -l "$f"\ndone',
    "go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println(1)\n}',
    "html": "<ul>\n  <li>one</li>\n</ul>",
}
PROSE = (
    "Return the book before Friday.",
    "return it when you can, but do not hurry on my account",
    "For three days it rained:\nthen the sun came out.",
    "If it rains, stay in. Else go out.",
    "Paris (the capital of France)",
    "Import duties rose by 3% in 1931; trade fell.",
    "I would begin with these:\n- a rope\n- a lamp",
    "while the kettle boils, cut the bread",
    "",
)


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_program_is_one_bare_or_fenced(language: str) -> None:
    program = PROGRAMS[language]
    assert is_code(program)
    taken = [program[a:b] for a, b in code_ranges(program)]
    assert taken
    fenced = f"It is this:\n```\n{program}\n```\nThat (and only that) is it."
    assert [fenced[a:b] for a, b in code_ranges(fenced)] == taken


@pytest.mark.parametrize("language", PROGRAMS)
def test_only_reserved_words_and_marks_are_taken(language: str) -> None:
    program = PROGRAMS[language]
    for start, end in code_ranges(program):
        assert RESERVED.issuperset(re.findall(r"\w+", program[start:end].lower()))


def test_texts_comments_names_and_numbers_stay() -> None:
    program = 'x = "if not, return (it)"  # or return this (one)\nreturn f(x, 42)'
    left = "".join(
        " " if any(a <= i < b for a, b in code_ranges(program)) else c
        for i, c in enumerate(program)
    )
    assert "if not, return (it) " in left
    assert " or return this (one" in left
    assert left.split()[-3:] == ["f", "x", "42"]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_no_program(text: str) -> None:
    assert not is_code(text)


def test_natural_answers_are_no_programs(natural: pd.DataFrame) -> None:
    assert not any(map(is_code, natural["answer"]))
