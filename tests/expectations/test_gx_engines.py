"""One corpus, four engines, one verdict: the same scores and the same flagged rows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import postgres
import pytest
import sqlalchemy
from great_expectations.expectations.row_conditions import Column
from gx_helpers import checkpoint_over, pandas_batch, template_share

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations import classes
from synflaw_audit.verdicts.catalogue import load_checks

# pyspark leaves the sockets to its JVM, over which results come, to the garbage collector; its
# releases before 4 still compare versions by distutils, and ask pandas for what it has renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_datetime64tz_dtype is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.*:pytest.PytestUnraisableExceptionWarning"),
]

ENGINES = ["pandas", "sqlite", "postgresql", "spark"]


@pytest.fixture(scope="module")
def corpus(templated: pd.DataFrame, natural: pd.DataFrame) -> pd.DataFrame:
    """Both kinds, mixed, with an index that is text, and two rows that cannot be read."""
    both = pd.concat(
        [templated.assign(kind="made"), natural.assign(kind="written")], ignore_index=True
    )
    mixed = both.sample(frac=1.0, random_state=7, ignore_index=True)
    mixed.loc[[11, 300], "answer"] = None
    mixed.loc[20, "question"] = "Does “this” — naïve — question survive? 你好"
    return mixed


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    tools = postgres.binaries()
    if tools is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql, or put initdb on PATH")
    with postgres.server(tools) as url:
        yield url


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    pyspark = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("no Java here, which Spark runs on: apt-get install default-jre-headless")
    root = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        pyspark.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session
    session.stop()


def sql_batch(context: Any, url: str, corpus: pd.DataFrame) -> Any:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        corpus.to_sql("corpus", connection, index=False, if_exists="replace")
    engine.dispose()
    sources = context.data_sources
    add = sources.add_sqlite if url.startswith("sqlite") else sources.add_postgres
    asset = add("sql", connection_string=url).add_table_asset("corpus", table_name="corpus")
    return asset.add_batch_definition_whole_table("whole")


@pytest.fixture(params=ENGINES)
def checked(
    request: pytest.FixtureRequest, ephemeral: Any, corpus: pd.DataFrame, tmp_path: Path
) -> Any:
    """Validates expectations over the corpus on one of the engines."""
    parameters: dict[str, Any] = {}
    if request.param == "pandas":
        batch, parameters = pandas_batch(ephemeral), {"dataframe": corpus}
    elif request.param == "sqlite":
        batch = sql_batch(ephemeral, f"sqlite:///{tmp_path / 'corpus.db'}", corpus)
    elif request.param == "postgresql":
        batch = sql_batch(ephemeral, request.getfixturevalue("postgres_url"), corpus)
    else:
        session = request.getfixturevalue("spark")
        # Spark would take a missing text of pandas for the text "NaN".
        nulls = corpus.astype(object).where(corpus.notna(), None)
        frame = session.createDataFrame(
            nulls, "question string, answer string, id string, kind string"
        )
        frame = frame.repartition(3)
        source = ephemeral.data_sources.add_spark("spark").add_dataframe_asset("asset")
        batch = source.add_batch_definition_whole_dataframe("whole")
        parameters = {"dataframe": frame}

    def run(expectations: list[Any]) -> Any:
        result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
        checkpoint = checkpoint_over(ephemeral, batch, expectations, result_format=result_format)
        return next(iter(checkpoint.run(batch_parameters=parameters).run_results.values()))

    return run


@pytest.fixture(scope="module")
def expected(corpus: pd.DataFrame) -> dict[str, Any]:
    """What the audit itself says, without Great Expectations."""
    from synflaw_audit import audit

    report = audit(corpus, checks=load_checks())
    flagged = report.flagged()
    return {
        "scores": {
            check.name: (check.score, check.low, check.high)
            for check in report.checks
            if check.verdict != "undecided"
        },
        "rows": {
            check.name: {
                corpus["id"][row]
                for row, names in zip(flagged["row"], flagged["checks"], strict=True)
                if check.name in names
            }
            for check in report.checks
        },
    }


def test_scores_and_flagged_rows_are_those_of_the_audit(
    checked: Any, expected: dict[str, Any]
) -> None:
    checks = load_checks()
    made = [getattr(synflaw, classes.class_name(c))(max_score=c.warn_above) for c in checks]
    results = checked(made).results
    compared = 0
    for check, found in zip(checks, results, strict=True):
        assert not found.exception_info or not found.exception_info["raised_exception"]
        details = found.result["details"]
        seen = (found.result["observed_value"], details["low"], details["high"])
        if check.name in expected["scores"]:
            assert seen == pytest.approx(expected["scores"][check.name], abs=1e-9)
        else:
            assert (details["verdict"], seen) == ("undecided", (None, None, None))
        assert details["rejected"] == 2
        if details["failing"]:
            assert details["passes"] == 2
            ids = [index["id"] for index in found.result["unexpected_index_list"]]
            assert len(ids) == found.result["unexpected_count"]
            assert set(ids) == expected["rows"][check.name]
            compared += len(ids)
    assert compared > 100


def test_the_row_condition_is_applied_by_the_engine(checked: Any) -> None:
    only = [
        template_share(row_condition=Column("kind") == "made"),
        template_share(row_condition=Column("kind") == "written"),
    ]
    made, written = checked(only).results
    assert (made.success, written.success) == (False, True)
    assert all(index["id"].startswith("t") for index in made.result["unexpected_index_list"])


def test_a_missing_column_is_a_clear_failure(checked: Any) -> None:
    found = checked([template_share(answer="completion")]).results[0]
    assert not found.success
    assert "no answer column 'completion'" in found.exception_info["exception_message"]
