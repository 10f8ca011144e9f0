"""The contracts, as any package runs them."""

from urllib.parse import urlencode

import pyarrow as pa
from synflaw_example.embedder import LetterEmbedder
from synflaw_example.engine import Backwards, ReversedEngine
from synflaw_example.form import Bracketed
from synflaw_example.measure import Politeness
from synflaw_example.rewriter import Reversal
from synflaw_example.schema import Arrowed

from synflaw_audit.settings import AuditSettings
from synflaw_audit.testing import forms, parametrize_with_checks
from synflaw_audit.testing.readers import Writer
from synflaw_audit.testing.schemas import SchemaExample


@parametrize_with_checks("measure", [Politeness(), Politeness("As a helpful")])
def test_measures(part, check):
    check(part)


@parametrize_with_checks("embedder", [LetterEmbedder()])
def test_embedders(part, check):
    check(part)


def opened(table: pa.Table) -> ReversedEngine:
    return ReversedEngine.opened(Backwards(table), AuditSettings())


@parametrize_with_checks("engine", [opened])
def test_engines(part, check):
    check(part)


def write(path, rows):
    path.write_text("".join(urlencode(row) + "\n" for row in rows), encoding="utf-8")


@parametrize_with_checks("reader", [Writer("query", write)])
def test_readers(part, check):
    check(part)


@parametrize_with_checks(
    "schema", [SchemaExample(Arrowed, [{"t": "Why? => Rain."}], [[("Why?", "Rain.")]])]
)
def test_schemas(part, check):
    check(part)


@parametrize_with_checks("form", [forms.FormExample(Bracketed())])
def test_forms(part, check):
    check(part)


@parametrize_with_checks("rewriter", [Reversal])
def test_rewriters(part, check):
    check(part)
