"""The statement that a result gives for a database finds the flagged rows, whatever names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import postgres
import pytest
import sqlalchemy
from great_expectations.expectations.row_conditions import Column
from gx_helpers import checkpoint_over, template_share

from synflaw_audit.expectations import unexpected

# What a key may be made of and a statement must not trip over.
HOSTILE = ["it's", 'a "b"', "50%", "%s", ":name", "back\\slash", "; --", "你好", ""]


@pytest.fixture(scope="module")
def corpus(templated: pd.DataFrame, natural: pd.DataFrame) -> pd.DataFrame:
    """Rows of two kinds under keys of several types, some missing; the keys are unique."""
    both = pd.concat([templated.head(200), natural.head(200)], ignore_index=True)
    mixed = both.sample(frac=1.0, random_state=3, ignore_index=True).astype({"id": object})
    mixed["id"] = [f"{HOSTILE[n % len(HOSTILE)]} {n}" for n in range(len(mixed))]
    mixed.loc[mixed.index[mixed["answer"].isin(templated["answer"])][0], "id"] = None
    mixed["group %"] = ["100%" if n % 3 else "it's" for n in range(len(mixed))]
    mixed["number"] = range(len(mixed))
    return mixed


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    tools = postgres.binaries()
    if tools is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql, or put initdb on PATH")
    with postgres.server(tools) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'corpus.db'}"
    return request.getfixturevalue("postgres_url")


def validated(
    context: Any, url: str, corpus: pd.DataFrame, names: list[str], **options: Any
) -> Any:
    """The result of one failing expectation over the corpus as a table of a database."""
    engine = sqlalchemy.create_engine(url)
    corpus.to_sql("corpus", engine, index=False, if_exists="replace")
    engine.dispose()
    sources = context.data_sources
    add = sources.add_sqlite if url.startswith("sqlite") else sources.add_postgres
    asset = add("sql", connection_string=url).add_table_asset("corpus", table_name="corpus")
    batch = asset.add_batch_definition_whole_table("whole")
    asked = {"result_format": "COMPLETE", "unexpected_index_column_names": names}
    checkpoint = checkpoint_over(context, batch, [template_share(**options)], result_format=asked)
    found = next(iter(checkpoint.run().run_results.values())).results[0]
    assert found.result, found.exception_info
    return found.result


def selected(url: str, statement: str) -> pd.DataFrame:
    """What the statement finds, sent as it is: by no driver's rules for parameters."""
    engine = sqlalchemy.create_engine(url)
    connection = engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute(statement)
    rows = pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])
    connection.close()
    engine.dispose()
    return rows


@pytest.mark.parametrize("names", [["id"], ["number"], ["group %", "number"], ["id", "group %"]])
def test_the_statement_finds_the_rows_that_are_listed(
    ephemeral: Any, corpus: pd.DataFrame, url: str, names: list[str]
) -> None:
    result = validated(ephemeral, url, corpus, names)
    found = selected(url, result["unexpected_index_query"]).sort_values("number")
    assert found["answer"].tolist() == [row["answer"] for row in result["unexpected_list"]]
    assert len(found) == result["unexpected_count"] > 100
    listed = found[names].astype(object).where(found[names].notna(), None).to_dict("records")
    assert result["unexpected_index_list"] == listed


def test_the_statement_keeps_to_the_row_condition(
    ephemeral: Any, corpus: pd.DataFrame, url: str
) -> None:
    only = Column("group %") == "it's"
    result = validated(ephemeral, url, corpus, ["group %"], row_condition=only)
    found = selected(url, result["unexpected_index_query"])
    assert set(found["group %"]) == {"it's"}
    assert set(result["unexpected_list"][0]) == {"question", "answer"}


def test_no_statement_where_nobody_could_run_it(
    ephemeral: Any, corpus: pd.DataFrame, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unexpected, "QUERY_ROWS", 5)
    result = validated(ephemeral, f"sqlite:///{tmp_path / 'c.db'}", corpus, ["id"])
    assert "unexpected_index_query" not in result
    assert len(result["unexpected_index_list"]) == result["unexpected_count"] > 5
