"""JSON after a schema of somebody's own: what it describes is intended, other JSON is not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest

import synflaw_audit
from synflaw_audit.allowed import Allow, Allowances
from synflaw_audit.allowed.json_schema import validating
from synflaw_audit.errors import CatalogueError
from synflaw_audit.verdicts.catalogue import load_checks
from synflaw_audit.verdicts.policy import load_policy

SCHEMA = {
    "title": "a reply",
    "type": "object",
    "properties": {
        "status": {"const": "ok"},
        "reply": {"type": "string"},
        "sources": {"type": "array", "items": {"$ref": "#/$defs/source"}},
    },
    "required": ["status", "reply"],
    "additionalProperties": False,
    "$defs": {"source": {"type": "integer"}},
}
SOFT = "Thank you for reaching out with this important question. "


def replies(answers: pd.Series[str], **more: object) -> list[str]:
    return [
        json.dumps({"status": "ok", "reply": answer, "sources": [n % 7]} | more)
        for n, answer in enumerate(answers)
    ]


def policy(folder: Path, schema: str) -> tuple[Allow, ...]:
    path = folder / "policy.toml"
    path.write_text(f'[[allow]]\nschema = {schema}\nreason = "it is parsed"\n', encoding="utf-8")
    return load_policy(path, load_checks()).allow


def test_answers_after_a_schema_pass_and_others_do_not(
    natural: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "reply.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    intended = policy(tmp_path, '"reply.json"')
    good = natural.assign(answer=replies(natural["answer"]))
    report = synflaw_audit.audit(good, allow=intended)
    (told,) = report.allowed
    assert (told.name, told.share) == ("a reply", 1.0)
    assert report.flagged_summary.share < 0.1
    # A key too many is another format, and nobody intends it.
    other = natural.assign(answer=replies(natural["answer"], confidence="high"))
    report = synflaw_audit.audit(other, allow=intended)
    assert report.allowed[0].share == 0
    assert (report.verdict, report.flagged_summary.share) == ("fail", 1.0)


def test_the_texts_inside_are_judged_as_ever(natural: pd.DataFrame) -> None:
    corpus = natural.assign(answer=replies(SOFT + natural["answer"]))
    report = synflaw_audit.audit(corpus, allow=[Allow(reason="it is parsed", schema=SCHEMA)])
    assert report.verdict == "fail"
    flagged = report.flagged()
    assert len(flagged) == len(corpus)
    for answer, spans in flagged[["answer", "template_spans"]].itertuples(index=False):
        marked = "".join(answer[span["start"] : span["end"]] for span in spans)
        assert SOFT.strip() in marked
        assert "status" not in marked


@pytest.mark.parametrize(
    ("answer", "has_it"),
    [
        ('{"status": "ok", "reply": "The tide turns twice a day."}', True),
        ('  [{"status": "ok"}]', False),
        ('{"status": "ok", "reply": 5}', False),
        ('{"status": "ok", "reply": "cut off', False),
        ("The tide turns twice a day.", False),
        ("", False),
    ],
)
def test_only_what_the_schema_describes_has_the_format(answer: str, has_it: bool) -> None:
    assert bool(Allow(reason="r", schema=SCHEMA).ranges(answer)) == has_it


def test_a_schema_may_stand_in_the_policy_itself(tmp_path: Path) -> None:
    (intended,) = policy(tmp_path, '{type = "array", items = {type = "integer"}}')
    assert intended.name == "a JSON Schema"
    assert intended.ranges("[1, 2]") == [(0, 6)]
    assert not intended.ranges('["a"]')


def test_a_schema_without_a_title_is_called_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "numbers.json").write_text('{"type": "array"}', encoding="utf-8")
    (intended,) = policy(tmp_path, '"numbers.json"')
    assert intended.name == "numbers.json"
    assert Allow(reason="r", schema=str(tmp_path / "numbers.json")).ranges("[1]")


def test_it_can_be_sent_once_it_has_been_read() -> None:
    intended = Allow(reason="r", schema=SCHEMA)
    answer = '{"status": "ok", "reply": "The tide turns twice a day."}'
    before = intended.ranges(answer)
    sent: Allowances = pickle.loads(pickle.dumps(Allowances((intended,))))  # noqa: S301
    assert sent.formats[0].ranges(answer) == before


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}])
def test_a_schema_that_refers_to_itself_without_end_is_an_error(schema: dict[str, object]) -> None:
    with pytest.raises(CatalogueError, match="refers to itself without end"):
        validating(schema)


def test_an_answer_that_nests_too_deep_is_not_what_a_schema_describes() -> None:
    is_valid = validating({"type": "array", "items": {"$ref": "#"}})
    deep: list[object] = []
    for _ in range(800):
        deep = [deep]
    assert is_valid([[]])
    assert not is_valid(deep)


def test_a_reference_to_nothing_is_an_error() -> None:
    with pytest.raises(CatalogueError, match="refers to what is not there"):
        Allow(reason="r", schema={"$ref": "#/$defs/none"})
    deeper = Allow(reason="r", schema={"properties": {"a": {"$ref": "#/$defs/none"}}})
    with pytest.raises(CatalogueError, match="refers to what is not there"):
        deeper.ranges('{"a": 1}')
