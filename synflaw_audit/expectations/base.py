"""What all our expectations share: their arguments, the one metric they read, and their result.

An expectation carries no measure. It asks for the audit of the batch (one pass, shared by every
expectation of a validation run, see ``metric``), names the limits that the rows are flagged by, and
compares one number of the audit with its threshold.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, TypeAlias

from synflaw_audit.allowed import Allow
from synflaw_audit.errors import CatalogueError, InputError
from synflaw_audit.expectations import evidence, render, results
from synflaw_audit.expectations.compat import (
    BatchExpectation,
    ConditionParser,
    ExpectationConfiguration,
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    MetricConfiguration,
    RendererConfiguration,
    RendererValueType,
    RowConditionType,
    SuiteParameterDict,
    ValidationDependencies,
    parse_result_format,
    pydantic,
    renderer,
)
from synflaw_audit.expectations.decisions import ExpectationVerdict
from synflaw_audit.expectations.errors import shown
from synflaw_audit.expectations.metric import REQUEST, VALUE_KEYS, release
from synflaw_audit.expectations.runs import AuditRun
from synflaw_audit.expectations.store import Sealed, require_hook
from synflaw_audit.expectations.wording import condition_in_words

Threshold: TypeAlias = float | SuiteParameterDict
Thresholds: TypeAlias = dict[str, float] | SuiteParameterDict

# Great Expectations does not store an argument that equals its default, so a default that changed
# would change every suite in the world. These are filled in when an expectation is made, and what
# decides a result is always written out.
FILLED = {"embedder": "lsa", "seed": 0, "max_rejected_share": 0.1}

ALLOW_KEYS = {field.name for field in fields(Allow)}
# Said of every expectation in its schema, in Great Expectations' words where it has any.
DATA_QUALITY_ISSUES = ("Format uniformity",)
DATA_SOURCES = ("Pandas", "Spark", "SQLite", "PostgreSQL")

DOMAIN = ("batch_id", "row_condition", "condition_parser")


def _allowed(value: list[dict[str, str]] | None) -> list[dict[str, str]] | None:
    """Formats that are intended, as a policy's ``[[allow]]`` names them."""
    for one in value or []:
        if unknown := sorted(set(one) - ALLOW_KEYS):
            raise ValueError(f"unknown keys {unknown} in allow; there are {sorted(ALLOW_KEYS)}")
        try:
            Allow(**{"reason": "", **one})
        except CatalogueError as error:
            raise ValueError(str(error)) from error
    return value


