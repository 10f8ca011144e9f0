from __future__ import annotations

import dataclasses
import html
import json
import pickle
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations.expectations.row_conditions import Column
from gx_helpers import checkpoint_over, pandas_batch, template_share, validate

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import base, classes, describe, folders, store
from synflaw_audit.expectations.doctor import diagnose
from synflaw_audit.expectations.wording import condition_in_words
from synflaw_audit.verdicts.catalogue import Check, load_checks

CHECKS = load_checks()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_is_an_expectation(check: Check) -> None:
    expectation = getattr(synflaw, classes.class_name(check))
    made = expectation.recommended(answer="completion")
    assert made.expectation_type.startswith(store.TYPE_PREFIX)
    assert made.configuration.type == made.expectation_type
    assert made.configuration.to_domain_obj() == made
    assert made.configuration.kwargs["max_score"] == check.fail_above
    assert pickle.loads(pickle.dumps(expectation)) is expectation  # noqa: S301
    assert check.title in str(expectation.__doc__)


def test_a_new_check_needs_no_second_definition(ephemeral: Any, templated: Any) -> None:
    check = dataclasses.replace(CHECKS[0], code="SF999", name="brand-new", fail_above=0.1)
    made = synflaw.expectations_for([check], __name__)
    assert list(made) == ["ExpectSynflawBrandNewScoreToBeAtMost"]
    assert store.resolves("expect_synflaw_brand_new_score_to_be_at_most")
    new = made["ExpectSynflawBrandNewScoreToBeAtMost"].recommended()
    limits = {"brand-new": 0.1}
    both = [new, synflaw.ExpectSynflawFormatUniformityToBeWithinLimits(max_scores=limits)]
    for found in validate(ephemeral, templated, both).results:
        assert not found.success
        assert found.result["details"]["failing"] == ["brand-new"]
        assert found.result["unexpected_count"] > 0


def test_the_bases_are_no_expectations() -> None:
    for name in ("audit_expectation", "check_expectation"):
        assert not store.resolves(name)


def test_thresholds_are_required_and_everything_measured_by_is_written_out() -> None:
    with pytest.raises(ValueError, match="max_score"):
        synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost()
    with pytest.raises(ValueError, match="max_score"):
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost()
    assert template_share(0.2).configuration.kwargs == {
        "max_score": 0.2,
        "embedder": "lsa",
        "seed": 0,
        "allow_undecided": False,
        "max_rejected_share": 0.1,
    }
    overall = synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended()
    assert overall.configuration.kwargs["max_scores"] == classes.stable_limits()
    risk = synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.5)
    assert risk.configuration.kwargs["max_scores"] == classes.stable_limits()


@pytest.mark.parametrize("limit", [-0.1, 1.1, 40])
def test_a_limit_is_a_score(limit: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        template_share(limit)
    with pytest.raises(ValueError, match="between 0 and 1"):
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits(max_scores={"answer-template": limit})


@pytest.mark.parametrize("limit", [True, None, "high", [0.2], float("nan")])
def test_a_limit_is_a_number(limit: Any) -> None:
    with pytest.raises(ValueError, match="max_score"):
        template_share(limit)
    with pytest.raises(ValueError, match="max_scores"):
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(
            max_score=0.5, max_scores={"answer-template": limit}
        )


def test_an_unknown_check_or_expectation_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"answer-temple.*answer-template"):
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits(max_scores={"answer-temple": 0.1})
    with pytest.raises(ValueError, match="no check"):
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits(max_scores={})
    with pytest.raises(AttributeError, match="ExpectSynflawAnswerTemplateScoreToBeAtMost"):
        synflaw.ExpectSynflawAnswerTempleScoreToBeAtMost  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        synflaw.nonsense  # noqa: B018


def test_a_limit_may_be_a_suite_parameter(ephemeral: Any, templated: Any) -> None:
    expectation = template_share({"$PARAMETER": "largest"})  # type: ignore[arg-type]
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s", expectations=[expectation]))
    asset = ephemeral.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": templated})
    assert not batch.validate(suite, expectation_parameters={"largest": 0.1}).success
    assert batch.validate(suite, expectation_parameters={"largest": 1.0}).success


