"""Which columns hold the question and the answer, and how conversations become records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.errors import InputError
from synflaw_audit.reading import Rejected, open_source
from synflaw_audit.reading.rows import RowError
from synflaw_audit.reading.schemas.messages import exchanges

Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(
    path: Path, **columns: str | None
) -> tuple[str, list[tuple[int, int, str, str]], list[str]]:
    """The schema, (row, turn, question, answer) of each record, and the reasons of rejects."""
    rejected: list[Rejected] = []
    source = open_source(path, **columns)  # type: ignore[arg-type]
    found = pa.Table.from_batches(source.batches(rejected.append)).to_pylist()
    tuples = [(r["row"], r["turn"], r["question"], r["answer"]) for r in found]
    return source.schemas()[str(path)], tuples, [r.reason for r in rejected]


def message(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


SUFFIXES = pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])


@SUFFIXES
@pytest.mark.parametrize(
    ("row", "schema", "question"),
    [
        ({"question": "Q", "answer": "A"}, "question/answer", "Q"),
        ({"Question": "Q", "Answer": "A"}, "Question/Answer", "Q"),
        ({"prompt": "Q", "completion": "A"}, "prompt/completion", "Q"),
        ({"prompt": "Q", "response": "A", "id": 7}, "prompt/response", "Q"),
        ({"query": "Q", "response": "A"}, "query/response", "Q"),
        ({"problem": "Q", "solution": "A"}, "problem/solution", "Q"),
        ({"instruction": "Q", "output": "A"}, "instruction/output", "Q"),
        ({"instruction": "Q", "input": "I", "output": "A"}, "instruction/input/output", "Q\n\nI"),
        ({"instruction": "Q", "input": "", "output": "A"}, "instruction/input/output", "Q"),
        ({"instruction": "", "input": "I", "output": "A"}, "instruction/input/output", "I"),
        (
            {"instruction": "Q", "context": "C", "response": "A", "category": "x"},
            "instruction/context/response",
            "Q\n\nC",
        ),
        ({"input": "Q", "output": "A", "user": "bob"}, "input/output", None),
        ({"user": "bob", "question": "Q", "answer": "A"}, "question/answer", "Q"),
        ({"input": "Q", "target": "A"}, "input/target", "Q"),
    ],
)
def test_usual_columns(
    tmp_path: Path, suffix: str, row: dict[str, Any], schema: str, question: str | None
) -> None:
    path = write(tmp_path / f"a{suffix}", [row])
    if question is None:
        with pytest.raises(InputError, match=r"possible: input/output \(--question input --a"):
            read(path)
        return
    assert read(path) == (schema, [(0, 0, question, "A")], [])


@SUFFIXES
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "t"}, r"no question and answer found. Columns: 'text'. Expected one of question"),
        ({"text": "t"}, r"To read 'text' as plain text: --answer text\."),
        ({"question": "q"}, r"no question and answer found.*'question'.*--answer COLUMN"),
        ({"n": 1, "m": 2.5}, r"Columns: 'n', 'm'\."),
        (
            {"question": "q", "answer": "a", "response": "r"},
            r"more than one reading is possible: question/answer \(--question question --answer "
            r"answer\); question/response \(--question question --answer response\)\. Columns: "
            r"'question', 'answer', 'response'\. To choose, give the options that stand beside",
        ),
        (
            {"prompt": "q", "completion": "a", "messages": [message("assistant", "b")]},
            r"possible: messages \(--answer messages\); prompt/completion \(--question prompt",
        ),
    ],
)
def test_no_and_several_readings_are_errors(
    tmp_path: Path, suffix: str, row: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / f"a{suffix}", [row])
    with pytest.raises(InputError, match=message) as error:
        open_source(path).schemas()
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(InputError, match=message):
        list(open_source(path).batches())


@SUFFIXES
@pytest.mark.parametrize(
    ("options", "schema", "question", "answer"),
    [
        ({"question": "b", "answer": "a"}, "b/a", "B", "A"),
        ({"answer": "a"}, "prompt/a", "P", "A"),
        ({"answer": "a", "question": ""}, "a (no question)", "", "A"),
        ({"question": "b"}, "b/response", "B", "R"),
    ],
)
def test_the_caller_can_name_the_columns(
    tmp_path: Path, suffix: str, options: dict[str, str], schema: str, question: str, answer: str
) -> None:
    path = write(tmp_path / f"a{suffix}", [{"a": "A", "b": "B", "prompt": "P", "response": "R"}])
    assert read(path, **options) == (schema, [(0, 0, question, answer)], [])


@SUFFIXES
def test_plain_text_has_no_question(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", [{"text": "t", "id": 1}, {"text": "u", "id": 2}])
    assert read(path, answer="text") == (
        "text (no question)",
        [(0, 0, "", "t"), (1, 0, "", "u")],
        [],
    )


def test_a_named_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}])
    with pytest.raises(InputError, match=r"a.jsonl: no answer column 'text'. Columns: 'q"):
        read(path, answer="text")
    with pytest.raises(InputError, match="no question column 'Question'"):
        read(path, question="Question")


def test_files_of_one_corpus_may_differ_in_schema(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}])
    write(tmp_path / "b.jsonl", [{"messages": [message("user", "u"), message("assistant", "v")]}])
    source = open_source(tmp_path)
    assert list(source.schemas().values()) == ["question/answer", "messages"]
    questions = [q for b in source.batches() for q in b.column("question").to_pylist()]
    assert questions == ["q", "u"]


def test_in_a_mixed_file_the_commonest_reading_wins(tmp_path: Path) -> None:
    pair = {"question": "q", "answer": "a"}
    talk = {"messages": [message("user", "u"), message("assistant", "v")]}
    schema, found, reasons = read(write(tmp_path / "a.jsonl", [talk, pair, pair]))
    assert (schema, len(found)) == ("question/answer", 2)
    assert reasons == ["field 'question' is missing"]
    with pytest.raises(InputError, match="more than one reading"):
        read(write(tmp_path / "b.jsonl", [talk, pair]))


def test_input_that_turns_up_late_still_counts(tmp_path: Path) -> None:
    rows: Rows = [{"instruction": "i", "output": "a"} for _ in range(300)]
    rows.append({"instruction": "i", "input": "late", "output": "a"})
    _, found, _ = read(write(tmp_path / "a.jsonl", rows))
    assert found[-1] == (300, 0, "i\n\nlate", "a")


@SUFFIXES
def test_messages_give_one_record_a_turn(tmp_path: Path, suffix: str) -> None:
    rows: Rows = [
        {
            "messages": [
                message("system", "s"),
                message("user", "q0"),
                message("assistant", "a0"),
                message("user", "q1"),
                message("user", "q1 more"),
                message("assistant", "a1"),
                message("tool", "t"),
                message("assistant", "a1 more"),
                message("user", "unanswered"),
            ]
        },
        {"messages": [message("assistant", "greeting"), message("user", "unanswered")]},
    ]
    assert read(write(tmp_path / f"a{suffix}", rows)) == (
        "messages",
        [
            (0, 0, "q0", "a0"),
            (0, 1, "q1\n\nq1 more", "a1\n\na1 more"),
            (1, 0, "", "greeting"),
        ],
        [],
    )


@SUFFIXES
@pytest.mark.parametrize("names", [("human", "gpt"), ("user", "assistant")])
def test_sharegpt_conversations(tmp_path: Path, suffix: str, names: tuple[str, str]) -> None:
    turns = [
        ("system", "s"),
        (names[0], "q0"),
        (names[1], "a0"),
        (names[0], "q1"),
        (names[1], "a1"),
    ]
    row = {"id": "x", "conversations": [{"from": who, "value": text} for who, text in turns]}
    schema, found, _ = read(write(tmp_path / f"a{suffix}", [row]))
    assert schema == "conversations"
    assert found == [(0, 0, "q0", "a0"), (0, 1, "q1", "a1")]


def test_content_may_be_a_list_of_parts(tmp_path: Path) -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "here"},
    ]
    row = {
        "messages": [message("user", parts), message("assistant", [{"type": "text", "text": "a"}])]
    }
    for suffix in (".jsonl", ".parquet"):
        # In Arrow all parts have all fields, null where unused.
        _, found, _ = read(write(tmp_path / f"a{suffix}", [row]))
        assert found == [(0, 0, "look\nhere", "a")]


def test_tool_calls_without_text_are_no_answer(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    row = {
        "messages": [message("user", "q"), call, message("tool", "t"), message("assistant", "a")]
    }
    assert read(write(tmp_path / "a.jsonl", [row]))[1] == [(0, 0, "q", "a")]


@SUFFIXES
def test_conversational_prompt_and_completion(tmp_path: Path, suffix: str) -> None:
    history = [message("user", "q0"), message("assistant", "a0"), message("user", "q1")]
    rows: Rows = [
        {"prompt": [message("user", "q")], "completion": [message("assistant", "a")]},
        {"prompt": [message("system", "s"), *history], "completion": [message("assistant", "a1")]},
    ]
    schema, found, reasons = read(write(tmp_path / f"a{suffix}", rows))
    assert schema == "prompt/completion"
    assert found == [(0, 0, "q", "a"), (1, 1, "q1", "a1")]
    assert reasons == []


def test_one_side_may_be_plain_text(tmp_path: Path) -> None:
    rows: Rows = [
        {"prompt": [message("user", "q")], "completion": "a"},
        {"prompt": "r", "completion": [message("assistant", "b")]},
    ]
    assert read(write(tmp_path / "a.jsonl", rows))[1] == [(0, 0, "q", "a"), (1, 0, "r", "b")]


def test_a_named_conversation_column(tmp_path: Path) -> None:
    talk = [message("user", "q"), message("assistant", "a")]
    path = write(tmp_path / "a.jsonl", [{"prompt": "q", "chosen": talk, "rejected": talk}])
    assert read(path, answer="chosen") == ("chosen", [(0, 0, "q", "a")], [])
    path = write(tmp_path / "b.jsonl", [{"prompt": "q", "chosen": talk[1:], "rejected": talk[1:]}])
    assert read(path, answer="chosen") == ("prompt/chosen", [(0, 0, "q", "a")], [])


def test_messages_as_json_text_in_csv(tmp_path: Path) -> None:
    talk = json.dumps([message("user", "q"), message("assistant", "a")]).replace('"', '""')
    path = tmp_path / "a.csv"
    path.write_text(f'id,messages\n1,"{talk}"\n2,none\n')
    assert read(path) == (
        "messages",
        [(0, 0, "q", "a")],
        ["messages is text, not a list of messages"],
    )


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "messages is an empty conversation"),
        (None, "messages is null"),
        (5, "messages is int, not a list of messages"),
        (
            [message("user", "q")],
            "messages holds no answer: no message of the assistant (say who it is: --roles "
            "assistant=NAME)",
        ),
        (["hi"], "messages[0] is str, not a message"),
        (
            [{"content": "q"}],
            "messages[0] has no role (neither 'role' nor 'from'); name its keys with "
            "--message-keys",
        ),
        ([message("user", None)], "messages[0] has no content"),
        ([message("user", [[5]])], "messages[0] has a part without text"),
        ([message("user", [{"type": "text"}])], "messages[0] has a part without text"),
        ([message("user", "q"), message("assistant", " ")], "answer is empty"),
    ],
)
def test_broken_conversations_are_rejected(tmp_path: Path, messages: object, reason: str) -> None:
    good = [message("user", "q"), message("assistant", "a")]
    path = write(tmp_path / "a.jsonl", [{"messages": good}, {"messages": messages}])
    assert read(path) == ("messages", [(0, 0, "q", "a")], [reason])


def test_an_unknown_role_names_the_known_ones(tmp_path: Path) -> None:
    good = [message("user", "q"), message("assistant", "a")]
    rows: Rows = [{"messages": good}, {"messages": [message("narrator", "x"), *good]}]
    _, _, reasons = read(write(tmp_path / "a.jsonl", rows))
    assert len(reasons) == 1
    assert reasons[0].startswith(
        "messages[0] has the unknown role 'narrator'; say what it is with --roles, as in --roles "
        "assistant=narrator; known: agent, ai, "
    )


def test_one_bad_turn_leaves_the_others(tmp_path: Path) -> None:
    talk = [message("user", "q0"), message("assistant", ""), message("user", "q1")]
    path = write(tmp_path / "a.jsonl", [{"messages": [*talk, message("assistant", "a1")]}])
    assert read(path) == ("messages", [(0, 1, "q1", "a1")], ["turn 0: answer is empty"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text("ab")),
        max_size=12,
    )
)
def test_no_answer_is_lost_and_turns_count_up(talk: list[tuple[str, str]]) -> None:
    try:
        found = exchanges([message(role, text) for role, text in talk], "messages")
    except RowError:
        assert "assistant" not in [role for role, _ in talk]
        return
    assert [exchange.turn for exchange in found] == list(range(len(found)))
    answers = [text for role, text in talk if role == "assistant"]
    assert "\n\n".join(exchange.answer for exchange in found) == "\n\n".join(answers)
    last = max(n for n, (role, _) in enumerate(talk) if role == "assistant")
    asked = [text for role, text in talk[:last] if role == "user"]
    assert "".join(exchange.question for exchange in found).replace("\n\n", "") == "".join(asked)