class AuditExpectation(Sealed, BatchExpectation):
    """Base of our expectations; see the subclasses.

    Args:
        question: The column of the questions; found by itself where it has a usual name.
        answer: The column of the answers; likewise.
        row_schema: How rows are read, where that is not found by itself, as ``synflaw audit
            --schema``: preference, conversation, pair, transcript, one that a package adds, or a
            TOML file with a ``schema`` table.
        reference: A corpus of natural rows (a path) that the batch is compared with, for the checks
            that need one.
        embedder: "lsa", or the name of a sentence-transformers model.
        seed: Of everything that samples.
        allow: Formats that are intended, each ``{"pattern": ..., "reason": ...}`` or ``{"kind":
            ..., "reason": ...}`` as in a policy's ``[[allow]]``: their words are taken out before
            anything is measured, and the rest is judged.
        by: What a failing batch's rows are grouped by, to see which part carries the format: a
            column of few values, or "turn".
        allow_undecided: Whether a batch with too few records to decide, or none, is a success. By
            default it is not: nothing that was not measured passes.
        max_rejected_share: The largest share of rows that cannot be read (null, a number, no
            answer) with which a batch can pass: what is not read is not judged.
        row_condition: Audit only the rows that meet it.
    """

    question: str | None = pydantic.Field(None, description="Column of the questions.")
    answer: str | None = pydantic.Field(None, description="Column of the answers.")
    row_schema: str | None = pydantic.Field(
        None, description="How rows are read: a schema's name, or a TOML file that says it."
    )
    reference: str | None = pydantic.Field(
        None, description="Path of a natural corpus to compare with, for checks that need one."
    )
    embedder: str = pydantic.Field(
        ..., description="'lsa' or the name of a sentence-transformers model."
    )
    seed: int = pydantic.Field(..., ge=0, description="Seed of everything that samples.")
    allow: list[dict[str, str]] | None = pydantic.Field(
        None, description="Formats that are intended: a pattern or kind each, and the reason."
    )
    by: str | None = pydantic.Field(
        None, description="A column of few values that groups the rows of a batch that fails."
    )
    allow_undecided: bool = pydantic.Field(
        False, description="Whether a batch with too few records to decide is a success."
    )
    max_rejected_share: float = pydantic.Field(
        ..., ge=0, le=1, description="The largest share of rows that cannot be read, 0 to 1."
    )
    row_condition: RowConditionType = None
    condition_parser: ConditionParser | None = None

    library_metadata: ClassVar[dict[str, Any]] = {
        "maturity": "experimental",
        "tags": ["synflaw", "format uniformity"],
        "contributors": ["synflaw-audit"],
        "requirements": ["synflaw-audit"],
        "has_full_test_suite": True,
        "manually_reviewed_code": False,
    }
    domain_keys: ClassVar[tuple[str, ...]] = DOMAIN
    success_keys: ClassVar[tuple[str, ...]] = (*VALUE_KEYS, "allow_undecided", "max_rejected_share")
    metric_dependencies: ClassVar[tuple[str, ...]] = (REQUEST,)

    _formats = pydantic.validator("allow", allow_reuse=True)(_allowed)

    class Config:
        """Of pydantic; Great Expectations' own, with more in the schema."""

        @staticmethod
        def schema_extra(schema: dict[str, Any], model: type[AuditExpectation]) -> None:
            """Adds to the schema what Great Expectations' own expectations say of themselves."""
            BatchExpectation.Config.schema_extra(schema, model)
            schema["title"] = model.short_description().rstrip(".")
            said = {
                "data_quality_issues": ("array", list(DATA_QUALITY_ISSUES)),
                "library_metadata": ("object", model.library_metadata),
                "short_description": ("string", model.short_description()),
                "supported_data_sources": ("array", list(DATA_SOURCES)),
            }
            schema["properties"]["metadata"]["properties"] |= {
                name: {"title": name.replace("_", " ").title(), "type": kind, "const": value}
                for name, (kind, value) in said.items()
            }

    @classmethod
    def short_description(cls) -> str:
        """What must hold: the first line of its documentation."""
        return str(cls.__doc__).strip().splitlines()[0].replace("``", "")

    @pydantic.root_validator(pre=True)
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**FILLED, **{key: value for key, value in values.items() if value is not None}}

    @property
    def configuration(self) -> ExpectationConfiguration:
        """As in the base class, with what decides the result written out, defaults included.

        The way to disk goes through here, so the hook is required here.
        """
        require_hook(getattr(self._save_callback, "__self__", None))
        configuration = super().configuration
        for name in self.success_keys:
            if (value := getattr(self, name, None)) is not None:
                configuration.kwargs.setdefault(name, value)
        return configuration

    def register_save_callback(self, save_callback: Any) -> None:
        """As in the base class; being put into a suite that would be lost is refused at once."""
        require_hook(getattr(save_callback, "__self__", None))
        super().register_save_callback(save_callback)

    @abstractmethod
    def limits(self) -> dict[str, float]:
        """The thresholds, by check name, above which this expectation's rows are flagged."""

    @abstractmethod
    def decide(self, run: AuditRun) -> ExpectationVerdict:
        """Compare the audit with the threshold; reads the audit and computes nothing."""

    @classmethod
    @abstractmethod
    def sentence(cls, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The expectation in words: a template with ``$name`` slots and their values."""

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: dict[str, Any] | None = None
    ) -> ValidationDependencies:
        """Ask for the audit of this batch, and say which rows its second pass must flag."""
        dependencies = super().get_validation_dependencies(execution_engine, runtime_configuration)
        kwargs = self._get_success_kwargs()
        columns = dependencies.result_format.get("unexpected_index_column_names") or []
        dependencies.set_metric_configuration(
            metric_name=REQUEST,
            metric_configuration=MetricConfiguration(
                metric_name=REQUEST,
                metric_domain_kwargs={key: kwargs.get(key) for key in DOMAIN},
                metric_value_kwargs={
                    **{key: kwargs.get(key) for key in VALUE_KEYS},
                    "limits": self.limits(),
                    "index_columns": [] if isinstance(columns, str) else list(columns),
                },
            ),
        )
        return dependencies

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        run: AuditRun = metrics[REQUEST]
        release(execution_engine)
        try:
            return self._judged(run, runtime_configuration)
        except Exception as error:
            raise shown(error) from None

    def _judged(
        self, run: AuditRun, runtime_configuration: dict[str, Any] | None
    ) -> dict[str, Any]:
        result_format = parse_result_format((runtime_configuration or {})["result_format"])
        columns = result_format.get("unexpected_index_column_names")
        if isinstance(columns, str):
            raise InputError(
                f"unexpected_index_column_names is {columns!r}, not a list: write [{columns!r}]"
            )
        if run.failure is not None:
            return results.failed_to_audit(run)
        success, decision = self.decide(run).settled(
            run.rows,
            allow_undecided=self.allow_undecided,
            max_rejected_share=self.max_rejected_share,
        )
        return results.result(success, decision, run, self.limits(), result_format)

    @classmethod
    def _prescriptive_template(
        cls, renderer_configuration: RendererConfiguration
    ) -> RendererConfiguration:
        template, params = cls.sentence(renderer_configuration.kwargs)
        for name, value in params.items():
            kind = (
                RendererValueType.NUMBER if isinstance(value, float) else RendererValueType.STRING
            )
            renderer_configuration.add_param(name=name, param_type=kind, value=value)
        renderer_configuration.template_str = template
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[Any]:
        config = configuration or (result and result.expectation_config)
        kwargs = dict(config.kwargs) if config else {}
        condition = condition_in_words(kwargs.get("row_condition"))
        return render.prescription(*cls.sentence(kwargs), condition)

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> str:
        return render.observed(result)

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_STATEMENT)
    def _diagnostic_unexpected_statement_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[Any]:
        return render.statement(result)

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[Any] | None:
        html = None if result is None else evidence.fragment(result)
        return None if html is None else [html]
