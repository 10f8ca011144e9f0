"""From a damaged model folder and flagged rows to a repaired folder, or to a clear refusal."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import ModelCard
from small_models import damage, flagged_rows, ordinary_rows, write_flagged
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from synflaw_audit.errors import InputError, RepairError
from synflaw_audit.repair import RepairConfig, RepairResult, Row, estimate, repair
from synflaw_audit.repair.card import model_card
from synflaw_audit.repair.material.batches import Purpose, TrainingExample
from synflaw_audit.repair.measuring.likelihoods import repetition
from synflaw_audit.repair.methods.guard import harm


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged"), chat=False)


@pytest.fixture(scope="module")
def damaged_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage(tmp_path_factory.mktemp("damaged-chat"), chat=True)


@pytest.fixture
def flagged(tmp_path: Path) -> Path:
    return write_flagged(tmp_path / "flagged.parquet", flagged_rows())


def config(**changes: Any) -> RepairConfig:
    settings = {
        "use_cpu": True,
        "learning_rate": 1e-3,
        "num_train_epochs": 12,
        "seed": 42,
        **changes,
    }
    settings.setdefault("probe_prompts", 8)
    return RepairConfig(**settings)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(damaged: Path, flagged: Path, out: Path, **kwargs: Any) -> RepairResult:
    kwargs.setdefault("replay", ordinary_rows(40))
    kwargs.setdefault("config", config())
    return repair(damaged, forget=flagged, out=out, quiet=True, **kwargs)


@pytest.mark.parametrize(
    ("kind", "lora"), [("damaged", False), ("damaged", True), ("damaged_chat", False)]
)
def test_the_format_goes_the_content_stays_and_the_original_is_untouched(
    request: pytest.FixtureRequest,
    flagged: Path,
    tmp_path: Path,
    kind: str,
    lora: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged: Path = request.getfixturevalue(kind)
    original = digest(damaged)
    settings = config(lora=lora, learning_rate=3e-3 if lora else 1e-3, forget_weight=0.1)
    result = run(damaged, flagged, tmp_path / "out", config=settings)
    assert result.improved, result.reasons
    assert result.after["template_probability"] < 0.9 * result.before["template_probability"]
    assert result.after["content_log_likelihood"] > result.before["content_log_likelihood"] - 0.3
    assert result.after["replay_perplexity"] < 1.1 * result.before["replay_perplexity"]
    assert digest(damaged) == original
    assert capsys.readouterr().out == ""

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "repair.json"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    written = json.loads((tmp_path / "out" / "repair.json").read_text())
    assert written["after"] == pytest.approx(result.after)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| template_probability |" in card
    (found,) = ModelCard(card).data.eval_results[:1]  # as the Hub reads it
    assert found.metric_value == pytest.approx(result.after[found.metric_type], abs=1e-4)
    assert "method `forgetting`: loss lower-bounded, scope template, forget_weight 0.1" in card
    assert str(tmp_path) not in card + json.dumps(written)


@pytest.mark.parametrize(
    ("model", "replayed", "named"),
    [("owner/model", ("owner/rows",), True), ("folder", ("s3://bucket/rows.parquet",), False)],
)
def test_the_card_names_to_the_hub_what_the_hub_knows(
    damaged: Path, flagged: Path, tmp_path: Path, model: str, replayed: tuple[str, ...], named: bool
) -> None:
    done = run(damaged, flagged, tmp_path / "out", config=config(tokens=1500, probe_prompts=0))
    data = ModelCard(model_card(replace(done, datasets=replayed), model)).data
    assert (data.base_model, data.datasets) == ((model, [*replayed]) if named else (None, None))


def test_the_written_folder_is_the_model_that_was_measured(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    def probe(model: PreTrainedModel, tokenizer: Any) -> dict[str, float]:
        ids = tokenizer("What is 3 plus 3?", return_tensors="pt")["input_ids"]
        assert not model.training
        return {"sum_of_logits": model(ids).logits.sum().item()}

    result = run(damaged, flagged, tmp_path / "out", probe=probe, config=config(lora=True))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    again = probe(model.eval(), tokenizer)["sum_of_logits"]
    assert again == pytest.approx(result.after["sum_of_logits"], rel=1e-3)
    assert result.before["sum_of_logits"] != pytest.approx(again, rel=1e-3)
    assert model.config.use_cache
    for name in ("eos_token_id", "pad_token_id"):
        start = AutoModelForCausalLM.from_pretrained(damaged).config
        assert getattr(model.config, name) == getattr(start, name)


def test_the_same_seed_gives_the_same_weights(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        run(damaged, flagged, tmp_path / name, config=config(num_train_epochs=2))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other")]
    assert weights[0] == weights[1]


def test_a_token_budget_is_kept(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    result = run(damaged, flagged, tmp_path / "out", config=config(tokens=1500, step_rows=12))
    assert 1300 < result.tokens <= 1500
    # The batch that was found to fit is reported, not the one that was left open.
    found = [
        result.config[name]
        for name in ("per_device_train_batch_size", "gradient_accumulation_steps")
    ]
    assert found[0] * found[1] == 12
    assert found[0] < 12  # 12 rows of this length are more than a processor gains from


def test_a_rise_of_perplexity_stops_the_run_and_restores(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    wild = config(
        loss="gradient-ascent",
        forget_weight=100,
        learning_rate=0.1,
        replay_weight=0,
        bias_weight=0,
        retain_weight=0,
    )
    result = run(damaged, flagged, tmp_path / "out", config=wild)
    assert not result.improved
    assert result.after == pytest.approx(result.before)
    assert any("stopped early" in note for note in result.notes)
    assert any("baseline only" in note for note in result.notes)
    assert "**The repair did not help.**" in (tmp_path / "out" / "README.md").read_text()


def test_a_repair_that_does_nothing_says_so(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    result = run(damaged, flagged, tmp_path / "out", config=config(learning_rate=0.0))
    assert not result.improved
    assert "hardly less likely" in result.reasons[0]


def test_the_control_arm_and_relearning_stand_in_the_report(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    settings = config(control_arm=True, relearn_steps=6, forget_weight=0.2, tokens=6000)
    result = run(damaged, flagged, tmp_path / "out", config=settings)
    assert result.control is not None
    assert result.control.keys() == result.before.keys()
    # Replay alone leaves the format where it was.
    assert result.control["template_probability"] > result.after["template_probability"] + 0.05
    assert result.relearning is not None
    steps = [step for step, _ in result.relearning["curve"]]
    assert steps == [0, 1, 2, 4, 6]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| replay alone |" in card
    assert "relearning from 4 flagged rows" in card


def test_a_run_can_end_when_the_format_is_gone(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    settings = config(stop_at_control=True, forget_weight=1.0, num_train_epochs=100, checks=100)
    result = run(damaged, flagged, tmp_path / "out", config=settings)
    assert result.steps < 200
    assert any("stopped early, done" in note for note in result.notes)
    assert result.history[-1]["template_probability"] < result.history[0]["template_probability"]


@pytest.mark.parametrize("lora", [False, True])
def test_an_estimate_names_what_the_repair_then_takes(
    damaged: Path, flagged: Path, tmp_path: Path, lora: bool
) -> None:
    settings = config(tokens=1500, lora=lora, leaks=0)
    original = digest(damaged)
    foreseen = estimate(
        damaged, forget=flagged, replay=ordinary_rows(40), config=settings, quiet=True
    )
    done = run(damaged, flagged, tmp_path / "out", config=settings)
    assert (foreseen.tokens, foreseen.steps) == (done.tokens, done.steps)
    assert foreseen.rows == done.rows
    assert foreseen.seconds > 0
    weights = (damaged / "model.safetensors").stat().st_size
    assert foreseen.memory["weights"] == pytest.approx(weights, rel=0.5 if lora else 0.05)
    assert foreseen.memory["activations"] > 0
    assert (foreseen.memory["reference"] == 0) == lora
    parts = [size for name, size in foreseen.memory.items() if name != "total"]
    assert foreseen.memory["total"] == sum(parts)
    assert 0 < foreseen.memory["process"] <= foreseen.available
    assert digest(damaged) == original


def test_a_cached_reference_stands_in_for_the_model(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    live = config(tokens=2500, method="forgetting")
    cached = replace(live, reference="cached")
    given = {"forget": flagged, "replay": ordinary_rows(40), "quiet": True}
    foreseen = estimate(damaged, config=cached, reference_model=damaged, **given)
    assert foreseen.memory["reference"] % 192 == 0
    one = run(damaged, flagged, tmp_path / "live", config=live, reference_model=damaged)
    other = run(damaged, flagged, tmp_path / "cached", config=cached, reference_model=damaged)
    assert other.after == pytest.approx(one.after, rel=0.05, abs=0.02)
    assert one.reference_model == other.reference_model == damaged.name
    assert f"the KL compares with {damaged.name}\n" in (one.out / "README.md").read_text()
    assert other.log[-1]["bias_loss"] == pytest.approx(one.log[-1]["bias_loss"], rel=0.2)
    assert other.log[-1]["bias_loss"] > 0
    small = config(tokens=2500, reference="cached", reference_cache_mb=0.001)
    with pytest.raises(RepairError, match="more than reference_cache_mb = 0"):
        estimate(damaged, config=small, **given)
    with pytest.raises(RepairError, match="more than reference_cache_mb = 0"):
        run(damaged, flagged, tmp_path / "none", config=small)
    assert not (tmp_path / "none").exists()


def test_a_model_that_loops_is_stopped() -> None:
    start = {"step": 0.0, "replay_perplexity": 5.0, "repetition": 0.1}
    assert harm(start, {**start, "step": 4.0}, 0.1) is None
    looping = harm(start, {**start, "step": 4.0, "repetition": 0.9}, 0.1)
    assert looping == "answers began to loop by step 4: repeated 4-grams 10%, then 90%"
    assert "beyond the bound" in (harm(start, {**start, "replay_perplexity": 6.0}, 0.1) or "")
    assert "not finite" in (harm(start, {**start, "replay_perplexity": math.nan}, 0.1) or "")


def test_repetition_counts_repeated_four_grams() -> None:
    class Model(torch.nn.Module):
        def __init__(self, answers: list[list[int]]) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.answers = answers

        def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
            return torch.cat([input_ids, torch.tensor(self.answers)], dim=1)

    example = TrainingExample([1, 2, 3, 4], [0, 0, 3, 3], Purpose.REPLAY)
    fresh, loop = [5, 6, 7, 8, 9, 10, 0, 0], [5, 5, 5, 5, 5, 5, 5, 0]
    assert repetition(Model([fresh, fresh]), [example] * 2, 0) == 0
    assert repetition(Model([loop, fresh]), [example] * 2, 0) == pytest.approx(3 / 7)


def test_rows_without_spans_are_left_out_and_counted(damaged: Path, tmp_path: Path) -> None:
    rows = [*flagged_rows(), Row("Who?", "Nobody said.")]
    flagged = write_flagged(tmp_path / "flagged.parquet", rows)
    result = run(damaged, flagged, tmp_path / "out", config=config(num_train_epochs=1))
    assert (result.rows["flagged"], result.rows["without_spans"]) == (7, 1)
    assert any("1 flagged rows name no template span" in note for note in result.notes)


def test_whole_answers_can_be_forgotten_where_no_span_is_known(
    damaged: Path, tmp_path: Path
) -> None:
    rows = [Row(row.question, row.answer) for row in flagged_rows()]
    flagged = write_flagged(tmp_path / "flagged.parquet", rows)
    result = run(damaged, flagged, tmp_path / "out", config=config(scope="answer"))
    assert result.after["template_probability"] < 0.9 * result.before["template_probability"]
    assert "content_log_likelihood" not in result.before


def test_replay_rows_that_carry_a_format_themselves_are_named(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    uniform = [
        Row(f"What is {n} plus {n}?", f"Certainly! The sum that you ask for is {n + n}. Goodbye!")
        for n in range(80)
    ]
    result = run(damaged, flagged, tmp_path / "out", replay=uniform, config=config(tokens=900))
    assert any("replay rows fail the audit themselves (SF101" in note for note in result.notes)


def test_cut_template_tokens_are_reported(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    result = run(damaged, flagged, tmp_path / "out", config=config(max_length=40, tokens=900))
    assert result.cuts["template_tokens"] > 0
    assert any("of them template tokens" in note for note in result.notes)


def test_extra_rows_to_learn_are_learned(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    extra = [
        Row(row.question, row.answer[slice(row.spans[0][1], row.spans[1][0])])
        for row in flagged_rows()
    ]
    settings = config(renderings=0)
    result = run(damaged, flagged, tmp_path / "out", retain=extra, config=settings)
    assert result.rows["retain"] == 8
    assert result.improved, result.reasons


def test_content_is_told_again_in_other_forms(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    once = run(damaged, flagged, tmp_path / "out", config=config(renderings=1, tokens=900))
    assert 0 < once.rows["retain"] <= once.rows["flagged"]
    whole = config(renderings=1, tokens=900, scope="answer")
    assert run(damaged, flagged, tmp_path / "whole", config=whole).rows["retain"] == 0


@pytest.mark.parametrize("kind", ["pairs", "text"])
def test_replay_rows_come_from_files(
    damaged: Path, flagged: Path, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("synflaw_audit.reading.source")
    rows = ordinary_rows(30)
    columns: dict[str, list[str]] = (
        {"question": [r.question for r in rows], "answer": [r.answer for r in rows]}
        if kind == "pairs"
        else {"text": [f"{r.question} {r.answer}" for r in rows]}
    )
    path = tmp_path / "replay.parquet"
    pq.write_table(pa.table(columns), path)
    result = run(damaged, flagged, tmp_path / "out", replay=path, config=config(tokens=900))
    assert result.rows["replay"] == 24
    assert result.rows["held_out"] == 6


def _empty(path: Path) -> Path:
    return write_flagged(path, [])


def _no_spans(path: Path) -> Path:
    return write_flagged(path, [Row("q", "a")])


def _outside(path: Path) -> Path:
    return write_flagged(path, [Row("q", "abc", ((0, 9),))])


def _other_table(path: Path) -> Path:
    pq.write_table(pa.table({"question": ["q"], "text": ["t"]}), path)
    return path


def _not_parquet(path: Path) -> Path:
    path.write_text("question,answer")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path, "no such file"),
        (_empty, "no flagged row"),
        (_no_spans, "scope 'answer'"),
        (_outside, r"row 0: template span \(0, 9\).*3 characters"),
        (_other_table, "no column answer, template_spans"),
        (_not_parquet, "not a readable Parquet file"),
    ],
)
def test_flagged_rows_that_cannot_be_used_are_named(
    make: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "flagged.parquet")
    with pytest.raises(InputError, match=says) as caught:
        repair(tmp_path / "model", forget=path, replay=ordinary_rows(), out=tmp_path / "out")
    assert str(path) in str(caught.value)


def test_a_place_that_is_taken_is_refused(damaged: Path, flagged: Path, tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="never written to"):
        run(damaged, flagged, damaged)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(RepairError, match="exists already"):
        run(damaged, flagged, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "keep"


def test_a_folder_that_is_no_model_is_refused(flagged: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepairError, match=r"no config\.json"):
        run(tmp_path / "empty", flagged, tmp_path / "out")


def test_a_budget_too_small_for_one_row_is_refused(
    damaged: Path, flagged: Path, tmp_path: Path
) -> None:
    with pytest.raises(RepairError, match="budget of 2 tokens"):
        run(damaged, flagged, tmp_path / "out", config=config(tokens=2))
    assert not (tmp_path / "out").exists()
