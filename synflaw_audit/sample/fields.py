"""The texts that stand beside the answers, each field sketched as a corpus of its own."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from synflaw_audit.allowed import Allowances
from synflaw_audit.sample.sketch import Sketch, Sketcher, merge

# What a model thinks before it answers is learned as well; a rejected answer is learned from.
FIELDS = ("reasoning", "rejected")


class FieldSketcher:
    """Sketches, of each field, the records that have it, with its text in the answer's place."""

    def __init__(
        self, empty: Sketch, allowed: Allowances, before: Mapping[str, Sketch] | None = None
    ) -> None:
        """Goes on from what has been sketched, or begins with sketches like an empty one."""
        self._empty, self._allowed = empty, allowed
        self._sketchers = {name: Sketcher(sketch) for name, sketch in (before or {}).items()}

    def add(self, records: pa.RecordBatch) -> None:
        """Takes a batch of records (schema ``records.RECORDS``)."""
        for name in FIELDS:
            texts = records.column(name)
            if texts.null_count == len(texts):
                continue
            kept = records.filter(texts.is_valid())
            place = records.schema.get_field_index("answer")
            kept = kept.set_column(place, records.schema.field(place), kept.column(name))
            if self._allowed:
                kept, _ = self._allowed.applied(kept)
            if name not in self._sketchers:
                self._sketchers[name] = Sketcher(self._empty)
            self._sketchers[name].add(kept)

    def sketches(self) -> dict[str, Sketch]:
        """What was taken so far, of each field that some record has."""
        return {name: sketcher.sketch() for name, sketcher in self._sketchers.items()}


def merged_fields(one: Mapping[str, Sketch], other: Mapping[str, Sketch]) -> dict[str, Sketch]:
    """The sketches of two parts of a corpus together."""
    found = dict(one)
    for name, sketch in other.items():
        found[name] = merge(found[name], sketch) if name in found else sketch
    return found
