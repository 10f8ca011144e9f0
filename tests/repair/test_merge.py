"""Merging: the published coefficients, what stays as it is, memory that does not grow."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_models import build, damage, flagged_rows, ordinary_rows, write_flagged
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import RepairConfig, repair
from synflaw_audit.repair.methods.merge.merging import merge, squared_norms
from synflaw_audit.repair.methods.merge.rules import RULES, Rule
from synflaw_audit.repair.storage.weights import AdapterWeights, FolderWeights, ModelWeights

# Peft still asks for checkpointing by the name that transformers has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

VOCABULARY = 50


def saved(folder: Path, seed: int, family: str = "llama") -> Path:
    build(family, VOCABULARY, seed).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> dict[str, Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return {name: each.detach() for name, each in model.named_parameters()}


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """A base, and two fine-tunes of it."""
    return [saved(tmp_path / name, seed) for seed, name in enumerate(("base", "one", "two"))]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=6).filter(any))
def test_metagpt_weighs_each_model_by_its_share_of_the_squared_norms(norms: list[float]) -> None:
    found = Rule("metagpt").coefficients(norms)
    assert sum(found) == pytest.approx(1)
    assert found == pytest.approx([norm / sum(norms) for norm in norms])


def test_the_norms_are_those_of_the_task_vectors_over_all_weights(models: list[Path]) -> None:
    weights = [loaded(each) for each in models]
    found = squared_norms(FolderWeights(models[0]), [FolderWeights(each) for each in models[1:]])
    for norm, tune in zip(found, weights[1:], strict=True):
        whole = torch.cat([(tune[name] - weights[0][name]).flatten() for name in tune])
        assert norm == pytest.approx(float(whole.norm()) ** 2, rel=1e-5)


def test_two_models_are_merged_as_the_formula_says(models: list[Path], tmp_path: Path) -> None:
    base, one, two = map(loaded, models)
    done = merge(models[1], base=models[0], others=[models[2]], out=tmp_path / "out")
    first, second = done.coefficients
    for name, weight in loaded(tmp_path / "out").items():
        expected = base[name] + first * (one[name] - base[name]) + second * (two[name] - base[name])
        torch.testing.assert_close(weight, expected)
    said = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert said["coefficients"] == list(done.coefficients)
    assert str(tmp_path) not in json.dumps(said)


@pytest.mark.parametrize("rule", ["metagpt", "average"])
def test_a_model_merged_with_itself_is_the_model(
    models: list[Path], tmp_path: Path, rule: str
) -> None:
    merge(models[1], base=models[0], others=[models[1]] * 2, out=tmp_path / "out", rule=Rule(rule))
    own = loaded(models[1])
    for name, weight in loaded(tmp_path / "out").items():
        torch.testing.assert_close(weight, own[name])


@pytest.mark.parametrize("rule", [name for name in RULES if name not in ("metagpt", "dare")])
def test_rules_that_keep_all_entries_are_sums(models: list[Path], rule: str) -> None:
    same = torch.randn(4, 5)
    of = Rule(rule, density=1.0)
    share = sum(of.coefficients([1.0, 1.0])) / (2 if rule == "ties" else 1)
    torch.testing.assert_close(of.merged([same, same], of.coefficients([1.0, 1.0])), share * same)


def test_dare_drops_the_same_entries_again_and_keeps_the_mean() -> None:
    rule = Rule("dare", density=0.5, seed=3)
    ones = torch.ones(100, 100)
    state = torch.get_rng_state()
    first, second = (rule.merged([ones, ones], [0.5, 0.5]) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())
    assert first.mean() == pytest.approx(1, abs=0.05)
    assert (first == 0).float().mean() == pytest.approx(0.25, abs=0.05)


def test_an_adapter_is_read_as_what_it_makes_of_its_base(tmp_path: Path) -> None:
    for family, target in (("llama", "all-linear"), ("gpt2", ["c_attn"])):
        base = saved(tmp_path / family, 0, family)
        settings = LoraConfig(
            r=4, lora_alpha=8, target_modules=target, fan_in_fan_out=family == "gpt2"
        )
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                nn.init.normal_(weight)
        model.save_pretrained(tmp_path / f"{family}-adapter")
        read = AdapterWeights(tmp_path / f"{family}-adapter", FolderWeights(base))
        for name, weight in model.merge_and_unload().named_parameters():
            torch.testing.assert_close(read.read(name), weight.detach(), rtol=1e-4, atol=1e-5)


def test_adapters_are_merged_on_the_base_that_they_name(tmp_path: Path) -> None:
    base = saved(tmp_path / "base", 0)
    for name in ("one", "two"):
        model = AutoModelForCausalLM.from_pretrained(base)
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
        for key, weight in adapted.named_parameters():
            if "lora_" in key:
                nn.init.normal_(weight)
        adapted.save_pretrained(tmp_path / name)
    merge(tmp_path / "one", others=[tmp_path / "two"], out=tmp_path / "out", rule=Rule("average"))
    both = [AdapterWeights(tmp_path / name, FolderWeights(base)) for name in ("one", "two")]
    for name, weight in loaded(tmp_path / "out").items():
        torch.testing.assert_close(weight, (both[0].read(name) + both[1].read(name)) / 2)


def sharded(folder: Path, shards: int, seed: int) -> Path:
    """A folder of so many files of the same size."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    names = [f"layer.{at}.weight" for at in range(shards)]
    files = {name: f"model-{at:05}.safetensors" for at, name in enumerate(names)}
    for name, file in files.items():
        save_file({name: torch.randn(64, 64, generator=generator)}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    (folder / "config.json").write_text("{}")
    return folder


def test_memory_does_not_grow_with_the_number_of_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = peak = 0
    read = FolderWeights.read

    def counted(self: FolderWeights, name: str) -> Tensor:
        nonlocal alive, peak
        found = read(self, name)
        alive += found.nbytes
        peak = max(peak, alive)
        weakref.finalize(found, release, found.nbytes)
        return found

    def release(size: int) -> None:
        nonlocal alive
        alive -= size

    monkeypatch.setattr(FolderWeights, "read", counted)
    peaks = []
    for shards in (2, 12):
        folders = [sharded(tmp_path / f"{shards}-{seed}", shards, seed) for seed in range(3)]
        out, peak = tmp_path / f"out-{shards}", 0
        size = 64 * 64 * 4
        merge(folders[1], base=folders[0], others=[folders[2]], out=out, shard_bytes=2 * size)
        peaks.append(peak)
        written = sorted(out.glob("*.safetensors"))
        assert len(written) == shards // 2
        assert sum(len(load_file(file)) for file in written) == shards
    assert peaks[0] == peaks[1] <= 6 * size


def test_a_repair_by_merging_asks_for_no_token_and_tells_the_coefficients(tmp_path: Path) -> None:
    damaged = damage(tmp_path / "damaged", chat=False)
    model = AutoModelForCausalLM.from_pretrained(damaged)
    for name, scale in (("base", 0.9), ("clean", 0.95)):
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight * scale)
        model.save_pretrained(tmp_path / name)
    config = RepairConfig(
        use_cpu=True, probe_prompts=0, method="merge", merge_with=[str(tmp_path / "clean")]
    )
    result = repair(
        damaged,
        forget=write_flagged(tmp_path / "flagged.parquet", flagged_rows()),
        replay=ordinary_rows(40),
        out=tmp_path / "out",
        base=tmp_path / "base",
        config=config,
        quiet=True,
    )
    assert (result.tokens, result.steps) == (0, 0)
    assert any(note.startswith("merged by metagpt") for note in result.notes)
    card = (result.out / "README.md").read_text()
    assert "method `merge`: merge_rule metagpt" in card
    assert "forget" not in card.split("## How")[1]
    assert str(tmp_path) not in (result.out / "repair.json").read_text()
    direct = merge(
        damaged, base=tmp_path / "base", others=[tmp_path / "clean"], out=tmp_path / "direct"
    )
    expected = loaded(direct.out)
    for name, weight in loaded(tmp_path / "out").items():
        torch.testing.assert_close(weight, expected[name])


