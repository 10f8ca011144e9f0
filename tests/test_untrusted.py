"""Nothing from outside reaches a terminal that obeys it, by whatever way it comes."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from synflaw_audit.commands import console
from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError, MissingExtraError, SynflawError
from synflaw_audit.untrusted import escaped, on_one_line, visible

# Colour, title and hyperlink sequences, carriage return, bell, C1 CSI, bidirectional overrides.
HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\x9b2J\u202egnp\u2066\u200f\x7f\x00\u2028"


def obeyed(text: str) -> set[str]:
    """The characters that a terminal would obey, or that turn what follows around."""
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        c
        for c in text
        if (unicodedata.category(c) == "Cc" and c not in "\n\t")
        or unicodedata.bidirectional(c) in turns
    }


@given(st.text())
def test_nothing_is_left_to_obey(text: str) -> None:
    for shown in (visible(text), on_one_line(text)):
        assert not obeyed(shown)
        shown.encode()
        assert visible(shown) == shown
    assert not set("\n\t") & set(on_one_line(text))


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
)
def test_json_stays_the_same_json(value: dict[str, str]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(escaped(text)) == value
    assert not obeyed(escaped(text))


@given(st.text())
def test_errors_show_one_line_of_harmless_text(text: str) -> None:
    for error in (SynflawError(text), InputError(text), MissingExtraError(text, text)):
        assert str(error) == on_one_line(str(error))


@given(st.text(max_size=60))
def test_the_terminal_writes_its_own_codes_and_no_others(text: str) -> None:
    def printed(shown: str) -> str:
        made = io.StringIO()
        terminal = console.stdout()
        terminal.file, terminal._force_terminal = made, True
        table = Table("name")
        table.add_row(Text(shown, style="bold"))
        terminal.print(Text(shown), table, soft_wrap=True)
        return made.getvalue()

    assert not obeyed(re.sub(r"\x1b\[[0-9;]*m", "", printed(text)))
    assert "\x1b[31m" not in printed(f"\x1b[31m{text}")


def test_a_corpus_of_hostile_names_and_texts(tmp_path: Path) -> None:
    name = HOSTILE.replace("\x00", "") + "\nGate: passed\n.jsonl"
    row = {"question": f"q{HOSTILE}", "answer": f"Sure! {HOSTILE} is it.", f"c{HOSTILE}\n": "text"}
    try:
        (tmp_path / name).write_text("not JSON\n" + json.dumps(row), encoding="utf-8")
    except OSError:
        pytest.skip("this file system does not take such names")
    (tmp_path / f"{name}.exe").write_text("")
    (tmp_path / name).write_text(
        "".join(json.dumps(row | {"question": f"q{n}"}) + "\n" for n in range(60)) + "{\n"
    )
    out = ["--out", str(tmp_path.with_name("out"))]
    for arguments in (
        ["audit", str(tmp_path / name)],
        ["gate", str(tmp_path)],
        ["audit", str(tmp_path / name), "--json"],
        ["audit", str(tmp_path / name), "--answer", f"no{HOSTILE}"],
        ["audit", str(tmp_path / f"{name}.exe")],
        ["audit", str(tmp_path / name), "--embedder", f"no/{HOSTILE}"],
        ["audit", f"--no{HOSTILE}"],
    ):
        result = CliRunner().invoke(app, [*arguments, *out])
        assert result.exit_code in (0, 1, 2)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert not obeyed(result.output)
        assert not any(line.startswith("Gate: passed") for line in result.output.splitlines())


def test_even_a_fault_of_the_program_is_told_harmlessly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr("synflaw_audit.reading.source.find_inputs", broken)
    result = CliRunner().invoke(
        app, ["audit", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2
    assert "RuntimeError" in result.output
    assert not obeyed(result.output)
