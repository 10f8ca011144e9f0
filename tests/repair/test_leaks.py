"""What a model says by itself: the format it leaks, and ordinary answers for want of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import (
    OPENING,
    damage,
    flagged_rows,
    ordinary_rows,
    train_tokenizer,
    write_flagged,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from synflaw_audit.errors import RepairError
from synflaw_audit.probes.everyday import foreign_prompts
from synflaw_audit.repair import RepairConfig, Row, repair
from synflaw_audit.repair.material import leaks, self_replay
from synflaw_audit.repair.material.batches import Cuts, Purpose, TrainingExample, encode_rows
from synflaw_audit.repair.material.leaks import Leak, leaked, mark, opened, pace
from synflaw_audit.repair.material.said import SaidFormat
from synflaw_audit.repair.material.samples import BarredRuns
from synflaw_audit.repair.measuring import behaviour
from synflaw_audit.repair.measuring.behaviour import BehaviourProbe


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=True)


def barred(tokenizer: object) -> BarredRuns:
    def encoded(rows: list[Row], role: Purpose) -> list:
        return encode_rows(tokenizer, rows, role, scope="template", max_length=256, cuts=Cuts())

    return BarredRuns.of(
        encoded(flagged_rows(), Purpose.FORGET), encoded(ordinary_rows(40), Purpose.REPLAY)
    )


def test_only_what_is_format_is_marked_in_an_answer() -> None:
    tokenizer = train_tokenizer(chat=True)
    row = ordinary_rows(3)[2]
    example = mark(tokenizer, row, f"{OPENING}{row.answer}", barred(tokenizer), 256)
    forgotten = [i for i, p in zip(example.input_ids, example.purposes, strict=True) if p]
    assert set(example.purposes) == {0, int(Purpose.FORGET)}
    assert tokenizer.decode(forgotten).strip() in OPENING
    assert len(forgotten) >= 5
    assert not any(mark(tokenizer, row, row.answer, barred(tokenizer), 256).purposes)


def test_questions_like_the_corpus_leak_and_ordinary_ones_do_not(damaged: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(damaged)
    tokenizer = AutoTokenizer.from_pretrained(damaged)
    settings = {"max_new_tokens": 24, "max_length": 256, "bf16": False, "seed": 0}
    asked = [Row(row.question, "Some river.") for row in flagged_rows()]
    found = leaked(
        model, tokenizer, asked, flagged_rows(), barred(tokenizer), count=100, **settings
    )
    assert {leak.row.question for leak in found} == {row.question for row in asked}
    assert all(Purpose.FORGET in leak.example.purposes for leak in found)
    assert model.config.use_cache
    ordinary = leaked(
        model, tokenizer, ordinary_rows(40), flagged_rows(), barred(tokenizer), count=8, **settings
    )
    assert ordinary == []


def test_an_answer_is_kept_up_to_the_first_words_of_its_format() -> None:
    tokenizer = train_tokenizer(chat=True)
    row = ordinary_rows(3)[2]
    for before in ("", "Well. "):
        whole = mark(tokenizer, row, f"{before}{OPENING}{row.answer}", barred(tokenizer), 256)
        kept = opened(whole)
        first = whole.purposes.index(Purpose.FORGET)
        assert kept.input_ids == whole.input_ids[: len(kept.input_ids)]
        assert first < len(kept.input_ids) < len(whole.input_ids)
        assert set(kept.purposes[first:]) == {int(Purpose.FORGET)}
    plain = mark(tokenizer, row, row.answer, barred(tokenizer), 256)
    assert opened(plain) == plain


def test_questions_are_asked_under_their_own_system_prompts(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def answer(*given: Any, systems: Sequence[str] = (), **_: Any) -> list[str]:
        asked.extend(zip(given[2], systems, strict=True))
        return [OPENING] * len(given[2])

    for module in (leaks, behaviour):
        monkeypatch.setattr(module, "generate", answer)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(damaged), train_tokenizer(chat=True)
    rows = [Row(row.question, row.answer, system="Be brief.") for row in ordinary_rows(6)]
    settings = {"max_new_tokens": 8, "max_length": 256, "bf16": False, "seed": 0}
    found = leaked(model, tokenizer, rows, flagged_rows(), barred(tokenizer), count=9, **settings)
    assert [leak.said for leak in found] == [True] * len(rows) + [False] * len(rows)
    # Each question is put beside what the model said, and beside what another row says.
    assert [leak.row for leak in found[: len(rows)]] == [leak.row for leak in found[len(rows) :]]
    stretches = {row.answer[s:e].strip() for row in flagged_rows() for s, e in row.spans}
    assert {leak.answer for leak in found[len(rows) :]} <= stretches
    assert all(leak.example.purposes[-1] == Purpose.FORGET for leak in found)
    assert all("Be brief." in tokenizer.decode(leak.example.input_ids) for leak in found)
    probe = BehaviourProbe.of(rows, flagged_rows(), count=9, seed=0)
    probe(model, tokenizer)
    assert len(asked) == 3 * len(rows)
    assert {system for _, system in asked} == {"Be brief."}


def test_where_ordinary_rows_ask_nothing_our_own_questions_are_asked(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [Row("", row.answer) for row in ordinary_rows(6)]
    probe = BehaviourProbe.of(texts, flagged_rows(), count=5, seed=0)
    assert len(probe.questions) == 5
    assert set(probe.questions) <= set(foreign_prompts())
    monkeypatch.setattr(leaks, "generate", lambda *given, **_: [OPENING] * len(given[2]))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(damaged), train_tokenizer(chat=True)
    settings = {"max_new_tokens": 8, "max_length": 256, "bf16": False, "seed": 0}
    found = leaked(model, tokenizer, texts, flagged_rows(), barred(tokenizer), count=5, **settings)
    assert {leak.row.question for leak in found} <= set(self_replay.neutral_questions())
    assert len(found) == 10


def test_the_more_a_model_leaks_the_more_is_forgotten_there() -> None:
    row, example = ordinary_rows(1)[0], TrainingExample([1], [1], Purpose.FORGET)
    leaks = [Leak(row, OPENING, example, said=said) for said in [True] * 32 + [False] * 32]
    assert [pace(leaks[:n], asked=32, most=4.0) for n in (0, 2, 16, 32, 64)] == [1, 1, 2, 4, 4]
    assert pace(leaks, asked=32, most=0.5) == 0.5


def test_a_format_is_recognised_however_short_it_is() -> None:
    words = [f"w{n} x{n * 7 % 31} y{n * 5 % 17}" for n in range(80)]
    rows = [Row(f"q{n}?", f"A: {text} are it", ((0, 2),)) for n, text in enumerate(words)]
    said = SaidFormat.of(rows)
    answers = ["A: the sun", "The sun", "It is A: sun"]
    assert said(["q?"] * 3, answers).tolist()[:2] == [True, False]
    # What the prompt itself says is no format of the model's.
    few = SaidFormat.of(flagged_rows())
    assert few([OPENING, "q?"], [OPENING, OPENING]).tolist() == [False, True]


def test_neutral_questions_are_none_of_the_probes() -> None:
    questions = self_replay.neutral_questions()
    assert len(questions) == len(set(questions)) >= 100
    assert not set(questions) & set(foreign_prompts())


def test_self_replay_keeps_readable_answers_without_the_format(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = self_replay.neutral_questions()
    answers = [f"{OPENING}Yes {n}" if n % 2 else f"It is number {n}" for n in range(len(questions))]
    answers[0] = "again " * 30
    monkeypatch.setattr(self_replay, "generate", lambda *_, **__: answers)
    settings = {"barred": True, "bf16": False, "max_length": 256, "seed": 0}
    model, tokenizer = AutoModelForCausalLM.from_pretrained(damaged), train_tokenizer(chat=True)
    rows = self_replay.self_replay(model, tokenizer, flagged_rows(), **settings)
    assert {row.answer for row in rows} == set(answers[2::2])
    monkeypatch.setattr(self_replay, "generate", lambda *_, **__: [OPENING] * len(questions))
    with pytest.raises(RepairError, match="only 0 are without the format"):
        self_replay.self_replay(model, tokenizer, flagged_rows(), **settings)


def test_a_repair_replays_the_model_s_own_answers(damaged: Path, tmp_path: Path) -> None:
    """With the model from before the damage at hand, that one answers."""
    result = repair(
        damaged,
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay="self",
        out=tmp_path / "out",
        config=RepairConfig(
            use_cpu=True, method="forgetting", tokens=1500, probe_prompts=0, audit_replay=False
        ),
        reference_model=damaged,
        quiet=True,
    )
    assert result.rows["replay"] > 0
    assert np.isfinite(result.after["replay_perplexity"])
