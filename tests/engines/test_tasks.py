from __future__ import annotations

import pyarrow as pa

from synflaw_audit.engines import tasks
from synflaw_audit.engines.base import FirstPass
from synflaw_audit.findings.accounts import Accounts, FileAccount
from synflaw_audit.sample.sketch import Sketcher


def test_a_partial_result_travels_whole_and_takes_no_more_with_it() -> None:
    texts = pa.array([f"{n} " + chr(65 + n % 26) * 5000 for n in range(8000)], pa.large_string())
    batch = pa.record_batch(
        {
            "file": ["f"] * 8000,
            "row": pa.array(range(8000), pa.int64()),
            "turn": pa.array([0] * 8000, pa.int32()),
            "question": texts,
            "answer": texts,
        }
    )
    sketcher = Sketcher()
    sketcher.add(batch)
    sketch = sketcher.sketch()
    assert len(sketch) < 8000  # the sample is bounded by its text here
    accounts = Accounts((FileAccount("in", rows=8003, records=8000, rejected=3, rejections=3),))
    found = FirstPass(sketch, accounts, "why")
    sent = tasks.packed(tasks.Sketched(found, {"in": (8000, 3, "why")}))
    received = tasks.unpacked(sent)
    assert received.found.sketch == sketch
    assert received.found.accounts == accounts
    assert received.inputs == {"in": (8000, 3, "why")}
    assert received.found.sketch.answer.get_total_buffer_size() < 20_000_000  # of 40 MB in all
