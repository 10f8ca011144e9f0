from __future__ import annotations

import time

import pytest

from synflaw_audit.commands import console


def test_a_long_run_tells_of_itself_where_stderr_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LOG_EVERY", 0.02)
    with console.progress_display(quiet=False) as progress:
        progress("reading", 12_000)
        deadline = time.monotonic() + 20
        said = ""
        while said.count("\n") < 2 and time.monotonic() < deadline:  # silent stages tell again
            time.sleep(0.02)
            said += capsys.readouterr().err
    assert "synflaw: reading: 12,000 records (" in said
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_a_short_run_says_nothing(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_display(quiet=quiet) as progress:
        progress("reading\x1b[2J", 1)
    assert capsys.readouterr() == ("", "")
