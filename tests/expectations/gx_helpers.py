"""What the tests of the Great Expectations plugin share."""

from __future__ import annotations

from typing import Any

import great_expectations as gx
import pandas as pd

from synflaw_audit import expectations as synflaw


def checkpoint_over(
    context: Any,
    batch: Any,
    expectations: list[Any],
    *,
    result_format: Any = "SUMMARY",
    actions: list[Any] | None = None,
    name: str = "made",
) -> Any:
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=name, data=batch, suite=suite)
    )
    return context.checkpoints.add(
        gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            actions=actions or [],
            result_format=result_format,
        )
    )


def pandas_batch(context: Any, name: str = "frames") -> Any:
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(f"{name}_asset")
    return asset.add_batch_definition_whole_dataframe("whole")


def validate(context: Any, frame: pd.DataFrame, expectations: list[Any], **options: Any) -> Any:
    """The results of one validation of a DataFrame, in the order of the expectations."""
    checkpoint = checkpoint_over(context, pandas_batch(context), expectations, **options)
    result = checkpoint.run(batch_parameters={"dataframe": frame})
    return next(iter(result.run_results.values()))


def template_share(max_score: float = 0.2, **arguments: Any) -> Any:
    return synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost(max_score=max_score, **arguments)
