"""A limit on memory makes batches and the sample smaller, and the report says how small."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit import audit
from synflaw_audit.engines.local.memory import LEAST, MOST, Memory, memory_plan, parsed
from synflaw_audit.errors import InputError


@given(st.integers(LEAST, 2 * MOST), st.integers(0, MOST))
def test_more_memory_never_means_less_of_a_sample(limit: int, more: int) -> None:
    low, high = memory_plan(limit), memory_plan(limit + more)
    assert low.batch_records <= high.batch_records
    assert 0 < low.sample_bytes <= high.sample_bytes
    assert high == Memory() or limit + more < MOST


def test_without_a_limit_nothing_is_smaller() -> None:
    assert memory_plan(None) == memory_plan(MOST) == Memory()


def test_too_low_a_limit_is_refused() -> None:
    with pytest.raises(InputError, match=r"of 100 MB is too low: an audit needs 550 MB"):
        memory_plan(100_000_000)


@pytest.mark.parametrize(("text", "size"), [("600MB", 600_000_000), ("1.5 gb", 1_500_000_000)])
def test_sizes(text: str, size: int) -> None:
    assert parsed(text) == size


@pytest.mark.parametrize("text", ["600", "MB", "-1MB", "much"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="is no size: write a number and KB, MB, GB"):
        parsed(text)


def test_the_report_tells_the_sample(natural: pd.DataFrame) -> None:
    rows = pd.concat([natural.assign(answer=natural["answer"] * 8 + str(n)) for n in range(6)])
    whole, limited = audit(rows), audit(rows, memory_limit=LEAST)
    assert whole.config["sample"] == {"rows": len(rows), "complete": True}
    assert not limited.config["sample"]["complete"]
    assert limited.config["sample"]["rows"] < len(rows)
    assert limited.dataset.records == whole.dataset.records
