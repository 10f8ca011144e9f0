"""Layouts that are common in public corpora and in what services answer are read by themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source

Q, A, NO = "What follows one?", "Two follows it, and then three.", "No idea."
ASKED, TOLD = {"role": "user", "content": Q}, {"role": "assistant", "content": A}
CHAT = [ASKED, TOLD]


def human(role: str, text: str) -> dict[str, str]:
    return {"from": role, "value": text}


# By name: a row, the reading, and the rejected answer and the reasoning where there are such.
LAYOUTS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "a batch's answers": (
        {"custom_id": "r", "response": {"body": {"choices": [{"index": 0, "message": TOLD}]}}},
        "response (no question)",
        None,
    ),
    "a batch with its requests": (
        {"body": {"messages": [ASKED]}, "response": {"body": {"choices": [{"message": TOLD}]}}},
        "body/response",
        None,
    ),
    "candidates": (
        {
            "request": {"contents": [{"role": "user", "parts": [{"text": Q}]}]},
            "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": A}]}}]},
        },
        "request/response",
        None,
    ),
    "traces of messages": (
        {"inputs": {"messages": [ASKED]}, "outputs": {"message": TOLD}},
        "inputs/outputs",
        None,
    ),
    "traces of fields": (
        {"inputs": {"question": Q}, "outputs": {"answer": A}},
        "inputs/outputs",
        None,
    ),
    "a preferred turn": (
        {
            "conversations": [human("human", Q)],
            "chosen": human("gpt", A),
            "rejected": human("gpt", NO),
        },
        "conversations/chosen/rejected (preference)",
        NO,
    ),
    "a rejected response": (
        {"query": Q, "response": A, "rejected_response": NO},
        "query/response/rejected_response (preference)",
        NO,
    ),
    "rejected messages": (
        {"messages": CHAT, "rejected_messages": [ASKED, {"role": "assistant", "content": NO}]},
        "messages/rejected_messages (preference)",
        NO,
    ),
    "answers beside a conversation": (
        {"problem": Q, "solution": "3", "answer": "2", "messages": CHAT},
        "messages",
        None,
    ),
    "segments": (
        {"segments": [{"label": False, "text": Q}, {"label": True, "text": A}]},
        "segments",
        None,
    ),
    "serialized messages": (
        {
            "messages": [
                {"lc": 1, "type": "constructor", "id": ["x", name], "kwargs": {"content": text}}
                for name, text in (("HumanMessage", Q), ("AIMessage", A))
            ]
        },
        "messages",
        None,
    ),
    "a text a role": ({"messages": {"user": Q, "assistant": A}}, "messages", None),
    "lists of values": (
        {"instruction": [{"value": Q}], "response": [{"value": A}]},
        "instruction/response",
        None,
    ),
    "fields beside an empty list": (
        {"fields": {"prompt": Q, "response": A}, "responses": []},
        "fields.prompt/fields.response",
        None,
    ),
    "camel case": ({"userPrompt": Q, "assistantResponse": A}, "userPrompt/assistantResponse", None),
    "words": ({"User Query": Q, "Model Response": A}, "User Query/Model Response", None),
    "an input and contexts": (
        {"user_input": Q, "retrieved_contexts": ["c"], "response": A},
        "user_input/response",
        None,
    ),
    "a title": ({"title": Q, "answers": {"text": [A], "score": [1]}}, "title/answers", None),
}


def written(path: Path, row: object, count: int = 5) -> Path:
    path.write_text((json.dumps(row) + "\n") * count)
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_read_by_itself(name: str, tmp_path: Path) -> None:
    row, reading, rejected = LAYOUTS[name]
    source = open_source(str(written(tmp_path / "a.jsonl", row)))
    assert list(source.schemas().values()) == [reading]
    records = [record for batch in source.batches() for record in batch.to_pylist()]
    assert len(records) == 5
    asked = "" if "no question" in reading else Q
    found = {(r["question"], r["answer"], r["rejected"]) for r in records}
    assert found == {(asked, A, rejected)}


def test_answers_are_edited_inside_what_wraps_them(tmp_path: Path) -> None:
    from synflaw_audit.writing import AnswerEdit, Editor

    row, _, _ = LAYOUTS["a batch's answers"]
    source = open_source(str(written(tmp_path / "a.jsonl", row)))
    schema = source.schema(source.files[0])
    assert schema is not None
    editor = Editor(schema, [(0, [AnswerEdit(0, A, "Two.")])])
    edited = editor.json(0, json.dumps(row))
    assert edited == json.dumps(row).replace(A, "Two.")


def test_a_row_a_message_is_refused_with_what_to_do(tmp_path: Path) -> None:
    row = {"message_id": "1", "parent_id": None, "role": "prompter", "text": Q}
    with pytest.raises(InputError, match="each row is one message"):
        open_source(str(written(tmp_path / "a.jsonl", row))).schemas()


def test_a_conversation_that_asks_otherwise_is_no_better_than_the_pair(tmp_path: Path) -> None:
    row = {"problem": "Another question?", "solution": "3, because it is so.", "messages": CHAT}
    with pytest.raises(InputError, match="more than one reading"):
        open_source(str(written(tmp_path / "a.jsonl", row))).schemas()
