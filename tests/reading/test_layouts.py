"""The layouts that corpora come in: one content, read the same from each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from read_back import MESSAGES, PAIRS, lines, pairs, read, talk

from synflaw_audit.errors import InputError
from synflaw_audit.reading import open_source
from synflaw_audit.reading.schemas.exchange import structured
from synflaw_audit.reading.schemas.messages import exchanges
from synflaw_audit.reading.schemas.rendered import FORMATS, format_of, parsed

ROWS: dict[str, Callable[[str, str], Any]] = {
    "pair": lambda q, a: {"question": q, "answer": a},
    "any case": lambda q, a: {"Question": q, "RESPONSE": a},
    "distilabel": lambda q, a: {"instruction": q, "generation": a, "model_name": "m"},
    "generated": lambda q, a: {"input": q, "model_answer": a},
    "vertex text": lambda q, a: {"input_text": q, "output_text": a},
    "counselling": lambda q, a: {"Context": q, "Response": a},
    "openai": lambda q, a: {"messages": MESSAGES(q, a)},
    "sharegpt": lambda q, a: {"conversations": talk("from", "value", "human", "gpt")(q, a)},
    "langchain": lambda q, a: {"messages": talk("type", "content", "human", "ai")(q, a)},
    "langchain data": lambda q, a: {
        "messages": [
            {"type": "human", "data": {"content": q}},
            {"type": "ai", "data": {"content": a}},
        ]
    },
    "upper case": lambda q, a: {"chat": talk("Role", "Content", "USER", "Assistant")(q, a)},
    "speaker": lambda q, a: {"dialogue": talk("speaker", "text", "Customer", "Agent")(q, a)},
    "gemini": lambda q, a: {
        "contents": [
            {"role": "user", "parts": [{"text": q}]},
            {"role": "model", "parts": [{"text": a}]},
        ]
    },
    "anthropic": lambda q, a: {
        "messages": [
            {"role": "user", "content": q},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "content": "42"}]},
            {"role": "assistant", "content": [{"type": "text", "text": a}]},
        ]
    },
    "swift tools": lambda q, a: {
        "messages": [
            {"role": "user", "content": q},
            {"role": "tool_call", "content": "{}"},
            {"role": "tool-response", "content": "{}"},
            {"role": "assistant", "content": a},
        ]
    },
    "openai dpo": lambda q, a: {
        "input": {"messages": [{"role": "user", "content": q}]},
        "preferred_output": [{"role": "assistant", "content": a}],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    },
    "struct of lists": lambda q, a: {
        "messages": {"role": ["user", "assistant"], "content": [q, a]}
    },
    "json text": lambda q, a: {"messages": json.dumps(MESSAGES(q, a))},
    "python text": lambda q, a: {"messages": repr(MESSAGES(q, a))},
    "numpy text": lambda q, a: {"messages": "[" + "\n ".join(map(repr, MESSAGES(q, a))) + "]"},
    "pairs in a list": lambda q, a: {"conversation": [{"human": q, "assistant": a}]},
    "texts by turns": lambda q, a: {"dialog": [q, a]},
    "list of messages": lambda q, a: MESSAGES(q, a),
    "list of two": lambda q, a: [q, a],
    "magpie": lambda q, a: {"instruction": q, "response": a, "conversations": MESSAGES(q, a)},
    "nested": lambda q, a: {"id": 1, "data": {"question": q, "answer": a}},
    "nested messages": lambda q, a: {"id": 1, "sample": {"messages": MESSAGES(q, a)}},
    "preference": lambda q, a: {"prompt": q, "chosen": a, "rejected": "No idea."},
    "preference messages": lambda q, a: {
        "chosen": MESSAGES(q, a),
        "rejected": MESSAGES(q, "No idea."),
    },
    "ultrafeedback": lambda q, a: {
        "prompt": q,
        "messages": MESSAGES(q, a),
        "chosen": MESSAGES(q, a),
        "rejected": MESSAGES(q, "No idea."),
    },
    "completions": lambda q, a: {
        "prompt": MESSAGES(q, a)[:1],
        "chosen": MESSAGES(q, a)[1:],
        "rejected": MESSAGES(q, "No idea.")[1:],
    },
    "hh": lambda q, a: {
        "chosen": f"\n\nHuman: {q}\n\nAssistant: {a}",
        "rejected": f"\n\nHuman: {q}\n\nAssistant: No idea.",
    },
}


@pytest.mark.parametrize("layout", ROWS)
def test_one_content_in_every_layout(tmp_path: Path, layout: str) -> None:
    rows = [ROWS[layout](q, a) for q, a in PAIRS]
    _, found, reasons = read(lines(tmp_path / "a.jsonl", rows))
    assert (pairs(found), reasons) == (PAIRS, [])
    if "rejected" in str(rows) or "preferred" in str(rows):
        assert [each["rejected"] for each in found] == ["No idea."] * 2
    if layout not in ("list of messages", "list of two", "anthropic"):  # which is no table
        table = pa.Table.from_pylist(rows)
        pq.write_table(table, tmp_path / "a.parquet")
        assert pairs(read(tmp_path / "a.parquet")[1]) == PAIRS


@pytest.mark.parametrize("orient", ["records", "columns", "split", "index", "table"])
def test_whatever_pandas_writes_as_json(tmp_path: Path, orient: Any) -> None:
    frame = pd.DataFrame([{"question": q, "answer": a} for q, a in PAIRS])
    for indent in (0, 2):
        frame.to_json(tmp_path / "a.json", orient=orient, indent=indent)
        assert pairs(read(tmp_path / "a.json")[1]) == PAIRS


def test_json_columns_and_lists_of_lists(tmp_path: Path) -> None:
    questions, answers = map(list, zip(*PAIRS, strict=True))
    documents = [
        {"question": questions, "answer": answers},
        {"conversations": [MESSAGES(q, a) for q, a in PAIRS]},
        [MESSAGES(q, a) for q, a in PAIRS],
    ]
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document))
        assert pairs(read(path)[1]) == PAIRS


def test_columns_of_unlike_lengths_are_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"question": ["a", "b"], "answer": ["c"], "n": 1}, indent=1))
    with pytest.raises(InputError, match="no list of objects in the document"):
        read(path)


RENDERED = {
    "ChatML": "<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\n{q}<|im_end|>\n"
    "<|im_start|>assistant\n{a}<|im_end|>\n",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{q}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{a}<|eot_id|>",
    "Llama 4": "<|begin_of_text|><|header_start|>user<|header_end|>\n\n{q}<|eot|>"
    "<|header_start|>assistant<|header_end|>\n\n{a}<|eot|>",
    "Llama 2": "<s>[INST] <<SYS>>\nS.\n<</SYS>>\n\n{q} [/INST] {a} </s>",
    "Gemma": "<bos><start_of_turn>user\n{q}<end_of_turn>\n<start_of_turn>model\n{a}<end_of_turn>\n",
    "Harmony": "<|start|>user<|message|>{q}<|end|><|start|>assistant<|channel|>final<|message|>{a}"
    "<|return|>",
    "Granite": "<|start_of_role|>user<|end_of_role|>{q}<|end_of_text|>\n"
    "<|start_of_role|>assistant<|end_of_role|>{a}<|end_of_text|>\n",
    "Command R": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{q}<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{a}<|END_OF_TURN_TOKEN|>",
    "DeepSeek": "<\uff5cbegin▁of▁sentence\uff5c>S.<\uff5cUser\uff5c>{q}<\uff5cAssistant\uff5c>{a}"
    "<\uff5cend▁of▁sentence\uff5c>",
    "Zephyr": "<|system|>\nS.</s>\n<|user|>\n{q}</s>\n<|assistant|>\n{a}</s>\n",
    "Baize": "A chat between a human and an AI.\n[|Human|] {q}\n[|AI|] {a}",
    "Nemotron": "<extra_id_0>System\nS.\n<extra_id_1>User\n{q}\n<extra_id_1>Assistant\n{a}\n",
    "Guanaco": "### Human: {q}### Assistant: {a}",
    "Alpaca": "Below is an instruction that describes a task.\n\n### Instruction:\n{q}\n\n"
    "### Response:\n{a}",
    "Vicuna": "A chat between a curious user and an assistant. USER: {q} ASSISTANT: {a}</s>",
    "tagged": "<human>: {q}\n<bot>: {a}",
    "Human/Assistant": "Human: {q}\nAssistant: {a}",
}


def test_every_format_has_an_example() -> None:
    assert set(RENDERED) == {form.name for form in FORMATS}


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_chats_are_taken_apart(tmp_path: Path, name: str) -> None:
    rows = [{"text": RENDERED[name].format(q=q, a=a)} for q, a in PAIRS]
    schema, found, reasons = read(lines(tmp_path / "a.jsonl", rows))
    assert (schema, pairs(found), reasons) == (f"text ({name} chats)", PAIRS, [])


@given(st.text(max_size=200))
def test_any_text_is_a_chat_or_none(text: str) -> None:
    form = format_of(text)
    found = parsed(text, ("text",))
    assert (form is None) == (found is None)
    for message in found or ():
        for segment in message.segments:
            assert message.text == text[segment.start : segment.end] or message.text is None


@pytest.mark.parametrize(
    "text", ["Humans: a history.", "To quote: <|im_start|>user", "# Answer:\nyes", "A: one", ""]
)
def test_text_that_only_speaks_of_chats_is_none(text: str) -> None:
    assert format_of(text) is None


def test_roles_and_keys_of_ones_own(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"wer": "Kunde", "sagt": q}, {"wer": "Bote", "sagt": a}]} for q, a in PAIRS
    ]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(InputError, match="--message-keys"):
        read(path)
    keys = {"message_keys": "role=wer,content=sagt"}
    with pytest.raises(InputError, match=r"unknown role 'Kunde'.*--roles"):
        read(path, **keys)
    assert pairs(read(path, roles="user=Kunde,assistant=bote", **keys)[1]) == PAIRS
    table = tmp_path / "schema.toml"
    table.write_text(
        '[schema]\nanswer = "messages"\n[schema.roles]\nuser = "Kunde"\nassistant = ["Bote"]\n'
        '[schema.message_keys]\nrole = "wer"\ncontent = "sagt"\n'
    )
    assert pairs(read(path, schema=str(table))[1]) == PAIRS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[schema]\nanswr = 'a'", r"unknown key 'answr' in \[schema\]; known: question, answer, "),
        ("[schema.roles]\nhelper = 'x'", "unknown role 'helper'; what a name may stand for: syst"),
        ("answer = 'a'", r"has no table \[schema\]"),
        ("[schema", "is not valid TOML"),
        ("[schema]\nanswer = 3", "answer is the name of a column"),
    ],
)
def test_a_table_of_options_is_strict(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(lines(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}]), schema=str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roles": "assistant"}, "--roles: 'assistant' is no assignment such as assistant=Agent"),
        ({"roles": "boss=Agent"}, "--roles: unknown role 'boss'"),
        ({"message_keys": "name=x"}, "--message-keys: unknown key 'name'; known: role, content"),
        ({"encoding": "klingon"}, "--encoding klingon: is no encoding of texts"),
    ],
)
def test_options_that_say_nothing_are_errors(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(lines(tmp_path / "a.jsonl", [{"question": "q", "answer": "a"}]), **options)


def test_columns_inside_objects(tmp_path: Path) -> None:
    rows = [{"in": {"text": q}, "out": [{"text": a}], "data.x": "n"} for q, a in PAIRS]
    path = lines(tmp_path / "a.jsonl", rows)
    assert pairs(read(path, question="in.text", answer="out.0.text")[1]) == PAIRS
    both = lines(
        tmp_path / "b.jsonl",
        [{"data": {"question": q, "answer": a, "system": "S."}} for q, a in PAIRS],
    )
    schema, found, _ = read(both, answer="data.answer")
    assert (schema, pairs(found)) == ("data.question/data.answer with data.system", PAIRS)
    assert {each["system"] for each in found} == {"S."}
    with pytest.raises(InputError, match=r"no answer column 'data\.reply'"):
        read(both, answer="data.reply")


def test_history_and_system_are_read(tmp_path: Path) -> None:
    row = {"instruction": "Q", "input": "I", "output": "A", "system": "S."}
    rows = [row | {"history": [["q0", "a0"], ["q1", "a1"]]}, row | {"history": []}]
    for suffix in (".jsonl", ".csv"):
        path = tmp_path / f"a{suffix}"
        if suffix == ".jsonl":
            lines(path, rows)
        else:
            pd.DataFrame(rows).to_csv(path, index=False)
        schema, found, reasons = read(path)
        assert schema == "instruction/input/output with system, history"
        assert pairs(found) == [("q0", "a0"), ("q1", "a1"), ("Q\n\nI", "A"), ("Q\n\nI", "A")]
        assert [each["turn"] for each in found] == [0, 1, 2, 0]
        assert {each["system"] for each in found} == {"S."}
        assert reasons == []


@pytest.mark.parametrize(
    "mark",
    [
        {"weight": 0},
        {"train": False},
        {"trainable": False},
        {"loss": False},
        {"loss_mask": 0},
        {"loss_weight": 0.0},
        {"mask": True},
        {"masked": 1},
    ],
)
def test_what_is_masked_from_the_loss_is_context(mark: dict[str, Any]) -> None:
    draft = {"role": "assistant", "content": "Draft."} | mark
    asked = {"role": "user", "content": "Again?"}
    final = {"role": "assistant", "content": "Final."} | {name: not v for name, v in mark.items()}
    found = exchanges([{"role": "user", "content": "Q?"}, draft, asked, final], "messages")
    assert [(e.turn, e.question, e.answer) for e in found] == [(1, "Again?", "Final.")]


def test_a_list_of_masks_beside_the_messages(tmp_path: Path) -> None:
    chat = [*MESSAGES("Q?", "Draft."), *MESSAGES("Again?", "Final.")]
    for mask in ([0, 0, 0, 1], [0, 1]):
        rows = [{"messages": chat, "loss_mask": mask}]
        schema, found, _ = read(lines(tmp_path / "a.jsonl", rows))
        assert (schema, pairs(found)) == ("messages with loss_mask", [("Again?", "Final.")])


THOUGHTS = {
    "tags": {"question": "Q?", "answer": "<think>\nHm.\n</think>\n\nA."},
    "its end alone": {"question": "Q?", "answer": "Hm.\n</think>\n\nA."},
    "and the answer's": {
        "question": "Q?",
        "answer": "<reasoning>Hm.</reasoning><answer>A.</answer>",
    },
    "marks": {
        "question": "Q?",
        "answer": "<|begin_of_thought|>Hm.<|end_of_thought|>\n\n<|begin_of_solution|>A."
        "<|end_of_solution|>",
    },
    "column": {"Question": "Q?", "Complex_CoT": "Hm.", "Response": "A."},
    "key": {
        "messages": [
            {"role": "user", "content": "Q?"},
            {"role": "assistant", "reasoning_content": "Hm.", "content": "A."},
        ]
    },
    "role": {
        "messages": [
            {"role": "user", "content": "Q?"},
            {"role": "thought", "content": "Hm."},
            {"role": "assistant", "content": "A."},
        ]
    },
    "part": {
        "messages": [
            {"role": "user", "content": "Q?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm."},
                    {"type": "text", "text": "A."},
                ],
            },
        ]
    },
}


@pytest.mark.parametrize("form", THOUGHTS)
def test_reasoning_is_told_from_the_answer(tmp_path: Path, form: str) -> None:
    paths = [lines(tmp_path / "a.jsonl", [THOUGHTS[form]])]
    if form != "part":  # which is no table
        paths.append(tmp_path / "b.parquet")
        pq.write_table(pa.Table.from_pylist([THOUGHTS[form]]), paths[1])
    for path in paths:
        _, found, reasons = read(path)
        assert (pairs(found), reasons) == ([("Q?", "A.")], [])
        assert [each["reasoning"] for each in found] == ["Hm."]


def test_reasoning_alone_is_no_answer(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": "<think>and so on"}, {"question": "q", "answer": "a"}]
    _, _, reasons = read(lines(tmp_path / "a.jsonl", rows))
    assert reasons == ["answer is empty: there is only reasoning"]


def test_numbers_are_texts_where_there_is_nothing_else(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": 7}, {"question": "b", "answer": 2.5}]
    schema, found, _ = read(lines(tmp_path / "a.jsonl", rows))
    assert (schema, pairs(found)) == (
        "question/answer, numbers as text",
        [("a", "7"), ("b", "2.5")],
    )
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")  # whole numbers become 7.0 there
    assert pairs(read(tmp_path / "a.parquet")[1]) == [("a", "7"), ("b", "2.5")]
    mixed = [{"question": "a", "answer": "x"}, {"question": "b", "answer": 7}]
    schema, found, reasons = read(lines(tmp_path / "b.jsonl", mixed))
    assert (schema, pairs(found), reasons) == ("question/answer", [("a", "x"), ("b", "7")], [])


def test_several_answers_are_a_record_each(tmp_path: Path) -> None:
    rows = [
        {"question": "Q?", "answers": {"text": ["A.", "B."], "answer_start": [0, 3]}},
        {"question": "Q?", "answers": [{"text": "C."}, {"text": "D."}]},
        {"question": "Q?", "answers": ["E."]},
    ]
    _, found, reasons = read(lines(tmp_path / "a.jsonl", rows))
    assert reasons == []
    assert [(each["row"], each["turn"], each["answer"]) for each in found] == [
        *((0, 0, "A."), (0, 1, "B."), (1, 0, "C."), (1, 1, "D."), (2, 0, "E.")),
    ]


def test_calls_without_words_are_no_answers() -> None:
    chat = [
        {"role": "user", "content": "Q?"},
        {"from": "gpt", "value": "<tool_call>\n{}\n</tool_call>"},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "content": "A."},
    ]
    assert [(e.question, e.answer) for e in exchanges(chat, "messages")] == [("Q?", "A.")]


@pytest.mark.parametrize(
    ("row", "flags"),
    [
        (
            {"problem": "q", "solution": "a", "answer": "b"},
            ["--question problem --answer solution", "--question problem --answer answer"],
        ),
        ({"messages": MESSAGES("q", "a"), "chat": MESSAGES("q", "b")}, ["--answer messages"]),
    ],
)
def test_several_readings_are_an_error_that_says_how_to_choose(
    tmp_path: Path, row: dict[str, Any], flags: list[str]
) -> None:
    with pytest.raises(InputError, match="more than one reading is possible") as error:
        read(lines(tmp_path / "a.jsonl", [row]))
    for flag in flags:
        assert f"({flag})" in str(error.value)


def test_columns_that_say_the_same_once_more_are_not_unread(tmp_path: Path) -> None:
    rows = [
        {"instruction": q, "response": a, "messages": MESSAGES(q, a), "note": q} for q, a in PAIRS
    ]
    source = open_source(lines(tmp_path / "a.jsonl", rows))
    list(source.batches())
    assert source.accounts().files[0].unread == ("note",)


@pytest.mark.parametrize("text", ["[" * 5000, "[" + "1," * 600_000 + "]", "{'a': }", "[a]", "[1]("])
def test_text_that_is_no_value_is_none(text: str) -> None:
    assert structured(text) is None


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=4), st.lists, max_leaves=6))
def test_values_are_read_back_from_both_ways_to_write_them(value: Any) -> None:
    if isinstance(value, list):
        assert structured(repr(value)) == structured(json.dumps(value)) == value


def test_names_of_columns_that_are_no_unicode_can_be_reported(tmp_path: Path) -> None:
    row = '{"\\ud800": "text", "question": "q", "answer": "a"}\n'
    (tmp_path / "a.jsonl").write_text(row)
    source = open_source(tmp_path / "a.jsonl")
    list(source.batches())
    assert source.accounts().files[0].unread == ("\\ud800",)
    (tmp_path / "b.jsonl").write_text('{"\\ud800": {"question": "q", "answer": "a"}}\n')
    assert read(tmp_path / "b.jsonl")[0] == "\\ud800.question/\\ud800.answer"


@pytest.mark.parametrize("role", ["role", "from", "type", "speaker", "who"])
def test_a_file_of_one_conversation_is_no_list_of_rows(tmp_path: Path, role: str) -> None:
    rows = [{"chat": talk(role, "content", "user", "assistant")("Q?", "A.")}]
    assert pairs(read(lines(tmp_path / "a.jsonl", rows))[1]) == [("Q?", "A.")]
    wrapped = {"data": [{"question": q, "answer": a, role: "x"} for q, a in PAIRS]}
    assert pairs(read(lines(tmp_path / "b.json", [wrapped]))[1]) == PAIRS
