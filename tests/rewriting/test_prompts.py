"""Every prompt says what its examples ask of it, and the loader refuses what is not valid."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.errors import CatalogueError
from synflaw_audit.rewriting import RewriteRow, WantedForm
from synflaw_audit.rewriting.generators.prompted import cleaned
from synflaw_audit.rewriting.prompts import (
    PromptExample,
    PromptTemplate,
    load_prompts,
    prompt_for,
    shipped,
)

EXAMPLES = [
    pytest.param(prompt, example, id=f"{prompt.name}-{number}")
    for prompt in shipped()
    for number, example in enumerate(prompt.examples, 1)
]


@pytest.mark.parametrize(("prompt", "example"), EXAMPLES)
def test_a_prompt_says_what_its_example_asks(
    prompt: PromptTemplate, example: PromptExample
) -> None:
    text = prompt.of(example.row(), example.form, example.domain)
    for said in example.contains:
        assert said in text
    for said in example.lacks:
        if not any(said in held for held in (example.question, example.content)):
            assert said not in text


TEXT = st.text(st.sampled_from("ab {}$<*>question content facts"), max_size=40)


@given(TEXT, TEXT)
def test_what_a_row_says_is_never_read_as_a_place(question: str, content: str) -> None:
    for prompt in shipped():
        text = prompt.of(RewriteRow(question, content), WantedForm(), ["a", "b"])
        assert question.strip() in text
        assert content.strip() in text


VALID = """
name = "mine"
when = "any"
why = "It is mine."
text = "Say {content} for {question}."
[[example]]
question = "Why?"
content = "So."
contains = ["Say So. for Why?."]
"""


def test_one_s_own_prompt_is_used_before_ours(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(VALID)
    prompts = load_prompts(tmp_path)
    assert prompt_for(prompts, ()).name == "mine"
    assert prompt_for(prompts, ("pain",)).name == "domain-specific"
    assert prompt_for(load_prompts(), ()).name == "task-specific"


@pytest.mark.parametrize(
    ("was", "is_", "says"),
    [
        ("{content}", "{contents}", "Did you mean 'content'?"),
        ("{question}", "you", "has no place {question}"),
        ('name = "mine"', 'name = "other"', "differs from the file's stem"),
        ('"any"', '"ever"', "choices: 'domain', 'any'"),
        ("why =", "because =", "because"),
        ('contains = ["Say So. for Why?."]', "contains = []", "tests nothing"),
    ],
)
def test_what_is_not_valid_is_refused(was: str, is_: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(VALID.replace(was, is_))
    with pytest.raises(CatalogueError) as raised:
        load_prompts(tmp_path)
    assert says in str(raised.value)
    assert "mine.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Here is the rewritten answer:\n\nIt rains.", ["It rains."]),
        ('"It rains."', ["It rains."]),
        ('"It rains" is "said".', ['"It rains" is "said".']),
        ("It rains: here is why:\nclouds.", ["It rains: here is why:\nclouds."]),
        (" \n", []),
    ],
)
def test_what_a_model_says_around_its_answer_goes(said: str, expected: list[str]) -> None:
    assert cleaned(said) == expected
