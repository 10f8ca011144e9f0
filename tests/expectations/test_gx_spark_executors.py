"""A cluster whose executors lack the package is told so in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# What the Python of such an executor does; the driver's is as it should be.
LACKING = """
import sys

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "synflaw_audit":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking())
"""

DRIVER = """
import great_expectations as gx
from pyspark.sql import SparkSession
from synflaw_audit import expectations as synflaw

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
spark = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
rows = spark.createDataFrame([(f"question {n}", f"answer {n}") for n in range(60)],
                             "question string, answer string")
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
asset = context.data_sources.add_spark("spark").add_dataframe_asset("rows")
batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": rows})
found = batch.validate(synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost(max_score=0.4))
print("success:", found.success)
print("message:", found.exception_info["exception_message"])
"""


@pytest.mark.slow
def test_the_missing_module_and_what_to_do_are_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("no Java here, which Spark runs on: apt-get install default-jre-headless")
    (tmp_path / "sitecustomize.py").write_text(LACKING)
    executor = tmp_path / "python"
    lacking = f'PYTHONPATH="{tmp_path}:$PYTHONPATH"'
    executor.write_text(f'#!/bin/sh\n{lacking} exec {sys.executable} "$@"\n')
    executor.chmod(0o755)
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYSPARK_PYTHON": str(executor), "PYTHONPATH": root}
    ran = subprocess.run(  # noqa: S603 - the program is written above
        [sys.executable, "-W", "ignore", "-c", DRIVER],
        env={**env, "PYSPARK_DRIVER_PYTHON": sys.executable, "GX_ANALYTICS_ENABLED": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert said["success"] == "False"
    assert "the Python of Spark's executors has no module 'synflaw_audit" in said["message"]
    assert "install synflaw-audit there as it is here" in said["message"]
    assert "Traceback" not in said["message"]
