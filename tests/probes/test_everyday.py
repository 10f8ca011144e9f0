from collections import Counter

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.probes.checkers import CHECKERS
from synflaw_audit.probes.everyday import (
    everyday_instructions,
    foreign_prompts,
    instruction_kinds,
    languages,
)


def test_there_are_many_kinds_prompts_and_languages() -> None:
    prompts = everyday_instructions()
    assert len(instruction_kinds()) >= 25
    assert len({prompt.prompt for prompt in prompts}) >= 300
    assert len(languages()) == 5
    assert {prompt.kind for prompt in prompts} == set(instruction_kinds())
    assert {prompt.language for prompt in prompts} == set(languages())


def test_every_kind_is_asked_for_in_every_language() -> None:
    asked = Counter((prompt.kind, prompt.language) for prompt in everyday_instructions(1000))
    assert len(asked) == len(instruction_kinds()) * len(languages())


@pytest.mark.parametrize("seed", range(3))
def test_every_prompt_can_be_checked_and_is_filled_in(seed: int) -> None:
    for prompt in everyday_instructions(seed=seed):
        (name,), (arguments,) = prompt.ids, prompt.kwargs
        assert isinstance(CHECKERS[name]("An answer.", **arguments), bool)
        assert "{" not in prompt.prompt
        assert "}" not in prompt.prompt
        for value in arguments.values():
            assert "{" not in str(value)


def test_any_number_of_prompts_has_the_kinds_evenly() -> None:
    for count in (10, 35, 96, 400):
        drawn = Counter(prompt.kind for prompt in everyday_instructions(count, languages=["en"]))
        assert sum(drawn.values()) == count
        assert max(drawn.values()) - min(drawn.values()) <= 1
        assert len(drawn) == min(count, len(instruction_kinds()))


def test_the_same_call_gives_the_same_prompts() -> None:
    assert everyday_instructions(50, seed=3) == everyday_instructions(50, seed=3)
    assert everyday_instructions(50, seed=3) != everyday_instructions(50, seed=4)


def test_an_unknown_language_is_named_with_the_choices() -> None:
    with pytest.raises(InputError, match=r"'xx'.*en, de"):
        everyday_instructions(languages=["xx"])


def test_foreign_prompts_are_many_and_all_different() -> None:
    prompts = foreign_prompts()
    assert len(set(prompts)) == len(prompts) >= 200
    # No opening is a format of their own.
    openings = Counter(prompt.split()[0] for prompt in prompts)
    assert max(openings.values()) < len(prompts) / 3
