"""Which words and marks of a program are its language's, whatever it does.

An answer is a program if nearly all of its lines read as statements of some language, or it fences
one. What it is made of is told without knowing the language: words that common languages reserve,
and marks, outside of texts and comments. Names, numbers, texts and comments are its content.
"""

from __future__ import annotations

import keyword
import re

Range = tuple[int, int]

STATEMENTS = 0.9  # of the lines that are not blank

_BLOCK = re.compile(r"^[ \t]*(```|~~~)[^\n]*\n(.*?)^[ \t]*\1", re.MULTILINE | re.DOTALL)
_STATEMENT = re.compile(
    r"""
    (?:async[ ]+)?def[ ]\w+[ ]?\(                                # Python
    | class[ ]+\w+[ ]*(?:[(:{]|extends\b|implements\b|$)
    | from[ ]+[\w.]+[ ]+import[ ]
    | (?:import|using|package|require|include)[ ]+["'<{*]?[\w.:/*-]+["'>]?(?:[ ]+as[ ]+\w+)?;?$
    | (?:if|elif|else|while|for|with|try|except|finally|switch|case|catch|do|match)\b
        .*(?:[:{]|[ ]do|[ ]then)$
    | (?:return|yield|raise|throw|await|assert|del|print|echo)\b(?!.*[a-z][.!?]$|.*(?:[ ][a-z]+){4})
    | (?:break|continue|pass|end|fi|done|esac)\b[ ]?;?$
    | (?:public|private|protected|static|final|const|let|var|function|func|fn|struct|enum|void|int
        |long|float|double|char|bool|boolean|string|auto|unsigned|extern|impl|pub|type|interface
        |namespace|template|local|export|default)\b.*[;{}(=,)>]$
    | \#[ ]*(?:include|define|ifdef|ifndef|endif|pragma|!) | <\?php | @\w
    | (?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|LEFT|INNER|GROUP|ORDER
        |HAVING|LIMIT|UNION|VALUES|SET|ON|AND|OR)\b.*\S
    | [\w.$@\[\]"'*&-]+(?:[ ]*,[ ]*[\w.$*]+)*(?:[ ]*:[ ]*[\w.\[\], |]+)?
        [ ]*(?:[-+*/%|&^@]|<<|>>|\*\*|//|:)?=(?!=)[ ]*\S         # an assignment
    | [\w.$:>-]+\(.*\)?[ ]*[;:,{]?$                             # a call
    | \.\w+\(                                                 # a call that goes on
    | [\])}]+[;,)]*$ | </?[a-zA-Z][^<>]*>
    | (?:\#|//|/\*|\*/|--)
    """,
    re.VERBOSE,
)
_TEXT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_ENDS = re.compile(r"[;{}\[(]$")
_PIECE = re.compile(
    r"""
    (?P<content>
        \"{3}.*?(?:\"{3}|\Z) | '{3}.*?(?:'{3}|\Z)                # texts
        | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `(?:[^`\\]|\\.)*`
        | /\*.*?(?:\*/|\Z) | (?://|\#(?!\s*(?:include|define)\b)|--[ ])[^\n]*   # comments
    )
    | (?P<word>[^\W\d]\w*) | (?P<number>\d[\w.]*) | (?P<mark>[^\w\s"'`]+?)
    """,
    re.VERBOSE | re.DOTALL,
)
# Of languages other than Python, which brings its own list.
_RESERVED = """
abstract alter auto begin bool boolean by byte catch char const create default delete desc do done
double drop echo else elseif end endif enum esac exec explicit export extends extern fi final float
fn foreach from func function goto group having implements include inner insert instanceof int
interface into join left let limit local long mut namespace new null nullptr of on order outer
package private protected pub public require right select self set short signed sizeof static string
struct super switch table template then this throw throws typedef typename undefined union unsigned
update use using values var virtual void volatile when where
"""
RESERVED = frozenset({*map(str.lower, keyword.kwlist), "match", "case", *_RESERVED.split()})


def code_ranges(text: str) -> list[Range]:
    """The words and marks of the language in the programs of a text; none if it holds none."""
    blocks = [found.span(2) for found in _BLOCK.finditer(text)]
    programs = blocks or ([(0, len(text))] if is_code(text) else [])
    return [span for start, end in programs for span in _syntax(text, start, end)]


def is_code(text: str) -> bool:
    """Whether a text is a program as a whole, by the look of its lines."""
    lines = [_TEXT.sub('"x"', line) for line in text.split("\n") if line.strip()]
    statements = [bool(_STATEMENT.match(line.strip())) for line in lines]
    # What is indented may go on with a statement, and what ends like one is one.
    held = [
        said or line[:1].isspace() or bool(_ENDS.search(line.rstrip()))
        for said, line in zip(statements, lines, strict=True)
    ]
    return any(statements) and sum(held) >= STATEMENTS * len(lines)


def _syntax(text: str, start: int, end: int) -> list[Range]:
    ranges: list[Range] = []
    for found in _PIECE.finditer(text, start, end):
        first, last = found.span()
        if found["content"]:
            # The signs around texts and before comments are marks.
            inside = found["content"].strip("\"'`/*#-")
            begin = text.index(inside, first) if inside else last
            ranges += [(first, begin), (begin + len(inside), last)]
        elif found["mark"] or (found["word"] and found["word"].lower() in RESERVED):
            ranges.append((first, last))
    return _joined(ranges)


def _joined(ranges: list[Range]) -> list[Range]:
    """Ranges in order, those that touch as one."""
    joined: list[Range] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        elif start < end:
            joined.append((start, end))
    return joined
