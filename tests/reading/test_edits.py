"""A changed answer stands where the old one stood, and nothing else of its row is touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from read_back import MESSAGES

from synflaw_audit.reading.schemas import Pair, SchemaOptions, TextEdit, edited
from synflaw_audit.reading.schemas.messages import exchanges


def test_an_edit_changes_the_answer_where_it_stands() -> None:
    row = {
        "messages": json.dumps(
            [*MESSAGES("Q?", "One. Two."), {"role": "assistant", "content": "End."}]
        )
    }
    (found,) = exchanges(row["messages"], "messages")
    assert found.answer == "One. Two.\n\nEnd."
    changed = edited(row, found, [TextEdit(0, 5), TextEdit(11, 15, "Stop.")])
    assert [m["content"] for m in json.loads(changed["messages"])] == ["Q?", "Two.", "Stop."]
    assert json.loads(row["messages"])[1]["content"] == "One. Two."
    with pytest.raises(ValueError, match="outside"):
        edited(row, found, [TextEdit(0, 99)])


@given(st.text(min_size=1, max_size=30), st.data())
def test_an_edit_of_a_rendered_chat_leaves_its_marks(answer: str, data: st.DataObject) -> None:
    text = f"<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\nx{answer}y<|im_end|>\n"
    reading = next(iter(Pair.readings({"question": "q", "answer": text}, SchemaOptions())))
    (found,) = reading.records({"question": "q", "answer": text})
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    changed = edited({"question": "q", "answer": text}, found, [TextEdit(start, end, "!")])
    assert changed == {"question": "q", "answer": text[:start] + "!" + text[end:]}
