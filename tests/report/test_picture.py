"""The picture of a corpus beside its reference."""

from __future__ import annotations

import jsonschema
import orjson
import pandas as pd
import pytest

from synflaw_audit import Report, audit
from synflaw_audit.findings.report import schema
from synflaw_audit.verdicts.catalogue import find_check, load_checks

CHECKS = [find_check(load_checks(), name) for name in ("separability", "answer-opening")]


def centre(places: str) -> complex:
    found = [complex(*map(int, place.split(","))) for place in places.split()]
    return sum(found) / len(found)


@pytest.fixture(scope="module")
def compared(natural: pd.DataFrame, templated: pd.DataFrame) -> Report:
    return audit(templated.head(90), reference=natural.head(70), checks=CHECKS)


def test_as_many_answers_of_either_corpus_stand_in_it(compared: Report) -> None:
    assert compared.picture is not None
    sides = (compared.picture.corpus.split(), compared.picture.reference.split())
    assert [len(side) for side in sides] == [70, 70]
    assert compared.seconds["picture"] > 0
    assert Report.from_json(compared.to_json()).picture == compared.picture
    jsonschema.validate(orjson.loads(compared.to_json()), schema())


def test_corpora_that_can_be_told_apart_lie_apart(compared: Report, natural: pd.DataFrame) -> None:
    same = audit(natural.iloc[:300:2], reference=natural.iloc[1:300:2], checks=CHECKS)
    far, near = (
        abs(centre(picture.corpus) - centre(picture.reference))
        for picture in (compared.picture, same.picture)
        if picture is not None
    )
    assert far > 3 * near


def test_without_a_reference_or_enough_rows_there_is_none(natural: pd.DataFrame) -> None:
    assert audit(natural.head(60), checks=CHECKS).picture is None
    assert audit(natural.head(60), reference=natural.tail(3), checks=CHECKS).picture is None
