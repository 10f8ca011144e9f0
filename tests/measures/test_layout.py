import numpy as np
import pyarrow as pa
import pytest
from measured import corpus_of

from synflaw_audit.measures.layout import LayoutConcentration, skeletons, spoken


def layout(text: str) -> str:
    (name,), _, labels = skeletons(pa.array([text]))
    return spoken(name, labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One line.", "paragraph"),
        ("", "nothing"),
        ("One.\n\nTwo.\r\n \r\nThree.", "paragraph, paragraph, paragraph"),
        ("Intro\n- a\n- b\n\n- c\nEnd", "paragraph, bullet list, paragraph"),
        ("• a\n• b", "bullet list"),
        ("1. a\n2) b", "numbered list"),
        ("# Title\nText\n## More\nText", "heading, paragraph"),
        ("**Title**\nText", "heading, paragraph"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "table"),
        ("Run:\n```sh\n# no heading\n- no list\n```\nDone", "“run:”, code, paragraph"),
        ("```\nx\n```\ny\n```\nz\n```", "code, paragraph, code"),
        ("Step 1: a\nStep 2: b\nAnswer: c", "“step:”, “answer:”"),
        ("**Answer:** yes\nBecause: no", "“answer:”, “because:”"),
        ("答案\uff1a好", "“答案:”"),
        ("Ответ: да", "“ответ:”"),
        ("https://example.org", "paragraph"),
        ("1. a\n   why\n2. b\n   why\n3. c\n   why", "numbered list, paragraph"),
    ],
)
def test_a_layout_reads_as_its_blocks(text: str, expected: str) -> None:
    assert layout(text) == expected


def test_an_open_fence_ends_with_its_row() -> None:
    names, code, labels = skeletons(pa.array(["```\nx = 1", "One.\n\nTwo."]))
    assert [spoken(names[i], labels) for i in code] == ["code", "paragraph, paragraph"]


def test_plain_paragraphs_are_not_uniform() -> None:
    assert LayoutConcentration().score(corpus_of([f"answer {i}" for i in range(50)])).value == 0


def test_a_layout_of_most_rows_scores_about_their_share() -> None:
    rigid = [f"Answer: {i}\n\nExplanation: {i}\n\nConfidence: {i}" for i in range(700)]
    free = [f"text {i}" for i in range(300)]
    score = LayoutConcentration().score(corpus_of(rigid + free))
    assert score.value == pytest.approx(0.7, abs=0.02)
    assert score.low < 0.7 < score.high
    assert score.observed["commonest"][0]["share"] == 0.7


def test_neither_number_of_rows_nor_length_of_lists_matters() -> None:
    rng = np.random.default_rng(0)
    answers = [
        rng.choice(["Intro {}", "Intro {}\nMore", "# T {}\nText", "{}"])
        + "\n- item" * int(rng.choice([0, 2, 3, 9]))
        for _ in range(4000)
    ]
    answers = [answer.format(i) for i, answer in enumerate(answers)]
    whole = LayoutConcentration().score(corpus_of(answers)).value
    half = LayoutConcentration().score(corpus_of(answers[::2])).value
    tripled = [answer.replace("- item", "- item\n- item\n- item") for answer in answers]
    assert half == pytest.approx(whole, abs=0.02)
    assert LayoutConcentration().score(corpus_of(tripled)).value == pytest.approx(whole)
