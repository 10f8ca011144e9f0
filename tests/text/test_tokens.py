import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.text.tokens import END, START, extended, tokenize

texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)
mixed = st.one_of(
    texts,
    st.text(alphabet="aB'\u2019.,!? \n\t0123#-_é你好ก", max_size=30),
    st.just("U.S. isn't 3.5\n\n##"),
)


def words(text: str) -> list[str]:
    tokens = tokenize(pa.array([text]))
    assert tokens.ids[0] == START
    assert tokens.ids[-1] == END
    return [text[a:b] for a, b in zip(tokens.start[1:-1], tokens.end[1:-1], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("don't she\u2019s", ["don't", "she\u2019s"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("3.5 and 1,000.", ["3.5", "and", "1,000", "."]),
        ("the U.S. e.g. this", ["the", "U.S", ".", "e.g", ".", "this"]),
        ("end.Next", ["end", ".", "Next"]),
        ("#### 42", ["####", "42"]),
        ("a\nb\n \n c", ["a", "\n", "b", "\n \n", "c"]),
        ("你好\uff0c世界 abc", ["你", "好", "\uff0c", "世", "界", "abc"]),
        ("สวัสดี", list("สวัสดี")),
        ("मुझे बताओ।", ["मुझे", "बताओ", "।"]),
        ("مرحبا بالعالم؟", ["مرحبا", "بالعالم", "؟"]),
        ("x = snake_case(1)", ["x", "=", "snake_case", "(", "1", ")"]),
        ("👩‍👩‍👧 ok", ["👩", "👩", "👧", "ok"]),
        ("", []),
        (" \t ", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Lopez met Mrs. Smith.", 1),
        ("J. R. Smith wrote it. A. B. Jones read it.", 2),
        ("No. 7 is here. He said no. Then he left.", 3),
        ("Birds, e.g. owls, eat mice, i.e. meat.", 1),
        ("He lives in the U.S.\nShe does not.", 2),
        ("Ask the dr.", 1),
        ("Is it 3.5? It is!", 2),
    ],
)
def test_dots_of_abbreviations_end_no_sentence(text: str, sentences: int) -> None:
    assert tokenize(pa.array([text])).stops.sum() == sentences


def test_letter_case_does_not_matter_but_words_do() -> None:
    upper, lower, other = (tokenize(pa.array([t])).ids for t in ("SURE É", "sure é", "sore é"))
    assert upper.tolist() == lower.tolist()
    assert upper.tolist() != other.tolist()


def test_runs_of_punctuation_and_of_breaks_are_one_token_each() -> None:
    long, longer = (tokenize(pa.array([t])).ids for t in ("-----\n\n\nx", "-------\n\nx"))
    assert long.tolist() == longer.tolist()
    one, two = (tokenize(pa.array([t])).ids for t in ("a\nb", "a\n\nb"))
    assert one.tolist() != two.tolist()


@given(mixed)
def test_the_line_ends_of_windows_are_line_ends(text: str) -> None:
    unix = text.replace("\r", "")
    windows = unix.replace("\n", "\r\n")
    assert tokenize(pa.array([windows])).ids.tolist() == tokenize(pa.array([unix])).ids.tolist()


@given(st.lists(mixed, max_size=6))
def test_rows_do_not_touch_each_other(rows: list[str]) -> None:
    together = tokenize(pa.array(rows, pa.string()))
    assert len(together) == len(rows)
    for number, row in enumerate(rows):
        alone = tokenize(pa.array([row]))
        here = slice(together.offsets[number], together.offsets[number + 1])
        for name in ("ids", "start", "end", "number", "breaks", "stops"):
            assert getattr(together, name)[here].tolist() == getattr(alone, name).tolist()


@given(mixed)
def test_tokens_cover_all_but_white_space_in_order(text: str) -> None:
    tokens = tokenize(pa.array([text]))
    start, end = tokens.start[1:-1], tokens.end[1:-1]
    assert (start < end).all()
    assert (end[:-1] <= start[1:]).all()
    covered = np.zeros(len(text), dtype=bool)
    for a, b in zip(start, end, strict=True):
        covered[a:b] = True
    for place in np.flatnonzero(~covered):
        # What no token covers is white space or a control or format character.
        assert not text[place].isalnum()
    assert tokens.end[-1] == len(text)


@given(st.lists(mixed, min_size=1, max_size=5), st.integers(0, 4))
def test_sliced_arrays(rows: list[str], skipped: int) -> None:
    array = pa.array(["x", *rows])[1:]
    assert tokenize(array).ids.tolist() == tokenize(pa.array(rows)).ids.tolist()


def test_nulls_are_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        tokenize(pa.array(["a", None]))


def test_ids_are_the_same_in_every_process() -> None:
    # A committed value: stored sketches and template books must keep their meaning.
    tokens = tokenize(pa.array(["Certainly!"]))
    assert tokens.ids[1:-1].tolist() == PINNED
    assert pickle.loads(pickle.dumps(tokens)).ids.tolist() == tokens.ids.tolist()  # noqa: S301


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=6))
def test_sequences_in_another_order_hash_differently(ids: list[int]) -> None:
    def gram(sequence: list[int]) -> int:
        value = np.zeros(1, dtype=np.uint64)
        for item in sequence:
            value = extended(value, np.array([item], dtype=np.uint64))
        return int(value[0])

    assert (gram(ids) == gram(ids[::-1])) == (ids == ids[::-1])


PINNED: list[int] = [17381408841155013236, 13643827889339243483]
