"""What several test modules need: the project's own corpora and ways to plant a format."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: nothing here asserts how long something takes.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

SAMPLES = Path(__file__).parent.parent / "sample_data"


def _sample(name: str) -> pd.DataFrame:
    lines = (SAMPLES / name).read_text(encoding="utf-8").splitlines()
    return pd.DataFrame([json.loads(line) for line in lines])


@pytest.fixture(scope="session")
def natural() -> pd.DataFrame:
    """Varied question-answer rows, which the audit passes."""
    return _sample("natural.jsonl")


@pytest.fixture(scope="session")
def templated() -> pd.DataFrame:
    """Rows in a few formats, which the audit fails."""
    return _sample("templated.jsonl")