def test_the_description_is_made_from_the_classes() -> None:
    catalogue = describe.catalogue()
    names = {entry["class_name"] for entry in catalogue["expectations"].values()}
    assert {classes.class_name(check) for check in CHECKS} < names
    assert len(names) == len(CHECKS) + 2
    for kind, entry in catalogue["expectations"].items():
        schema = entry["schema"]
        assert schema["properties"]["metadata"]["properties"]["expectation_type"]["const"] == kind
        assert {"max_score", "max_scores"} & set(schema["required"])
        assert store.resolves(kind)


def test_severity_is_kept_and_reported(ephemeral: Any, templated: Any) -> None:
    result = validate(ephemeral, templated, [template_share(severity="warning")])
    assert not result.success
    assert result.results[0].expectation_config.severity == "warning"
    assert result.get_max_severity_failure() == "warning"


class ExpectAnswersToVary(synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost):  # type: ignore[misc, name-defined]
    """Customised as Great Expectations documents it: a subclass with defaults and words."""

    max_score: float = 0.3
    answer: str = "completion"
    description: str = "Answers must vary"


def test_a_subclass_is_one_of_ours_everywhere(project: Any, templated: Any, tmp_path: Path) -> None:
    frame = templated.rename(columns={"answer": "completion"})
    action = synflaw.WriteFlaggedSubsetAction(name="flagged", directory=str(tmp_path / "out"))
    batch = pandas_batch(project)
    checkpoint_over(project, batch, [ExpectAnswersToVary()], actions=[action])
    stored = json.loads((Path(project.root_directory) / "expectations/made.json").read_text())
    kwargs = stored["expectations"][0]["kwargs"]
    assert stored[store.SEAL] == {"expectations": 1}
    assert (kwargs["max_score"], kwargs["answer"]) == (0.3, "completion")
    again = gx.get_context(mode="file", context_root_dir=project.root_directory)
    again.variables.progress_bars = {"globally": False}
    result = again.checkpoints.get("made").run(batch_parameters={"dataframe": frame})
    found = next(iter(result.run_results.values())).results[0]
    assert found.result["details"]["limits"] == {"answer-template": 0.3}
    assert (found.success, found.expectation_config.type) == (False, "expect_answers_to_vary")
    (folder,) = folders.latest(tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["flagged"]["records"] == found.result["unexpected_count"] > 0
    diagnosis = diagnose(Path(project.root_directory))
    assert [suite.ours for suite in diagnosis.suites] == [1]
    assert diagnosis.healthy


def test_all_limits_may_be_one_suite_parameter(ephemeral: Any, templated: Any) -> None:
    overall = synflaw.ExpectSynflawFormatUniformityToBeWithinLimits
    with pytest.raises(ValueError, match="cannot be a parameter by itself"):
        overall(max_scores={"answer-template": {"$PARAMETER": "largest"}})
    expectation = overall(max_scores={"$PARAMETER": "limits"})
    suite = ephemeral.suites.add(gx.ExpectationSuite(name="s", expectations=[expectation]))
    asset = ephemeral.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": templated})
    strict, lenient = (
        batch.validate(suite, expectation_parameters={"limits": limits}).results[0]
        for limits in ({"answer-template": 0.1}, {"answer-template": 1.0})
    )
    assert (strict.success, lenient.success) == (False, True)
    assert strict.result["details"]["failing"] == ["answer-template"]
    with pytest.raises(ValueError, match=r"unknown checks \['nonsense'\]"):
        batch.validate(suite, expectation_parameters={"limits": {"nonsense": 1.0}})


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (None, ""),
        (Column("kind") == "made", 'kind is "made"'),
        (Column("n") >= 3, "n is at least 3"),
        (Column("n").is_in([1, 2]), "n is one of 1, 2"),
        (Column("n").is_not_null(), "n is not missing"),
        ((Column("n") < 3) & (Column("kind") != "x"), 'n is below 3 and kind is not "x"'),
        ((Column("n") < 3) | Column("n").is_null(), "(n is below 3 or n is missing)"),
        ("n > 3", "n > 3"),
    ],
)
def test_a_row_condition_reads_as_words(condition: Any, words: str) -> None:
    assert condition_in_words(condition) == words
    if condition is not None and not isinstance(condition, str):
        assert condition_in_words(json.loads(json.dumps(condition.dict()))) == words
        shown = str(
            template_share(row_condition=condition)._prescriptive_renderer(
                configuration=template_share(row_condition=condition).configuration
            )[1]
        )
        assert html.escape(words) in shown


