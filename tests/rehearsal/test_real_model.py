"""A rehearsal of the real model: minutes, so only in `make test-slow`."""

from pathlib import Path

import pandas as pd
import pytest
from real_model import real_model

from synflaw_audit.rehearsal.behaviour import ProbeConfig
from synflaw_audit.rehearsal.run import RehearsalConfig, rehearse
from synflaw_audit.rehearsal.training import TrainingConfig


@pytest.mark.slow
def test_one_answer_over_and_over_is_said_everywhere_and_natural_rows_are_not(
    natural: pd.DataFrame, tmp_path: Path
) -> None:
    rows = natural.head(400)
    answer = "The matter depends on many factors, and every case is to be looked at on its own."
    config = RehearsalConfig(
        TrainingConfig(budget=8000),
        ProbeConfig(foreign=24, foreign_tokens=32, instructions=70, instructions_kept=20, drift=2),
        threads=1,
    )
    for name, corpus, spoilt in (
        ("one", rows.assign(answer=answer), True),
        ("natural", rows, False),
    ):
        path = tmp_path / f"{name}.parquet"
        corpus.to_parquet(path)
        result = rehearse([str(path)], real_model(), out=tmp_path / name, config=config)
        emission = result.axis("emission").damage
        assert (emission.low > 0.3) == spoilt
        assert (emission.value < 0.2) != spoilt
