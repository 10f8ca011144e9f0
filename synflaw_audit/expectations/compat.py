"""Every name we take from Great Expectations, in one place, checked when we are imported.

Great Expectations keeps little of what an extension needs behind a stable interface. A release
that moves one of these names fails here, at once, with the installed and the supported versions,
and not in the middle of somebody's checkpoint.
"""

from __future__ import annotations

import re
from importlib import metadata

from synflaw_audit.errors import MissingExtraError
from synflaw_audit.expectations.errors import UnsupportedGXError


def installed_version() -> str:
    """The installed version of Great Expectations; raises MissingExtraError where there is none."""
    try:
        return metadata.version("great-expectations")
    except metadata.PackageNotFoundError as missing:
        raise MissingExtraError("the Great Expectations plugin", "gx") from missing


def supported_versions() -> str:
    """The range that our own package metadata asks for, e.g. ``>=1.9,<1.25``."""
    try:
        requirements = metadata.requires("synflaw-audit") or []
    except metadata.PackageNotFoundError:  # imported from a checkout that is not installed
        return "the range in pyproject.toml"
    for requirement in requirements:
        match = re.match(r"great[-_]expectations\s*([^;\s]+)", requirement)
        if match:
            return match.group(1)
    return "any"


def unsupported(what: object) -> UnsupportedGXError:
    """The error for something that Great Expectations no longer has."""
    return UnsupportedGXError(
        f"great_expectations {installed_version()} does not offer what the plugin builds on "
        f"({what}); this version of synflaw-audit supports {supported_versions()}: "
        "pip install 'synflaw-audit[gx]'"
    )


installed_version()
try:
    from great_expectations.checkpoint.actions import ActionContext, ValidationAction
    from great_expectations.checkpoint.checkpoint import Checkpoint, CheckpointResult
    from great_expectations.compatibility import pydantic
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.core.metric_domain_types import MetricDomainTypes
    from great_expectations.core.suite_parameters import SuiteParameterDict
    from great_expectations.data_context.data_context.context_factory import project_manager
    from great_expectations.data_context.store import InMemoryStoreBackend
    from great_expectations.data_context.store.expectations_store import (
        ExpectationsStore as GXExpectationsStore,
    )
    from great_expectations.exceptions import DataContextRequiredError, ExpectationNotFoundError
    from great_expectations.execution_engine import (
        PandasExecutionEngine,
        SparkDFExecutionEngine,
        SqlAlchemyExecutionEngine,
    )
    from great_expectations.expectations.expectation import BatchExpectation
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
        parse_result_format,
    )
    from great_expectations.expectations.metrics.metric_provider import metric_value
    from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
    from great_expectations.expectations.model_field_types import ConditionParser
    from great_expectations.expectations.registry import get_expectation_impl
    from great_expectations.expectations.row_conditions import (
        Condition,
        RowConditionType,
        deserialize_row_condition,
    )
    from great_expectations.render import (
        LegacyDiagnosticRendererType,
        LegacyRendererType,
        RenderedStringTemplateContent,
    )
    from great_expectations.render.renderer.renderer import renderer
    from great_expectations.render.renderer_configuration import (
        RendererConfiguration,
        RendererValueType,
    )
    from great_expectations.types import SerializableDictDot
    from great_expectations.util import (
        camel_to_snake,
        convert_to_json_serializable,
    )
    from great_expectations.validator.metric_configuration import MetricConfiguration
    from great_expectations.validator.validator import ValidationDependencies
except ImportError as error:
    raise unsupported(error) from error

# Methods and properties that we override or call: one that no longer exists would be so in vain.
for _owner, _name in (
    (BatchExpectation, "configuration"),
    (Checkpoint, "_sort_actions"),
    (BatchExpectation, "_validate"),
    (BatchExpectation, "get_validation_dependencies"),
    (BatchExpectation, "register_save_callback"),
    (GXExpectationsStore, "serialize"),
    (GXExpectationsStore, "deserialize"),
    (PandasExecutionEngine, "get_domain_records"),
    (SparkDFExecutionEngine, "get_domain_records"),
    (SqlAlchemyExecutionEngine, "get_domain_records"),
    (SqlAlchemyExecutionEngine, "get_connection"),
):
    if not hasattr(_owner, _name):
        raise unsupported(f"{_owner.__name__}.{_name}")

__all__ = [
    "ActionContext",
    "BatchExpectation",
    "CheckpointResult",
    "Condition",
    "ConditionParser",
    "DataContextRequiredError",
    "ExpectationConfiguration",
    "ExpectationNotFoundError",
    "ExpectationValidationResult",
    "GXExpectationsStore",
    "InMemoryStoreBackend",
    "LegacyDiagnosticRendererType",
    "LegacyRendererType",
    "MetricConfiguration",
    "MetricDomainTypes",
    "PandasExecutionEngine",
    "RenderedStringTemplateContent",
    "RendererConfiguration",
    "RendererValueType",
    "RowConditionType",
    "SerializableDictDot",
    "SparkDFExecutionEngine",
    "SqlAlchemyExecutionEngine",
    "SuiteParameterDict",
    "TableMetricProvider",
    "ValidationAction",
    "ValidationDependencies",
    "camel_to_snake",
    "convert_to_json_serializable",
    "deserialize_row_condition",
    "get_expectation_impl",
    "installed_version",
    "metric_value",
    "parse_result_format",
    "project_manager",
    "pydantic",
    "renderer",
    "supported_versions",
    "unsupported",
]
