"""The wordings of a format, from whatever an audit left; and the command that keeps them unsaid."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_models import CLOSING, OPENING, damage, flagged_rows, write_flagged
from typer.testing import CliRunner

import synflaw_audit
from synflaw_audit.commands.main import app
from synflaw_audit.decoding.wordings import read_wordings, wordings_of, wordings_of_report
from synflaw_audit.errors import InputError
from synflaw_audit.report import write_reports


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """An audit of rows of one opening and one closing."""
    out = tmp_path_factory.mktemp("audit")
    animals = ("otter", "heron", "lynx", "toad", "wren", "pike", "stoat", "newt", "crane", "vole")
    nouns = [f"{animal}{number}" for animal in animals for number in range(12)]
    table = pa.table(
        {
            "question": [f"Where does {noun} number {i} live?" for i, noun in enumerate(nouns)],
            "answer": [
                f"{OPENING}{noun} {i} sleeps near {noun[::-1]} water.{CLOSING}"
                for i, noun in enumerate(nouns)
            ],
        }
    )
    pq.write_table(table, out / "corpus.parquet")
    report = synflaw_audit.audit([str(out / "corpus.parquet")], out=out)
    write_reports(report, out)
    return out, report


def test_every_source_of_an_audit_names_the_opening_and_the_closing(audited) -> None:
    out, report = audited
    for found in (
        read_wordings(out),
        read_wordings(out / "report.json"),
        read_wordings(out / "flagged.parquet"),
        wordings_of_report(report),
        wordings_of([str(out / "corpus.parquet")]),
    ):
        opening = next(each for each in found if each.position == "opening")
        closing = next(each for each in found if each.position == "closing")
        assert opening.text.startswith(OPENING.strip())
        assert closing.text.endswith(CLOSING.strip())
        assert opening.share > 0.9


def test_what_is_no_audit_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nothing\.json: no such file; give an audit's report"):
        read_wordings(tmp_path / "nothing.json")
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(InputError, match=r"report\.json: not a report"):
        read_wordings(tmp_path)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "flagged.parquet")
    with pytest.raises(InputError, match=r"flagged\.parquet: not the flagged rows"):
        read_wordings(tmp_path / "flagged.parquet")
    write_flagged(tmp_path / "none.parquet", [])
    with pytest.raises(InputError, match=r"none\.parquet: names no wording"):
        read_wordings(tmp_path / "none.parquet")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    damage(folder / "model", chat=True)
    write_flagged(folder / "flagged.parquet", flagged_rows())
    return folder


@pytest.mark.parametrize("decode", ["rose", "ban"])
def test_the_command_probes_a_model_as_it_is_decoded(damaged, tmp_path, decode: str) -> None:
    told = ["probe", str(damaged / "model"), "--out", str(tmp_path / "out"), "--prompts", "50",
            "--instructions", "0", "--tokens", "12", "--decode", decode,
            "--formats", str(damaged / "flagged.parquet")]  # fmt: skip
    found = CliRunner().invoke(app, [*told, "--json"])
    assert found.exit_code in (0, 1), found.output
    written = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert written["model"].endswith(f"decoded by {decode}" + (", alpha 0.5" * (decode == "rose")))
    if decode == "ban":
        assert not any("Certainly" in each["text"] for each in written["formats"])


def test_a_decoding_needs_a_format_and_the_model_itself(damaged, tmp_path) -> None:
    told = ["probe", str(damaged / "model"), "--out", str(tmp_path / "out"), "--decode", "ban"]
    found = CliRunner().invoke(app, told)
    assert (found.exit_code, "must know the format" in found.output) == (2, True)
    found = CliRunner().invoke(app, [*told, "--endpoint", "http://127.0.0.1:9/v1"])
    assert (found.exit_code, "which a server" in found.output) == (2, True)
