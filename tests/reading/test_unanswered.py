"""Rows in which nothing is answered that is learned are whole: neither judged nor rejected."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import synflaw_audit
from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source

CALLS = {
    "openai": {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
    "text": {"role": "assistant", "content": "<tool_call>{}</tool_call>"},
    "anthropic": {"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]},
}
MASKED = {
    "weight": {"role": "assistant", "content": "A draft.", "weight": 0},
    "train": {"role": "assistant", "content": "A draft.", "train": False},
}
ASKED = {"role": "user", "content": "What is it?"}


def written(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def conversations(natural: object, answers: list[dict[str, object]]) -> list[object]:
    frame = natural.head(60)  # type: ignore[attr-defined]
    rows: list[object] = [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
        }
        for question, answer in zip(frame["question"], frame["answer"], strict=True)
    ]
    return rows + [{"messages": [ASKED, answer]} for answer in answers]


@pytest.mark.parametrize("answer", [*CALLS.values(), *MASKED.values()], ids=[*CALLS, *MASKED])
def test_they_are_counted_as_what_they_are(
    answer: dict[str, object], natural: object, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.jsonl", conversations(natural, [answer] * 20))
    report = synflaw_audit.audit(str(path), select="SF301")
    (account,) = report.dataset.accounts.files
    assert (account.rows, account.records, account.unanswered) == (80, 60, 20)
    assert account.rejected == report.dataset.rejected == 0
    assert report.dataset.accounts.rejected_share == 0


def test_a_gate_keeps_them_and_names_them(natural: object, tmp_path: Path) -> None:
    answers = [CALLS["openai"]] * 20
    path = written(tmp_path / "a.jsonl", conversations(natural, answers))
    done = CliRunner().invoke(app, ["gate", str(path), "--out", str(tmp_path / "out")])
    assert "20 of 80 rows hold no answer that is learned" in done.output.replace("\n", " ")
    assert json.loads((tmp_path / "out/gate.json").read_text())["rows"]["unanswered"] == 20
    clean = (tmp_path / "out/clean/a.jsonl").read_text()
    assert clean.count("tool_calls") == 20


def test_a_file_of_nothing_else_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"messages": [ASKED, MASKED["train"]]}] * 3)
    with pytest.raises(InputError, match="none of its 3 rows holds an answer that is learned"):
        list(open_source(str(path)).batches())


@pytest.mark.parametrize("late", [42, 4.5, True, 0])
def test_numbers_behind_texts_are_texts(late: object, tmp_path: Path) -> None:
    rows: list[object] = [{"question": "q", "answer": f"a{n}"} for n in range(300)]
    path = written(tmp_path / "a.jsonl", [*rows, {"question": late, "answer": late}])
    found = [r for b in open_source(str(path)).batches() for r in b.to_pylist()]
    assert len(found) == 301
    assert found[-1]["answer"] == found[-1]["question"] == json.dumps(late)


@pytest.mark.parametrize(("numbers", "code"), [(1, 0), (100, 1)])
def test_a_gate_fails_where_many_answers_are_numbers_among_texts(
    numbers: int, code: int, natural: object, tmp_path: Path
) -> None:
    frame = natural.head(300)  # type: ignore[attr-defined]
    rows: list[object] = frame[["question", "answer"]].to_dict("records")
    rows += [{"question": f"How many, {n}?", "answer": n} for n in range(numbers)]
    path = written(tmp_path / "a.jsonl", rows)
    out = ["--out", str(tmp_path / "out"), "--no-corpus", "--select", "SF301"]
    done = CliRunner().invoke(app, ["gate", str(path), *out])
    assert done.exit_code == code, done.output
    assert f"{numbers} of {300 + numbers} rows" in " ".join(done.output.split())


def test_numbers_in_messages_are_texts(tmp_path: Path) -> None:
    row = {"messages": [ASKED, {"role": "assistant", "content": 42}]}
    path = written(tmp_path / "a.jsonl", [row])
    (batch,) = open_source(str(path)).batches()
    assert batch["answer"].to_pylist() == ["42"]


REGISTRY = {
    "mine": {"file_name": "a.jsonl", "columns": {"prompt": "q"}},
    "hub": {"hf_hub_url": "o/n"},
}


@pytest.mark.parametrize("name", ["dataset_info.json", "data_v2.json", "registry.json"])
def test_registries_are_passed_over_whatever_their_name(name: str, tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}])
    (tmp_path / name).write_text(json.dumps(REGISTRY, indent=2))
    source = open_source(str(tmp_path))
    assert [Path(file).name for file in source.files] == ["a.jsonl"]
    assert [(Path(s.path).name, s.reason) for s in source.skipped] == [
        (name, "describes a data set and holds no rows")
    ]
    with pytest.raises(InputError, match="describes a data set"):
        open_source(str(tmp_path / name))


def test_rows_with_a_file_name_are_rows(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "a", "file_name": "x.png"}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert len(open_source(str(tmp_path)).files) == 1


def test_an_encoding_without_a_text_file_is_refused(natural: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of text files"):
        open_source(natural, encoding="cp1252")  # type: ignore[arg-type]


def test_a_file_that_is_not_in_the_encoding_named_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}] * 3)
    path.write_bytes(path.read_bytes() + b"x")  # an odd number of bytes
    with pytest.raises(InputError, match="it is no utf-16"):
        list(open_source(str(path), encoding="utf-16").batches())


@pytest.mark.parametrize("text", ["{'question': 'q', 'answer': 'a'}\n", "question,answer\nq,a\n"])
def test_inspect_says_that_rows_cannot_be_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "a.jsonl")])
    assert done.exit_code == 0
    assert "no row of it can be read" in done.output
    assert "row 0 cannot be read: not valid JSON" in done.output
