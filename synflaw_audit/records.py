"""The one question-answer record that everything after the readers sees.

A record is one question and one answer, and where it came from: ``file`` and ``row`` (0-based in
its file) and, for conversations, ``turn`` (0-based in its row; 0 where a row is one record). What
stands beside them is null where a row has none: the ``system`` prompt, the ``reasoning`` before the
answer, and the ``rejected`` answer of a preference pair.
Records travel in Arrow batches of the schema ``RECORDS``; the rows the audit flags have the schema
``FLAGGED``, which the repair reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

RECORDS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("turn", pa.int32(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("system", pa.string()),
        pa.field("reasoning", pa.string()),
        pa.field("rejected", pa.string()),
    ]
)

SPAN = pa.struct(
    [pa.field("start", pa.int32(), nullable=False), pa.field("end", pa.int32(), nullable=False)]
)

FLAGGED = pa.schema(
    [
        *RECORDS,
        pa.field("checks", pa.list_(pa.string()), nullable=False),
        pa.field("template", pa.string()),
        # Character offsets (Python string indices) in `answer` of what is format, not content.
        pa.field("template_spans", pa.list_(SPAN), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

# A flagged row and, as a JSON object, the values of the columns that identify it in its table.
FLAGGED_AND_INDEX = pa.schema([*FLAGGED, pa.field("index", pa.string(), nullable=False)])


def record_batch(columns: Mapping[str, Sequence[object] | pa.Array]) -> pa.RecordBatch:
    """Records of these columns; what stands beside the answer is null where it is not given.

    Args:
        columns: By name, of one length; those of ``RECORDS`` that may not be null must be there.
    """
    rows = len(columns["answer"])
    arrays = []
    for field in RECORDS:
        values = columns.get(field.name)
        if values is None and field.nullable:
            arrays.append(pa.nulls(rows, field.type))
        elif isinstance(values, pa.Array):
            arrays.append(values.cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=RECORDS)


def unplaced(
    questions: Sequence[str] | pa.Array, answers: Sequence[str] | pa.Array
) -> pa.RecordBatch:
    """Records of no file, in the order given."""
    rows = len(answers)
    places = {"file": pa.repeat("", rows), "row": range(rows), "turn": pa.repeat(0, rows)}
    return record_batch({**places, "question": questions, "answer": answers})