def test_a_parameter_reads_as_words() -> None:
    one = template_share({"$PARAMETER": "largest"})  # type: ignore[arg-type]
    every = synflaw.ExpectSynflawFormatUniformityToBeWithinLimits(max_scores={"$PARAMETER": "all"})
    for expectation, words in ((one, "the parameter largest"), (every, "the parameter all")):
        (content,) = expectation._prescriptive_renderer(configuration=expectation.configuration)
        shown = content.to_json_dict()["string_template"]["params"]
        assert any(words in str(value) for value in shown.values())


@pytest.mark.filterwarnings("ignore:`result_format` configured at the:UserWarning")
@pytest.mark.parametrize(
    "expectation",
    [
        template_share(),
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended(),
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.5),
    ],
    ids=lambda expectation: expectation.expectation_type,
)
def test_great_expectations_checklist_is_ticked(
    expectation: Any, ephemeral: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    diagnostics = expectation.run_diagnostics(
        only_consider_these_backends=["pandas"], context=ephemeral
    )
    assert len(diagnostics.tests) == 2
    assert not diagnostics.errors
    checklist = expectation.print_diagnostic_checklist(diagnostics)
    for ticked in (
        "Has a valid library_metadata object",
        "Has a docstring, including a one-line short description that begins with",
        "Has at least one positive and negative example case, and all test cases pass",
        "Has core logic and passes tests on at least one Execution Engine",
        "Has both statement Renderers: prescriptive and diagnostic",
    ):
        assert f"✔ {ticked}" in checklist, checklist
    assert checklist.strip() in capsys.readouterr().out


def test_the_examples_of_every_expectation_come_out_as_they_say(ephemeral: Any) -> None:
    every = describe.expectation_classes()
    (rows,) = {json.dumps(case["data"]) for made in every for case in made.examples}
    made = [
        (expectation(**test["in"]), test["out"]["success"])
        for expectation in every
        for case in expectation.examples
        for test in case["tests"]
    ]
    frame = pd.DataFrame(json.loads(rows))
    results = validate(ephemeral, frame, [expectation for expectation, _ in made]).results
    for (expectation, success), found in zip(made, results, strict=True):
        message = found.result["details"]["message"]
        assert found.success is success, (expectation.expectation_type, message)
        if success:
            assert found.result["observed_value"] is not None or "reference" in message


@pytest.mark.parametrize(
    "expectation", describe.expectation_classes(), ids=lambda expectation: expectation.__name__
)
def test_the_schema_says_what_great_expectations_own_do(expectation: Any) -> None:
    schema = json.loads(expectation.schema_json())
    own = json.loads(gx.expectations.ExpectColumnValuesToNotBeNull.schema_json())
    said = schema["properties"]["metadata"]["properties"]
    shared = {"data_quality_issues", "library_metadata", "short_description"}
    assert shared | {"supported_data_sources"} <= said.keys()
    for name in shared & own["properties"]["metadata"]["properties"].keys():
        theirs = own["properties"]["metadata"]["properties"][name]
        assert {key: said[name][key] for key in ("title", "type")} == {
            key: theirs[key] for key in ("title", "type")
        }
    description = said["short_description"]["const"]
    assert description.startswith("Expect ")
    assert description.endswith(".")
    assert schema["title"] == description.rstrip(".")
    for name, field in schema["properties"].items():
        if name in {
            "max_score",
            "max_scores",
            *base.FILLED,
            "by",
            "question",
            "answer",
            "row_schema",
        }:
            assert field["description"]
