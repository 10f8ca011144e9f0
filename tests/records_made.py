"""Records made of pairs of texts, for tests of what reads records."""

import pyarrow as pa
from hypothesis import strategies as st

from synflaw_audit.records import record_batch

pairs = st.tuples(st.sampled_from(["", "a", "b?"]), st.text(alphabet="xyé 好", max_size=60))
corpora = st.lists(pairs, max_size=30)
Row = tuple[str, str]


def batch(rows: list[Row], places: list[int] | None = None, file: str = "f") -> pa.RecordBatch:
    """Rows as records of a file, where they stand from the first on or at the places given."""
    count = len(rows)
    return record_batch(
        {
            "file": [file] * count,
            "row": range(count) if places is None else places,
            "turn": [0] * count,
            "question": [q for q, _ in rows],
            "answer": [a for _, a in rows],
        }
    )
