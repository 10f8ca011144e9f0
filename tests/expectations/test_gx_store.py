from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import great_expectations as gx
import pytest
from gx_helpers import template_share

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import store
from synflaw_audit.expectations.errors import UnhookedProjectError, UnresolvedExpectationError


def suite_file(context: Any, name: str) -> Path:
    return Path(context.root_directory) / "expectations" / f"{name}.json"


def test_a_suite_of_ours_is_sealed_and_loads_whole(project: Any) -> None:
    suite = gx.ExpectationSuite(name="s", expectations=[template_share()])
    suite.add_expectation(gx.expectations.ExpectTableRowCountToBeBetween(min_value=1))
    project.suites.add(suite)
    stored = json.loads(suite_file(project, "s").read_text())
    assert stored[store.SEAL] == {"expectations": 1}
    again = gx.get_context(mode="file", context_root_dir=project.root_directory)
    assert again.suites.get("s") == project.suites.get("s") == suite
    assert len(again.suites.get("s").expectations) == 2


def test_a_suite_without_ours_is_stored_as_great_expectations_does(project: Any) -> None:
    row_count = gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)
    project.suites.add(gx.ExpectationSuite(name="s", expectations=[row_count]))
    assert store.SEAL not in json.loads(suite_file(project, "s").read_text())


def test_editing_keeps_every_expectation_and_moves_the_seal(project: Any) -> None:
    suite = project.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    suite.add_expectation(synflaw.ExpectSynflawAnswerOpeningScoreToBeAtMost(max_score=0.3))
    stored = json.loads(suite_file(project, "s").read_text())
    assert stored[store.SEAL] == {"expectations": 2}
    suite.delete_expectation(suite.expectations[0])
    stored = json.loads(suite_file(project, "s").read_text())
    assert stored[store.SEAL] == {"expectations": 1}
    assert store.count_ours(stored) == 1


def test_a_type_that_nothing_defines_is_an_error_and_not_dropped(project: Any) -> None:
    project.suites.add(gx.ExpectationSuite(name="s", expectations=[template_share()]))
    path = suite_file(project, "s")
    text = path.read_text().replace("answer_template", "answer_of_next_year")
    path.write_text(text)
    with pytest.raises(UnresolvedExpectationError, match="expect_synflaw_answer_of_next_year"):
        project.suites.get("s")
    with pytest.raises(UnresolvedExpectationError, match="'s'"):
        project.suites.all()
    assert path.read_text() == text


def by_constructor(context: Any) -> None:
    gx.ExpectationSuite(name="s", expectations=[template_share()])


def by_adding_it(context: Any) -> None:
    gx.ExpectationSuite(name="s").add_expectation(template_share())


def by_adding_it_to_a_stored_suite(context: Any) -> None:
    context.suites.add(gx.ExpectationSuite(name="s")).add_expectation(template_share())


def by_adding_a_suite_made_elsewhere(context: Any) -> None:
    gx.get_context(mode="ephemeral")
    suite = gx.ExpectationSuite(name="s", expectations=[template_share()])
    gx.get_context(mode="file", context_root_dir=context.root_directory).suites.add(suite)


@pytest.mark.parametrize(
    "store_it",
    [
        by_constructor,
        by_adding_it,
        by_adding_it_to_a_stored_suite,
        by_adding_a_suite_made_elsewhere,
    ],
)
def test_a_project_without_the_hook_refuses_our_expectations(
    unhooked: Any, store_it: Callable[[Any], None]
) -> None:
    with pytest.raises(UnhookedProjectError, match=r"project/gx .*synflaw gx init"):
        store_it(unhooked)
    stored = Path(unhooked.root_directory, "expectations", "s.json")
    assert not stored.exists() or store.count_ours(json.loads(stored.read_text())) == 0


def test_a_project_in_memory_needs_no_hook(ephemeral: Any) -> None:
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s"))
    suite.add_expectation(template_share())
    assert len(ephemeral.suites.get("s").expectations) == 1
