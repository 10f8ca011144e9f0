"""The contracts, as any package runs them."""

import pyarrow as pa
from synflaw_example.embedder import LetterEmbedder
from synflaw_example.engine import Backwards, ReversedEngine
from synflaw_example.measure import Politeness

from synflaw_audit.settings import AuditSettings
from synflaw_audit.testing import parametrize_with_checks


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
