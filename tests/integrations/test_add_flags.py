from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from synflaw_audit import Report, audit
from synflaw_audit.errors import InputError
from synflaw_audit.integrations.datasets import add_flags

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def templated() -> Dataset:
    rows = Dataset.from_json(str(SAMPLES / "templated.jsonl"), keep_in_memory=True)
    return rows.select(range(300))


@pytest.fixture(scope="module")
def report(templated: Dataset) -> Report:
    return audit(templated)


def test_the_columns_say_what_the_report_says(templated: Dataset, report: Report) -> None:
    marked = add_flags(templated, report)
    frame = report.flagged().set_index("row")
    assert marked.column_names[: len(templated.column_names)] == templated.column_names
    assert sum(marked["synflaw_flagged"]) == frame.index.nunique() > 0
    for index, row in enumerate(marked):
        assert row["synflaw_flagged"] == (index in frame.index)
        cut = [row["answer"][s["start"] : s["end"]] for s in row["synflaw_spans"]]
        if row["synflaw_flagged"]:
            spans = frame.loc[index, "template_spans"]
            assert cut == [frame.loc[index, "answer"][s["start"] : s["end"]] for s in spans]
    clean = marked.filter(lambda flagged: not flagged, input_columns="synflaw_flagged")
    assert len(clean) == len(templated) - frame.index.nunique()


def test_each_turn_of_a_conversation_has_its_spans() -> None:
    def turns(row: int) -> list[dict[str, str]]:
        said = []
        for turn in range(2):
            answer = f"Thank you for asking us. It is {row * 7 + turn}."
            said += [{"role": "user", "content": f"What of {row}, {turn}?"}]
            said += [{"role": "assistant", "content": answer}]
        return said

    rows = [{"messages": turns(row)} for row in range(60)]
    chats = Dataset.from_list(rows)
    marked = add_flags(chats, audit(chats))
    assert {span["turn"] for row in marked for span in row["synflaw_spans"]} == {0, 1}


def test_one_split_of_several(templated: Dataset) -> None:
    splits = DatasetDict({"train": templated, "test": templated.select(range(60))})
    report = audit(splits)
    with pytest.raises(InputError, match=r"2 files, <Dataset:train>, <Dataset:test>: which"):
        add_flags(templated, report)
    marked = add_flags(splits["test"], report, file="<Dataset:test>")
    assert len(marked) == 60
    with pytest.raises(InputError, match="counted 60 rows, and this data set has 300"):
        add_flags(templated, report, file="<Dataset:test>")


def test_a_report_without_its_rows_says_so(templated: Dataset, report: Report) -> None:
    with pytest.raises(InputError, match=r"flagged\.parquet"):
        add_flags(templated, Report.from_json(report.to_json()))
