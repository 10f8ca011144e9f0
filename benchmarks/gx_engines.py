"""The Great Expectations plugin on pandas, SQLite, PostgreSQL and Spark, over the same rows.

    python benchmarks/gx_engines.py ROWS.parquet [--postgres URL] [--out benchmarks/results/...md]
    python benchmarks/gx_engines.py --beside-own [--rows 200000]

ROWS has the columns ``question`` and ``answer``. For each engine: the seconds for one, four and
eight expectations in one validation, the passes over the rows, and whether scores and flagged rows
are those of the audit without Great Expectations.

With ``--beside-own``, one expectation of ours and two of Great Expectations' own on pandas, over
rows made of ``sample_data`` of which seven in ten have one template, in seconds and CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import numpy as np
import pandas as pd

from synflaw_audit import audit
from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations.classes import class_name
from synflaw_audit.verdicts.catalogue import load_checks

COUNTS = (1, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="?", metavar="ROWS")
    parser.add_argument("--beside-own", action="store_true")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgres", help="URL of an empty database, postgresql+psycopg2://...")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.beside_own:
        print("\n".join(beside_own(options.rows)))
        return
    if options.corpus is None:
        parser.error("name ROWS, or give --beside-own")
    frame = pd.read_parquet(options.corpus)[["question", "answer"]]
    frame = frame.assign(id=[f"r{n}" for n in range(len(frame))])
    start = time.perf_counter()
    report = audit(frame, checks=load_checks())
    alone = time.perf_counter() - start
    lines = [
        f"{len(frame):,} rows; the audit alone, both passes: {alone:.1f} s",
        "",
        "| engine | "
        + " | ".join(f"{n} expectations, s" for n in COUNTS)
        + " | passes | largest difference of a score | same flagged rows |",
        "|---|" + "---:|" * (len(COUNTS) + 2) + "---|",
    ]
    lines += [measured(name, make, frame, report) for name, make in engines(options, frame).items()]
    text = "\n".join(lines)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def beside_own(rows: int) -> list[str]:
    """A table: one expectation of ours and two of Great Expectations' own, at two formats."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    frame = made(rows)
    batch, parameters = pandas_batch(context, frame)
    template = synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost
    own = gx.expectations
    explained = {"column": "answer", "regex": "Explanation"}
    cases: dict[str, Callable[[], Any]] = {
        "ours, passes": lambda: template(max_score=1.0),
        "ours, fails": lambda: template(max_score=0.2),
        "their regex, fails": lambda: own.ExpectColumnValuesToNotMatchRegex(**explained),
        "their not-null, passes": lambda: own.ExpectColumnValuesToNotBeNull(column="answer"),
    }
    formats: dict[str, Any] = {
        "SUMMARY": "SUMMARY",
        "COMPLETE": {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]},
    }
    lines = [
        f"{rows:,} rows, pandas, great_expectations {gx.__version__}",
        "",
        "| expectation | result format | s | CPU s | unexpected | peak of the process so far, MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    suite = gx.ExpectationSuite(name="warm", expectations=[template(max_score=0.2)])
    validated(context, batch, {"dataframe": frame.head(1_000)}, suite, "SUMMARY")
    for level, result_format in formats.items():
        for name, make in cases.items():
            suite = gx.ExpectationSuite(name=f"{name} {level}", expectations=[make()])
            wall, cpu = time.perf_counter(), time.process_time()
            result = validated(context, batch, parameters, suite, result_format)
            seconds = f"{time.perf_counter() - wall:.1f} | {time.process_time() - cpu:.1f}"
            count = result.results[0].result.get("unexpected_count", 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            lines.append(f"| {name} | {level} | {seconds} | {count:,} | {peak} |")
    return lines


def made(rows: int) -> pd.DataFrame:
    """Rows of the natural sample's words in no order, seven in ten framed by one template."""
    random = np.random.default_rng(0)
    samples = Path(__file__).parents[1] / "sample_data" / "natural.jsonl"
    texts = pd.read_json(samples, lines=True)
    chosen = texts.iloc[random.integers(0, len(texts), rows)]
    answers = []
    for answer in chosen["answer"]:
        words = answer.split()
        random.shuffle(words)
        shown = " ".join(words[:40])
        if len(answers) % 10 < 7:
            shown = f"**Answer:** {shown}\n\n**Explanation:** it is crucial to know {words[0]}."
        answers.append(shown)
    questions = [f"{text} {number}" for number, text in enumerate(chosen["question"])]
    ids = [f"r{number}" for number in range(rows)]
    return pd.DataFrame({"question": questions, "answer": answers, "id": ids})


def validated(context: Any, batch: Any, parameters: Any, suite: Any, result_format: Any) -> Any:
    """One validation of a new suite."""
    definition = gx.ValidationDefinition(
        name=suite.name, data=batch, suite=context.suites.add(suite)
    )
    return context.validation_definitions.add(definition).run(
        batch_parameters=parameters, result_format=result_format
    )


def engines(options: argparse.Namespace, frame: pd.DataFrame) -> dict[str, Callable[[Any], Any]]:
    """By engine, what gives a batch definition and its parameters for a context."""
    made: dict[str, Callable[[Any], Any]] = {
        "pandas": lambda context: pandas_batch(context, frame),
        "SQLite": lambda context: sql_batch(
            context, f"sqlite:///{tempfile.mkdtemp()}/rows.db", frame
        ),
    }
    if options.postgres:
        made["PostgreSQL"] = lambda context: sql_batch(context, options.postgres, frame)
    made["Spark local[2]"] = lambda context: spark_batch(context, frame)
    return made


def measured(name: str, make: Callable[[Any], Any], frame: pd.DataFrame, report: Any) -> str:
    """One line of the table."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch, parameters = make(context)
    checks = load_checks()
    made = [getattr(synflaw, class_name(c))(max_score=c.warn_above) for c in checks]
    made.sort(key=lambda e: e.check().name != "answer-template")
    run(context, batch, parameters, made[:1], f"{name} warm")  # a session, a connection, a cache
    seconds = []
    for count in COUNTS:
        start = time.perf_counter()
        results = run(context, batch, parameters, made[:count], f"{name} {count}")
        seconds.append(time.perf_counter() - start)
    every = run(context, batch, parameters, made, f"{name} all")
    difference, same = compared(every, made, frame, report)
    passes = max(r.result["details"]["passes"] for r in results)
    cells = [f"{s:.1f}" for s in seconds]
    return f"| {name} | {' | '.join(cells)} | {passes} | {difference:.0e} | {same} |"


def run(context: Any, batch: Any, parameters: Any, expectations: list[Any], name: str) -> list[Any]:
    """The results of one validation."""
    copies = [type(e)(max_score=e.max_score) for e in expectations]
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=copies))
    definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    result = context.validation_definitions.add(definition).run(
        batch_parameters=parameters, result_format=result_format
    )
    return list(result.results)


def compared(results: list[Any], made: list[Any], frame: pd.DataFrame, report: Any) -> Any:
    """The largest difference of a score from the audit's, and whether the rows are the same."""
    scores = {check.name: check.score for check in report.checks}
    flagged = report.flagged()
    difference, same = 0.0, "yes"
    for expectation, result in zip(made, results, strict=True):
        name = expectation.check().name
        if (observed := result.result["observed_value"]) is not None:  # else it is undecided
            difference = max(difference, abs(observed - scores[name]))
        if result.result["details"]["failing"]:
            found = {index["id"] for index in result.result["unexpected_index_list"]}
            has = flagged["checks"].map(lambda names, name=name: name in names)
            if found != {frame["id"][row] for row in flagged["row"][has]}:
                same = f"no: {name}"
    return difference, same


def pandas_batch(context: Any, frame: pd.DataFrame) -> Any:
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("whole"), {"dataframe": frame}


def sql_batch(context: Any, url: str, frame: pd.DataFrame) -> Any:
    import sqlalchemy

    with sqlalchemy.create_engine(url).begin() as connection:
        frame.to_sql("rows", connection, index=False, if_exists="replace")
    sources = context.data_sources
    add = sources.add_sqlite if url.startswith("sqlite") else sources.add_postgres
    asset = add("sql", connection_string=url).add_table_asset("rows", table_name="rows")
    return asset.add_batch_definition_whole_table("whole"), None


def spark_batch(context: Any, frame: pd.DataFrame) -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = (
        SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    rows = spark.createDataFrame(frame).repartition(4).cache()
    rows.count()
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("whole"), {"dataframe": rows}


if __name__ == "__main__":
    main()
