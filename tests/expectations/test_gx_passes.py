from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from gx_helpers import checkpoint_over, pandas_batch, template_share, validate

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import classes
from synflaw_audit.reading.rows import Piece
from synflaw_audit.reading.tables import DataFrameInput
from synflaw_audit.verdicts.catalogue import load_checks


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every reading of a DataFrame, those of the look at its first rows left out."""
    counts: list[int] = []
    pieces = DataFrameInput.pieces

    def counted(self: DataFrameInput, columns: Any, size: int) -> Iterator[Piece]:
        if columns is None:
            yield from pieces(self, columns, size)
            return
        counts.append(0)
        for piece in pieces(self, columns, size):
            counts[-1] += piece.batch.num_rows if hasattr(piece, "batch") else len(list(piece))
            yield piece

    monkeypatch.setattr(DataFrameInput, "pieces", counted)
    return counts


def every_expectation(**arguments: Any) -> list[Any]:
    return [
        *(getattr(synflaw, classes.class_name(c)).recommended(**arguments) for c in load_checks()),
        synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended(**arguments),
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.5, **arguments),
    ]


def test_one_pass_where_nothing_fails(ephemeral: Any, natural: Any, reads: list[int]) -> None:
    limits = {check.name: 1.0 for check in load_checks()}
    made = [getattr(synflaw, classes.class_name(check)) for check in load_checks()]
    overall = synflaw.ExpectSynflawFormatUniformityToBeWithinLimits
    lenient = [
        *(expectation(max_score=1.0, allow_undecided=True) for expectation in made),
        overall(max_scores=limits, allow_undecided=True),
    ]
    assert validate(ephemeral, natural, lenient).success
    assert reads == [len(natural)]


@pytest.mark.parametrize("number", [1, 4, 9])
def test_two_passes_where_rows_are_flagged(
    ephemeral: Any, templated: Any, reads: list[int], number: int
) -> None:
    expectations = [template_share(), *every_expectation()][:number]
    result = validate(ephemeral, templated, expectations)
    assert len(result.results) == number
    assert not result.success
    assert reads == [len(templated)] * 2
    failed = [r for r in result.results if not r.success]
    assert {r.result["details"]["passes"] for r in failed} == {2}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"x": ["a"] * 60, "y": ["b"] * 60}), "no question and answer found"),
        (pd.DataFrame({"question": ["q"] * 60, "answer": [None] * 60}), "none of its 60 rows"),
        (
            pd.DataFrame({"question": ["q"] * 60, "answer": [pd.Timestamp("2024-01-01")] * 60}),
            "not text",
        ),
    ],
)
def test_bad_data_is_a_failed_expectation_and_is_read_once(
    ephemeral: Any, frame: pd.DataFrame, message: str, reads: list[int]
) -> None:
    result = validate(ephemeral, frame, every_expectation())
    assert not result.success
    assert len(result.results) == len(every_expectation())
    for found in result.results:
        assert found.exception_info["raised_exception"]
        assert message in found.exception_info["exception_message"]
        assert message in found.result["details"]["message"]
    assert len(reads) <= 1


def test_a_missing_column_is_named_with_the_choices(ephemeral: Any, natural: Any) -> None:
    result = validate(ephemeral, natural, [template_share(answer="completion")])
    message = result.results[0].exception_info["exception_message"]
    assert "'completion'" in message
    assert "'answer'" in message


def test_rows_that_cannot_be_read_are_counted_and_do_not_stop_the_audit(
    ephemeral: Any, templated: pd.DataFrame
) -> None:
    holes = templated.copy()
    holes.loc[[3, 5], "answer"] = None
    result = validate(ephemeral, holes, [template_share()]).results[0]
    assert result.result["details"]["rejected"] == 2
    assert result.result["element_count"] == len(templated)
    assert result.result["missing_count"] == 2


@pytest.mark.parametrize("allowed", [False, True])
def test_too_few_records_pass_only_if_that_is_allowed(
    ephemeral: Any, templated: pd.DataFrame, allowed: bool
) -> None:
    expectations = [template_share(allow_undecided=allowed)]
    result = validate(ephemeral, templated.head(5), expectations).results[0]
    assert result.success is allowed
    message = result.result["details"]["message"]
    assert "too few" in message
    assert ("allow_undecided" in message) is not allowed


def test_a_reference_is_compared_with(
    ephemeral: Any, templated: pd.DataFrame, natural: pd.DataFrame, tmp_path: Path
) -> None:
    natural.drop(columns="id").to_json(tmp_path / "natural.jsonl", orient="records", lines=True)
    apart = synflaw.ExpectSynflawSeparabilityScoreToBeAtMost
    reference = str(tmp_path / "natural.jsonl")
    alone, beside = apart(max_score=0.5), apart(max_score=0.5, reference=reference)
    missing = apart(max_score=0.5, reference=str(tmp_path / "nowhere.jsonl"))
    results = validate(ephemeral, templated, [alone, beside, missing]).results
    assert [result.success for result in results] == [False, False, False]
    assert "undecided, needs a reference" in results[0].result["details"]["message"]
    assert results[1].result["observed_value"] > 0.5
    assert "reference" in results[1].result["details"]["observed"]
    assert "nowhere.jsonl" in results[2].exception_info["exception_message"]


def test_the_stricter_of_two_limits_flags(ephemeral: Any, templated: Any) -> None:
    warning = template_share(0.1, severity="warning")
    critical = template_share(1.0)
    result = validate(ephemeral, templated, [critical, warning])
    assert [r.success for r in result.results] == [True, False]
    assert result.results[1].result["unexpected_count"] > 0


def test_expectations_that_audit_differently_do_not_share(
    ephemeral: Any, templated: Any, reads: list[int]
) -> None:
    swapped = template_share(1.0, question="answer", answer="question")
    result = validate(ephemeral, templated, [template_share(1.0), swapped])
    observed = [r.result["observed_value"] for r in result.results]
    assert observed[0] != observed[1]
    assert reads == [len(templated)] * 2


def test_two_validations_of_a_checkpoint_do_not_share(
    ephemeral: Any, templated: Any, natural: Any
) -> None:
    checkpoint = checkpoint_over(ephemeral, pandas_batch(ephemeral), [template_share()])
    first = checkpoint.run(batch_parameters={"dataframe": templated})
    second = checkpoint.run(batch_parameters={"dataframe": natural})
    assert (first.success, second.success) == (False, True)


def test_a_format_that_is_allowed_is_taken_out_and_the_rest_is_judged(
    ephemeral: Any, natural: pd.DataFrame
) -> None:
    framed = natural.assign(answer="Answer: " + natural["answer"] + " Kind regards, the team")
    allow = [{"pattern": "Answer: <*>", "reason": "the application reads what follows"}]
    both = [*allow, {"pattern": "<*> Kind regards, the team", "reason": "every mail is signed"}]
    expectations = [template_share(), template_share(allow=allow), template_share(allow=both)]
    results = validate(ephemeral, framed, expectations).results
    assert [result.success for result in results] == [False, False, True]
    marked = results[1].result["flagged_examples"][0]
    assert all(start >= len("Answer: ") for start, _ in marked["template_spans"])


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ([{"kind": "jason", "reason": "x"}], "unknown kind of format 'jason'; choices: json"),
        ([{"kind": "json"}], "say why in its reason"),
        ([{"kind": "json", "pattern": "a <*>", "reason": "x"}], "one of a pattern, a kind"),
        ([{"sort": "json", "reason": "x"}], "unknown keys"),
    ],
)
def test_a_format_that_cannot_be_allowed_is_refused(allow: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        template_share(allow=allow)


def test_rows_are_read_as_a_schema_says(
    ephemeral: Any, templated: pd.DataFrame, tmp_path: Path
) -> None:
    chats = [
        [{"who": "Client", "said": question}, {"who": "Agent", "said": answer}]
        for question, answer in zip(templated["question"], templated["answer"], strict=True)
    ]
    schema = tmp_path / "schema.toml"
    schema.write_text(
        '[schema]\nanswer = "chat"\n[schema.roles]\nassistant = ["Agent"]\nuser = ["Client"]\n'
        '[schema.message_keys]\nrole = "who"\ncontent = "said"\n'
    )
    (found,) = validate(
        ephemeral, pd.DataFrame({"chat": chats}), [template_share(row_schema=str(schema))]
    ).results
    assert not found.success
    assert found.result["element_count"] == len(templated)
    assert found.result["missing_count"] == 0
    assert found.result["observed_value"] > 0.2


def test_a_schema_that_there_is_not_fails_and_names_the_choices(
    ephemeral: Any, natural: pd.DataFrame
) -> None:
    (found,) = validate(ephemeral, natural, [template_share(row_schema="pears")]).results
    assert not found.success
    assert "pears" in str(found)
    assert "conversation, pair" in str(found)
