"""Corpora for the tests of single measures."""

import pandas as pd
import pyarrow as pa

from synflaw_audit.records import RECORDS
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.sample.sketch import Sketch


def corpus_of(answers: list[str], questions: list[str] | None = None) -> Corpus:
    """A corpus of these answers; each to a question of its own unless questions are given."""
    asked = questions or [f"q{number}" for number in range(len(answers))]
    places = {"file": "f", "row": range(len(answers)), "turn": 0}
    frame = pd.DataFrame({**places, "question": asked, "answer": answers})
    return Corpus(
        Sketch().added(pa.RecordBatch.from_pandas(frame, schema=RECORDS, preserve_index=False))
    )