def test_the_command_merges_without_a_row(models: list[Path], tmp_path: Path) -> None:
    base, one, two = map(str, models)
    out = tmp_path / "out"
    asked = ["repair", one, "--method", "merge", "--with", two, "--out", str(out)]
    done = CliRunner().invoke(app, [*asked, "--base", base, "--merge-rule", "average"])
    assert done.exit_code == 0, done.output
    assert "0.5 of one, 0.5 of two" in done.output
    first, second = loaded(models[1]), loaded(models[2])
    for name, weight in loaded(out).items():
        torch.testing.assert_close(weight, (first[name] + second[name]) / 2)
    refused = CliRunner().invoke(app, ["repair", one, "--out", str(tmp_path / "other")])
    assert refused.exit_code == 2
    assert "only --method merge does without both" in refused.stderr
    for misspelt in ("mrege", "merge+ftop"):
        refused = CliRunner().invoke(app, ["repair", one, "--method", misspelt])
        assert refused.exit_code == 2
        assert "Did you mean" in refused.stderr


def test_what_cannot_be_merged_is_named(models: list[Path], tmp_path: Path) -> None:
    base, one, _ = models
    out = tmp_path / "out"
    build("llama", VOCABULARY + 1).save_pretrained(tmp_path / "wider")
    with pytest.raises(RepairError, match=r"weight has shape \(51, 32\) in wider"):
        merge(one, base=base, others=[tmp_path / "wider"], out=out)
    with pytest.raises(RepairError, match="gpt2 has no weight"):
        merge(one, base=base, others=[saved(tmp_path / "gpt2", 0, "gpt2")], out=out)
    with pytest.raises(RepairError, match="give it"):
        merge(one, others=[one], out=out)
    with pytest.raises(RepairError, match="other fine-tunes"):
        merge(one, base=base, others=[], out=out)
    with pytest.raises(RepairError, match="there is nothing to merge"):
        merge(base, base=base, others=[base], out=out)
    with pytest.raises(RepairError, match="no weight strange"):
        ModelWeights(nn.Linear(2, 2), "a layer").read("strange")
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"name": "magic"}, "Known: metagpt, average"),
        ({"density": 0.0}, "merge_density is 0.0"),
        ({"name": "metagpt", "weight": 0.5}, "for task-arithmetic and ties"),
    ],
)
def test_rules_that_there_are_not_are_refused(given: dict, named: str) -> None:
    with pytest.raises(RepairError, match=named):
        Rule(**given)
