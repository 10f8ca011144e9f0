"""The one metric that all our expectations share, and how each expectation joins it.

``synflaw.audit`` is the audit's first pass. Its identity holds the batch, the row condition and
what the audit measures with, but no threshold: Great Expectations computes a metric once in a
validation run, so one expectation or eight cost the same pass. ``synflaw.request`` costs nothing;
each expectation's own adds its thresholds to the shared run *before* any expectation is judged, so
that the second pass, made when the first expectation fails, flags rows for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synflaw_audit.expectations.batches import OpenedBatch, from_pandas, from_spark, from_sql
from synflaw_audit.expectations.compat import (
    MetricConfiguration,
    PandasExecutionEngine,
    SparkDFExecutionEngine,
    SqlAlchemyExecutionEngine,
    TableMetricProvider,
    metric_value,
)
from synflaw_audit.expectations.runs import AuditRun
from synflaw_audit.expectations.wording import condition_in_words
from synflaw_audit.settings import Reading

AUDIT = "synflaw.audit"
REQUEST = "synflaw.request"

# What the audit measures with; the same names as the expectations' arguments.
ROWS = ("question", "answer", "row_schema")
VALUE_KEYS = (*ROWS, "reference", "embedder", "seed", "allow", "by")


class AuditMetric(TableMetricProvider):
    """``synflaw.audit``: an ``AuditRun`` over the batch, one method an engine.

    It never raises: Great Expectations would compute it three times over and report a traceback.
    What went wrong stands in the run, and the expectations fail with it.
    """

    metric_name = AUDIT
    value_keys = VALUE_KEYS

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> AuditRun:
        return _run(from_pandas, execution_engine, metric_domain_kwargs, metric_value_kwargs)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> AuditRun:
        return _run(from_sql, execution_engine, metric_domain_kwargs, metric_value_kwargs)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> AuditRun:
        return _run(from_spark, execution_engine, metric_domain_kwargs, metric_value_kwargs)


def _run(
    open_batch: Callable[..., OpenedBatch],
    engine: Any,
    domain: dict[str, Any],
    values: dict[str, Any],
) -> AuditRun:
    # The expectations ask for this module, so they can be asked only when it is there.
    from synflaw_audit.expectations.classes import known_checks

    question, answer, schema = (values.get(name) for name in ROWS)
    reading = Reading(question=question, answer=answer, schema=schema)
    options = {name: value for name, value in values.items() if name not in ROWS}
    condition = condition_in_words(domain.get("row_condition"))
    return AuditRun.start(
        lambda: open_batch(engine, dict(domain), reading),
        known_checks,
        condition=condition,
        **options,
    )


class RequestMetric(TableMetricProvider):
    """``synflaw.request``: the shared run, once it knows one expectation's limits."""

    metric_name = REQUEST
    value_keys = (*VALUE_KEYS, "limits", "index_columns")

    @classmethod
    def _get_evaluation_dependencies(
        cls,
        metric: MetricConfiguration,
        configuration: Any = None,
        execution_engine: Any = None,
        runtime_configuration: Any = None,
    ) -> dict[str, MetricConfiguration]:
        audit = MetricConfiguration(
            metric_name=AUDIT,
            metric_domain_kwargs=metric.metric_domain_kwargs,
            metric_value_kwargs={key: metric.metric_value_kwargs.get(key) for key in VALUE_KEYS},
        )
        return {AUDIT: audit}

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls, metric_value_kwargs: dict[str, Any], metrics: dict[str, Any], **_: Any
    ) -> AuditRun:
        return _request(metric_value_kwargs, metrics)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls, metric_value_kwargs: dict[str, Any], metrics: dict[str, Any], **_: Any
    ) -> AuditRun:
        return _request(metric_value_kwargs, metrics)

    @metric_value(engine=SparkDFExecutionEngine)
    def _spark(
        cls, metric_value_kwargs: dict[str, Any], metrics: dict[str, Any], **_: Any
    ) -> AuditRun:
        return _request(metric_value_kwargs, metrics)


def _request(values: dict[str, Any], metrics: dict[str, Any]) -> AuditRun:
    run: AuditRun = metrics[AUDIT]
    run.request(values["limits"], values["index_columns"])
    return run


def release(engine: Any) -> None:
    """Takes audits out of the values that Great Expectations keeps as long as a data source lives.

    An audit holds a sample of the corpus. Expectations are given their metrics before this is
    called, and the next validation audits anew.
    """
    kept = getattr(engine, "_metric_cache", None) or {}
    for key in [key for key in list(kept) if key[0] in (AUDIT, REQUEST)]:
        kept.pop(key, None)
