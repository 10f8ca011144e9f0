"""The contract of an engine, for those of this machine; Spark's and Ray's tests compare more."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from synflaw_audit.engines.base import Engine
from synflaw_audit.engines.registry import ENGINES, open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.settings import AuditSettings
from synflaw_audit.testing import parametrize_with_checks
from synflaw_audit.testing.engines import Opens


def local(table: pa.Table) -> Engine:
    return open_engine(table, AuditSettings())


@parametrize_with_checks("engine", [local])
def test_contract(part: Opens, check: Callable[[Opens], None]) -> None:
    check(part)


def test_an_unknown_engine_is_an_error_with_the_choices() -> None:
    with pytest.raises(InputError, match=r"unknown engine 'sparc'\. Did you mean 'spark'\?"):
        open_engine("x.jsonl", AuditSettings(engine="sparc"))


def test_what_no_engine_reads_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="not object"):
        open_engine(object(), AuditSettings())
    assert not any(ENGINES[name].is_native(object()) for name in ("local",))
