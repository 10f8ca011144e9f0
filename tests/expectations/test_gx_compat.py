from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import Any

import great_expectations.util
import pytest

from synflaw_audit.errors import MissingExtraError
from synflaw_audit.expectations import compat


@pytest.fixture
def fresh_compat(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports the module anew; the one that everything else uses is put back."""

    def again() -> Any:
        monkeypatch.delitem(sys.modules, compat.__name__)
        return importlib.import_module(compat.__name__)

    yield again
    sys.modules[compat.__name__] = compat


def test_a_moved_internal_names_both_versions(
    fresh_compat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(great_expectations.util, "camel_to_snake")
    with pytest.raises(Exception, match="camel_to_snake") as raised:
        fresh_compat()
    message = str(raised.value)
    assert type(raised.value).__name__ == "UnsupportedGXError"
    assert compat.installed_version() in message
    assert compat.supported_versions() in message
    assert "pip install 'synflaw-audit[gx]'" in message


def test_a_lost_method_names_it(fresh_compat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(compat.SqlAlchemyExecutionEngine, "get_connection")
    with pytest.raises(Exception, match=r"SqlAlchemyExecutionEngine\.get_connection"):
        fresh_compat()


def test_without_great_expectations_the_extra_is_named(
    fresh_compat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(MissingExtraError, match=r"synflaw-audit\[gx\]"):
        fresh_compat()
