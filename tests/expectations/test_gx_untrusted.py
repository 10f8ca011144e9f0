"""What the data names is shown by no log and no stored result as a terminal would obey it."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pandas as pd
import pytest
from gx_helpers import template_share, validate

from synflaw_audit.expectations import runs

HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\nforged line\u202e\x9b2J"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]|^forged", re.MULTILINE)


def assert_inert(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The result is an error that names what is hostile, and nothing that is said of it is."""
    assert not result.success
    info = result.exception_info
    if "exception_message" not in info:  # by metric, as Great Expectations stores its own
        info = next(iter(info.values()))
    message = info["exception_message"]
    assert "forged line" in message
    assert "\n" not in message
    logged = [logging.Formatter().format(record) for record in caplog.records]
    for text in (message, info["exception_traceback"], *logged):
        assert not OBEYED.search(text), ascii(text)
    assert not OBEYED.search(json.dumps(result.to_json_dict()["result"], ensure_ascii=False))


EXPECTATIONS = {
    "a column nobody knows": {},
    "a column that is not there": {"answer": "no " + HOSTILE},
    "a reference that is not there": {"answer": HOSTILE, "reference": f"/nowhere/{HOSTILE}"},
}


@pytest.mark.parametrize("arguments", EXPECTATIONS.values(), ids=EXPECTATIONS)
def test_names_in_the_first_pass(
    ephemeral: Any, caplog: pytest.LogCaptureFixture, arguments: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    frame = pd.DataFrame({HOSTILE: ["x"] * 5, "k": [1] * 5})
    result = validate(ephemeral, frame, [template_share(**arguments)]).results[0]
    assert_inert(result, caplog)


def test_a_column_in_the_second_pass(
    ephemeral: Any, templated: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": [HOSTILE]}
    found = validate(ephemeral, templated.head(300), [template_share()], result_format=form)
    assert_inert(found.results[0], caplog)


def fails(*_: object, **__: object) -> None:
    """As a library would: its message holds the data, and so does that of the cause."""
    try:
        raise KeyError(HOSTILE)
    except KeyError as error:
        raise RuntimeError(HOSTILE) from error


@pytest.mark.parametrize("where", ["measure", "Subset"])
def test_what_another_library_raises(
    ephemeral: Any,
    templated: pd.DataFrame,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(runs, where, fails)
    result = validate(ephemeral, templated.head(300), [template_share()]).results[0]
    assert_inert(result, caplog)
    assert "RuntimeError" in str(result.exception_info)
    assert "in fails" in str(result.exception_info)  # where it came from is still told
