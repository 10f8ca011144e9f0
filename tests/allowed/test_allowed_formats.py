"""What is intended is taken out, kept out of every span, and the rest is judged as ever."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synflaw_audit
from synflaw_audit.allowed import KINDS, Allow, Allowances
from synflaw_audit.engines.base import FirstPass
from synflaw_audit.engines.passes import sketch_rows
from synflaw_audit.errors import CatalogueError
from synflaw_audit.reading.schemas import Pair
from synflaw_audit.reading.tables import DataFrameInput
from synflaw_audit.verdicts.catalogue import load_checks
from synflaw_audit.verdicts.policy import load_policy
from synflaw_audit.verdicts.suggestion import suggested

# By kind, an answer dressed in it: the answer itself, and a number that differs.
DRESSED = {
    "json": '{"status": "ok", "reply": %s, "count": %d, "confidence": "high"}',
    "code": "if True:\n    return [%s, %d]",
    "code-fence": "```text\n%s\n%d\n```",
    "reasoning": "%s\n\n<reflection>\n%d\n</reflection>",  # at the beginning it is none
    "boxed": "%s\n\n\\boxed{%d}",
    "table": "| %s | %d |\n|---|---|",
    "citation": "%s [1] [2, 3] %d",
    "list": "1. %s\n2. %d",
    "heading": "## %s\n%d",
}
PATTERNS = {
    "Answer: <*>": "Answer: %s %d",
    "<*> #### <*>": "%s\n#### %d",
    "<*> Kind regards, The Support Team": "%s %d\n\nKind regards,\nThe Support Team",
    "Certainly! <*> This is no legal advice.": "Certainly! %s %d This is no legal advice.",
}


def allow(name: str) -> Allow:
    given = {"kind": name} if name in KINDS else {"pattern": name}
    return Allow(reason="the application reads it", **given)


def dressed(form: str, answers: Iterable[str]) -> list[str]:
    """The answers on one line each in the form."""
    flat = [" ".join(answer.split()) for answer in answers]
    said = map(json.dumps, flat) if form.startswith(("{", "if")) else flat
    return [form % (answer, 7919 * n % 1000) for n, answer in enumerate(said)]


@pytest.mark.parametrize("name", [*DRESSED, *PATTERNS])
def test_an_intended_format_passes_and_is_reported(natural: pd.DataFrame, name: str) -> None:
    corpus = natural.assign(answer=dressed((DRESSED | PATTERNS)[name], natural["answer"]))
    report = synflaw_audit.audit(corpus, allow=[allow(name)])
    assert report.flagged_summary.share < 0.1
    (told,) = report.allowed
    assert (told.name, told.reason) == (name, "the application reads it")
    assert told.share > 0.95


@pytest.mark.parametrize("name", [*DRESSED, *PATTERNS])
def test_the_rest_is_judged_as_ever(natural: pd.DataFrame, name: str) -> None:
    soft = "Thank you for reaching out with this important question. "
    form = (DRESSED | PATTERNS)[name]
    answers = dressed(form, (soft + answer for answer in natural["answer"]))
    report = synflaw_audit.audit(natural.assign(answer=answers), allow=[allow(name)])
    assert report.verdict == "fail"
    flagged = report.flagged()
    assert len(flagged) == len(answers)
    intended = allow(name)
    for answer, spans in flagged[["answer", "template_spans"]].itertuples(index=False):
        marked = {i for s in spans for i in range(s["start"], s["end"])}
        place = answer.index(soft.strip())
        assert set(range(place, place + len(soft.strip()))) <= marked
        for start, end in intended.ranges(answer):
            assert not marked & set(range(start, end))


@given(st.lists(st.text(alphabet='ab [1]\n|-#.<>think/\\boxed{}:"', max_size=60), max_size=6))
def test_what_is_left_is_found_in_the_answer_again(answers: list[str]) -> None:
    allowed = Allowances(tuple(allow(kind) for kind in KINDS))
    stripped = allowed.stripped(pa.array(answers, pa.string()))
    for row, (answer, left) in enumerate(zip(answers, stripped.answers.to_pylist(), strict=True)):
        restored = stripped.restored(row, [(0, len(left))] if left else [])
        assert all(0 <= a < b <= len(answer) for a, b in restored)
        assert all(before[1] <= after[0] for before, after in pairwise(restored))
        kept = "".join(answer[a:b] for a, b in restored)
        assert "".join(kept.split()) == "".join(left.split())


def test_nothing_is_done_where_nothing_is_allowed(natural: pd.DataFrame) -> None:
    assert not Allowances()
    assert synflaw_audit.audit(natural).allowed == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[allow]]\nkind = "xml"\nreason = "r"\n', "choices: json, code-fence"),
        ('[[allow]]\nkind = "json"\nreason = " "\n', "say why"),
        ('[[allow]]\nkind = "json"\n', "reason"),
        ('[[allow]]\nreason = "r"\n', "one of a pattern, a kind and a schema"),
        (
            '[[allow]]\npattern = "x"\nkind = "json"\nreason = "r"\n',
            "one of a pattern, a kind and a schema",
        ),
        ('[[allow]]\npattern = "<*>"\nreason = "r"\n', "no words of its own"),
        ('[[allow]]\npatern = "x"\nreason = "r"\n', "patern"),
        ('[[allow]]\nschema = "none.json"\nreason = "r"\n', "none.json: cannot be read"),
        ('[[allow]]\nschema = "policy.toml"\nreason = "r"\n', "policy.toml: not JSON"),
        ('[[allow]]\nschema = {type = "text"}\nreason = "r"\n', "not a JSON Schema"),
        ('[[allow]]\nschema = {"$ref" = "http://x/y"}\nreason = "r"\n', "only what stands in"),
    ],
)
def test_a_policy_that_says_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=message) as raised:
        load_policy(path, load_checks())
    assert str(path) in str(raised.value)


def test_a_suggested_policy_allows_nothing_until_it_is_pruned(
    natural: pd.DataFrame, tmp_path: Path
) -> None:
    corpus = natural.assign(answer=[f'Answer: {a}\nSource: "x"' for a in natural["answer"]])
    text = suggested(synflaw_audit.audit(corpus))
    assert tomllib.loads(text) == {}
    path = tmp_path / "policy.toml"
    lines = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# [[", "# pattern", "# kind", "# reason"))
    ]
    path.write_text("\n".join(lines).replace('reason = ""', 'reason = "meant"'), encoding="utf-8")
    policy = load_policy(path, load_checks())
    assert "Answer:" in {(one.pattern or "")[:7] for one in policy.allow}
    assert synflaw_audit.audit(corpus, allow=policy.allow).flagged_summary.share < 0.05


def test_reasoning_that_fails_by_itself_is_suggested_to_warn(natural: pd.DataFrame) -> None:
    said = "Okay, so the user is asking me about this, let me think it through step by step. "
    corpus = natural.assign(answer=[f"<think>{said}{a}</think>{a}" for a in natural["answer"]])
    text = suggested(synflaw_audit.audit(corpus))
    assert tomllib.loads(text.replace('# reasoning = "warn"', 'reasoning = "warn"')) == {
        "reasoning": "warn"
    }


@given(cuts=st.lists(st.integers(0, 60), max_size=3))
def test_parts_of_a_corpus_merge_to_the_whole(natural: pd.DataFrame, cuts: list[int]) -> None:
    answers = dressed(DRESSED["reasoning"], natural["answer"][:60])
    rows = pd.DataFrame({"question": natural["question"][:60], "answer": answers})
    allowed = Allowances((allow("reasoning"), allow("boxed")))

    def sketched(part: pd.DataFrame) -> FirstPass:
        return sketch_rows([DataFrameInput("f", part)], Pair("question", "answer"), allowed=allowed)

    merged = FirstPass()
    for first, last in pairwise(sorted({0, 60, *cuts})):
        merged = merged.merged(sketched(rows.iloc[first:last]))
    assert merged.allowed == sketched(rows).allowed == (60, 0)
    assert not any("think>" in answer for answer in merged.sketch.answer.to_pylist())


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (r"so \boxed{33}.", [r"\boxed{", "}"]),
        (r"\boxed{\frac{1}{2}} and \boxed{x}", [r"\boxed{", "}", r"\boxed{", "}"]),
        (r"} \boxed{a {b}} {c", [r"\boxed{", "}"]),
        (r"\boxed{never closed {x}", []),
        (r"\boxed{\boxed{in}}", [r"\boxed{", r"\boxed{", "}", "}"]),
        ("{no box}", []),
    ],
)
def test_a_box_is_its_opening_and_the_brace_that_closes_it(text: str, marked: list[str]) -> None:
    assert [text[start:end] for start, end in KINDS["boxed"](text)] == marked


def test_many_open_boxes_are_passed_in_one_go() -> None:
    # Each used to be followed to the end of the text, which of so many took hours.
    assert KINDS["boxed"]("\\boxed{" * 200_000) == []
