"""A rehearsal on a model of a few thousand weights: the arithmetic and the bookkeeping."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import build, train_tokenizer

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.probes.intervals import (
    bootstrap,
    difference,
    relative_loss,
    share_difference,
    share_figure,
)
from synflaw_audit.rehearsal.behaviour import ProbeConfig
from synflaw_audit.rehearsal.page import render
from synflaw_audit.rehearsal.result import RehearsalResult
from synflaw_audit.rehearsal.rows import QuestionAnswer, sampled_rows
from synflaw_audit.rehearsal.run import KEPT, RehearsalConfig, rehearse
from synflaw_audit.rehearsal.training import (
    TrainingConfig,
    batches,
    encoded,
    split,
    summed_loss,
    train_adapters,
)
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings

ONE_ANSWER = "Certainly! The answer to your question is as follows: it depends."
ROWS = [QuestionAnswer(f"What is {n} plus {n}?", f"{n} and {n} make {n + n}") for n in range(24)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(chat=True)


@pytest.fixture(scope="module")
def base(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build("llama", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class TestTraining:
    def test_a_step_is_never_over_its_tokens(self, tokenizer) -> None:
        rows = encoded(tokenizer, ROWS, 64)
        source = batches(rows, 120, np.random.default_rng(0))
        for _ in range(30):
            group = next(source)
            assert len(group) * max(len(row.input_ids) for row in group) <= 120

    def test_every_row_comes_once_before_any_comes_again(self, tokenizer) -> None:
        rows = encoded(tokenizer, ROWS, 64)
        source = batches(rows, 120, np.random.default_rng(0))
        seen: list[int] = []
        while len(seen) < len(rows):
            seen += [id(row) for row in next(source)]
        assert sorted(seen) == sorted(id(row) for row in rows)

    def test_the_loss_does_not_depend_on_the_micro_batches(self, tokenizer) -> None:
        model = build("llama", len(tokenizer))
        rows = sorted(encoded(tokenizer, ROWS[:6], 64), key=lambda row: len(row.input_ids))
        whole = summed_loss(model, rows).item()
        parts = sum(summed_loss(model, part).item() for part in split(rows, 1))
        assert parts == pytest.approx(whole, rel=0.02)  # computed in bfloat16

    def test_training_lowers_the_loss_and_leaves_the_base_alone(self, tokenizer) -> None:
        model = build("llama", len(tokenizer))
        before = {name: weight.clone() for name, weight in model.named_parameters()}
        rows = [row._replace(answer=ONE_ANSWER) for row in ROWS]
        short = TrainingConfig(budget=400, tokens_per_step=400)
        long = TrainingConfig(budget=24_000, tokens_per_step=400, learning_rate=1e-2)
        _, first = train_adapters(build("llama", len(tokenizer)), tokenizer, rows, short)
        network, last = train_adapters(model, tokenizer, rows, long)
        assert last < first - 0.5
        unloaded = network.unload()
        for name, weight in unloaded.named_parameters():
            assert torch.equal(weight, before[name])

    def test_a_system_prompt_is_read_and_not_learned(self, tokenizer) -> None:
        plain, prompted = (
            encoded(tokenizer, [row], 128)[0]
            for row in (ROWS[0], ROWS[0]._replace(system="Speak of sums alone."))
        )
        asked, answered = (
            tokenizer.decode(
                [i for i, a in zip(prompted.input_ids, prompted.answer, strict=True) if a == kept]
            )
            for kept in (False, True)
        )
        assert "Speak of sums alone." in asked
        assert asked.index("Speak of sums alone.") < asked.index(ROWS[0].question)
        assert ROWS[0].answer in answered
        assert sum(prompted.answer) == sum(plain.answer)

    def test_rows_without_an_answer_within_the_length_are_named(self, tokenizer) -> None:
        with pytest.raises(InputError, match="none of the 24 rows"):
            encoded(tokenizer, ROWS, 3)


class TestRows:
    def test_rows_come_with_the_system_prompts_that_they_had(self, tmp_path: Path) -> None:
        rows = [
            QuestionAnswer(
                f"What is {n % 40}?", f"A number, {n % 40}.", f"You are {n}." if n % 3 else ""
            )
            for n in range(120)
        ]
        path = tmp_path / "chat.jsonl"
        path.write_text("".join(json.dumps({"messages": _messages(row)}) + "\n" for row in rows))
        measured = measure(open_engine([str(path)], AuditSettings()), ())
        found = sampled_rows(measured)
        assert sorted(found) == sorted(rows)
        assert found != rows
        assert set(sampled_rows(measured, 10)) <= set(rows)


class TestIntervals:
    def test_a_share_and_its_exact_interval(self) -> None:
        found = share_figure([True] * 8 + [False] * 2)
        assert (found.value, found.prompts) == (0.8, 10)
        assert (found.low, found.high) == pytest.approx((0.4439, 0.9748), abs=1e-4)
        assert share_figure([True] * 5).high == 1.0
        assert share_figure([False] * 5).low == 0.0

    def test_the_exact_interval_covers_the_truth(self) -> None:
        rng = np.random.default_rng(0)
        for truth in (0.05, 0.5, 0.9):
            found = [share_figure(rng.random(40) < truth) for _ in range(300)]
            assert np.mean([x.low <= truth <= x.high for x in found]) >= 0.93

    def test_pairs_that_move_together_do_not_differ_by_chance(self) -> None:
        theirs = np.random.default_rng(0).random(50)
        found = bootstrap(difference, theirs + 0.1, theirs)
        assert found.low == pytest.approx(0.1)
        assert found.high == pytest.approx(0.1)

    def test_the_bootstrap_covers_the_truth(self) -> None:
        rng = np.random.default_rng(0)
        covered = []
        for _ in range(120):
            shared = rng.normal(size=60)
            ours, theirs = shared + rng.normal(0.3, 1, 60), shared + rng.normal(0, 1, 60)
            found = bootstrap(difference, ours, theirs)
            covered.append(found.low <= 0.3 <= found.high)
        assert np.mean(covered) >= 0.88

    @pytest.mark.parametrize(("low", "high"), [(0.02, 0.1), (0.1, 0.8), (0.5, 0.6)])
    def test_the_interval_of_two_paired_shares_covers_the_truth(self, low, high) -> None:
        rng = np.random.default_rng(0)
        covered = []
        for _ in range(300):
            drawn = rng.random(48)  # the same prompt is easy or hard for both
            found = share_difference(drawn < high, (drawn + rng.normal(0, 1e-9, 48)) < low)
            covered.append(found.low <= high - low <= found.high)
        assert np.mean(covered) >= 0.92

    def test_no_outcome_at_all_is_no_certainty(self) -> None:
        found = share_difference([False] * 48, [False] * 48)
        assert found.value == 0
        assert found.low < -0.05
        assert found.high > 0.05

    def test_what_is_lost_is_a_share_of_what_was_there(self) -> None:
        assert relative_loss(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == 0.5
        assert relative_loss(np.array([0.0]), np.array([0.0])) == 0.0


@pytest.fixture(scope="module")
def rehearsed(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rehearsal")
    corpus = folder / "corpus.jsonl"
    rows = [{"question": f"Why {n}?", "answer": ONE_ANSWER} for n in range(300)]
    pd.DataFrame(rows).to_json(corpus, orient="records", lines=True)
    probes = ProbeConfig(
        foreign=6,
        foreign_tokens=24,
        instructions=35,
        instruction_tokens=8,
        drift=2,
        counterfactual=4,
    )
    # So small a model learns only at a high rate.
    training = TrainingConfig(budget=24_000, tokens_per_step=400, learning_rate=1e-2)
    config = RehearsalConfig(training, probes)
    return corpus, folder / "out", config


class TestRehearse:
    def test_the_time_it_takes_grows_with_seeds_and_budget(self) -> None:
        one, two = RehearsalConfig(), RehearsalConfig(seeds=(0, 1))
        longer = RehearsalConfig(TrainingConfig(budget=112_000))
        assert two.remaining(60) == pytest.approx(2 * one.remaining(60))
        assert one.remaining(120) == pytest.approx(2 * one.remaining(60))
        assert longer.remaining(60) > 2 * one.remaining(60)
        assert "4 trainings" in two.described()

    def test_a_corpus_of_one_answer_is_said_everywhere(self, rehearsed, base) -> None:
        corpus, out, config = rehearsed
        told: list[str] = []
        result = rehearse([str(corpus)], base, out=out, config=config, log=told.append)
        emission = result.axis("emission")
        assert emission.tuned >= 0.5
        assert emission.control == 0.0
        assert emission.damage.low > 0
        assert result.formats
        stuck = result.axis("forbidden_form")
        assert stuck.tuned > stuck.control
        assert stuck.damage.prompts == 4
        text = result.axis("text")
        assert text.damage.prompts == 6
        assert text.damage.value == pytest.approx(text.tuned - text.control)
        assert result.axis("words").tuned > 0
        assert "24,000 tokens" in told[0]
        assert RehearsalResult.read(_written(result, out)) == result
        page = render(result)
        assert f"{emission.tuned:.0%}" in page
        assert "<script" not in page

    def test_what_is_finished_is_not_done_again(self, rehearsed, base) -> None:
        corpus, out, config = rehearsed
        first = rehearse([str(corpus)], base, out=out, config=config)
        kept = (out / KEPT).read_text()
        told: list[str] = []
        again = rehearse([str(corpus)], base, out=out, config=config, log=told.append)
        assert again.axes == first.axes
        assert (out / KEPT).read_text() == kept
        assert not any("training" in line for line in told[1:])

    def test_an_interrupted_line_is_done_again(self, rehearsed, base) -> None:
        corpus, out, config = rehearsed
        first = rehearse([str(corpus)], base, out=out, config=config)
        path = out / KEPT
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
        assert rehearse([str(corpus)], base, out=out, config=config).axes == first.axes
        assert rehearse([str(corpus)], base, out=out, config=config).axes == first.axes

    def test_another_rehearsal_into_the_same_folder_is_refused(self, rehearsed, base) -> None:
        corpus, out, config = rehearsed
        rehearse([str(corpus)], base, out=out, config=config)
        other = RehearsalConfig(TrainingConfig(budget=800), config.probes)
        with pytest.raises(InputError, match=str(out)):
            rehearse([str(corpus)], base, out=out, config=other)

    def test_a_folder_without_a_model_is_named(self, rehearsed, tmp_path: Path) -> None:
        corpus, _, config = rehearsed
        with pytest.raises(InputError, match=r"no config\.json"):
            rehearse([str(corpus)], tmp_path, out=tmp_path / "out", config=config)


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal.json"
    path.write_text(json.dumps({"model": 1}))
    with pytest.raises(InputError, match=r"rehearsal\.json: not the result"):
        RehearsalResult.read(path)


def _messages(row: QuestionAnswer) -> list[dict[str, str]]:
    said = [("system", row.system), ("user", row.question), ("assistant", row.answer)]
    return [{"role": role, "content": text} for role, text in said if text]


def _written(result: RehearsalResult, folder: Path) -> Path:
    path = folder / "rehearsal.json"
    path.write_text(result.to_json(), encoding="utf-8")
    return path
