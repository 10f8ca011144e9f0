"""The same audit on Ray Data, which is large and not among the development tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synflaw_audit import audit
from synflaw_audit.engines.base import Engine, Outputs, silent
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Report
from synflaw_audit.records import FLAGGED

ray = pytest.importorskip("ray", reason="pip install 'synflaw-audit[ray]'")

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    root = str(Path(__file__).parents[2])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    yield
    ray.shutdown()


def rows_of(report: Report) -> list[str]:
    assert report._flagged is not None
    columns = [name for name in FLAGGED.names if name not in ("file", "row", "turn")]
    found = report._flagged().select(columns).to_pylist()
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def judged(report: Report) -> list[Any]:
    return [(c.name, c.score, c.low, c.high, c.verdict, c.observed) for c in report.checks]


@pytest.mark.usefixtures("cluster")
def test_a_data_set_is_judged_and_flagged_as_on_one_machine(
    templated: pd.DataFrame, natural: pd.DataFrame, tmp_path: Path
) -> None:
    both = pd.concat([templated.head(300), natural.head(300)], ignore_index=True)
    both.loc[[11, 400], "answer"] = None
    table = pa.Table.from_pandas(both, preserve_index=False)
    local = audit(table)
    data = ray.data.from_arrow([table[start : start + 60] for start in range(0, 600, 60)])
    report = audit(data.random_shuffle(seed=1).materialize(), out=tmp_path, split=True)
    assert isinstance(report, Report)
    assert judged(report) == judged(local)
    assert report.risk == local.risk
    assert (report.dataset.rejected, report.dataset.tokens) == (2, local.dataset.tokens)
    assert len(rows_of(local)) > 100
    assert rows_of(report) == rows_of(local)
    split = [pq.read_table(tmp_path / f"{n}.parquet").num_rows for n in ("clean", "quarantined")]
    assert split == [598 - local.flagged_summary.records, local.flagged_summary.records]
    rejected = "".join(path.read_text() for path in (tmp_path / "rejected.jsonl").iterdir())
    assert rejected.count("answer is null") == 2


@pytest.mark.usefixtures("cluster")
def test_nothing_readable_is_named() -> None:
    from synflaw_audit.engines.ray import RayEngine

    engine = RayEngine(ray.data.from_items([{"question": "q", "answer": None}] * 3))
    assert isinstance(engine, Engine)
    with pytest.raises(InputError, match="none of its 3 rows can be read; the first, row 0"):
        engine.first_pass(Outputs(), silent)
