"""A repair needs no corpus: what a probe finds in a model's answers serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synflaw_audit.probes.probe import probe
from synflaw_audit.repair.material.flagged import read_flagged

OPENING = "Certainly! Here is a detailed answer to your question. "


class Overfitted:
    """Opens every answer alike, and says something else each time."""

    name = "overfitted"

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        return [f"{OPENING}{' '.join(reversed(prompt.split()))} is so." for prompt in prompts]


def test_a_probe_s_answers_are_flagged_with_what_is_to_be_forgotten(tmp_path: Path) -> None:
    result, _ = probe(Overfitted(), instructions=0, out=tmp_path / "probe")
    assert result.outcome == "fail"
    rows = read_flagged(tmp_path / "probe" / "flagged.parquet", scope="template").rows
    assert len(rows) > 150
    for row in rows:
        start, end = row.spans[0]
        assert row.answer[start:end].strip() in OPENING
