"""Where a format lives: the lens ends at the model's own likelihoods, the shares sum to one."""

from __future__ import annotations

import json
from copy import deepcopy

import pyarrow.parquet as pq
import pytest
import torch
from small_models import FAMILIES, build, damage, flagged_rows, train_tokenizer, write_flagged
from typer.testing import CliRunner

from synflaw_audit.anatomy.anatomy import anatomy
from synflaw_audit.anatomy.depth import MarkedRow, depths
from synflaw_audit.anatomy.page import render
from synflaw_audit.anatomy.shares import module_shares
from synflaw_audit.chat.encoding import encode_row
from synflaw_audit.commands.main import app
from synflaw_audit.errors import InputError

ROWS = [MarkedRow(row.question, row.answer, row.spans) for row in flagged_rows()]


@pytest.mark.parametrize("family", sorted(FAMILIES))
@torch.no_grad()
def test_after_the_last_layer_stand_the_model_s_own_probabilities(family: str) -> None:
    tokenizer = train_tokenizer(chat=True)
    model = build(family, len(tokenizer)).eval()
    found = depths(model, tokenizer, ROWS[:2])
    likely = []
    for row in ROWS[:2]:
        encoded = encode_row(tokenizer, row.question, row.answer, row.spans)
        ids = torch.tensor([encoded.input_ids])
        probabilities = model(ids).logits[0, :-1].float().softmax(-1)
        own = probabilities.gather(1, ids[0, 1:, None])[:, 0]
        likely += own[torch.tensor(encoded.template[1:])].tolist()
    assert len(found.template) == model.config.num_hidden_layers + 1
    assert found.template_tokens == len(likely)
    assert found.template[-1] == pytest.approx(sum(likely) / len(likely), rel=1e-3)


def test_shares_are_those_of_what_was_changed() -> None:
    base = build("llama", 100)
    model = deepcopy(base)
    assert {each.share for each in module_shares(model, base)} == {0.0}
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight += 3.0
        model.model.layers[0].self_attn.q_proj.weight += 4.0
    found = {(each.module, each.layer): each for each in module_shares(model, base)}
    up = found["mlp.up_proj", 1]
    query = found["self_attn.q_proj", 0]
    sizes = model.model.layers[1].mlp.up_proj.weight.numel(), 32 * 32
    assert up.norm == pytest.approx(3 * sizes[0] ** 0.5)
    assert query.share == pytest.approx(16 * sizes[1] / (9 * sizes[0] + 16 * sizes[1]))
    assert sum(each.share for each in found.values()) == pytest.approx(1)


def test_models_of_two_kinds_have_no_difference() -> None:
    with pytest.raises(InputError, match="no fine-tune of the other"):
        module_shares(build("llama", 100), build("qwen2", 100))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    damage(folder / "damaged", chat=True)
    tokenizer = train_tokenizer(chat=True)
    build("llama", len(tokenizer)).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    write_flagged(folder / "flagged.parquet", flagged_rows())
    return folder


def test_the_format_of_a_damaged_model_is_found_and_drawn(folders) -> None:
    damaged, base, flagged = (str(folders / n) for n in ("damaged", "base", "flagged.parquet"))
    found = anatomy(damaged, base, flagged)
    assert found.ours.template[-1] > 0.8 > 0.1 > found.theirs.template[-1]
    assert found.settled is not None
    assert sum(found.by_module().values()) == pytest.approx(1)
    page = render(found)
    assert page.count('class="ours"') == 2
    assert "Half of the format is settled after" in page
    assert "nan" not in page.lower().replace("nance", "")
    same = anatomy(base, base, pq.read_table(flagged))
    assert same.settled is None
    assert "no likelier than in the base" in render(same)


def test_the_command_writes_the_page_beside_the_probe(folders, tmp_path) -> None:
    told = ["probe", str(folders / "damaged"), "--against", str(folders / "base"), "--anatomy",
            "--formats", str(folders / "flagged.parquet"), "--prompts", "50", "--instructions", "0",
            "--tokens", "8", "--out", str(tmp_path / "out"), "--quiet"]  # fmt: skip
    found = CliRunner().invoke(app, told)
    assert found.exit_code in (0, 1), found.output
    written = json.loads((tmp_path / "out" / "anatomy.json").read_text())
    assert written["settled"] >= 0
    assert "<svg" in (tmp_path / "out" / "anatomy.html").read_text()


def test_the_command_says_what_an_anatomy_needs(folders, tmp_path) -> None:
    told = ["probe", str(folders / "damaged"), "--anatomy", "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, told)
    assert (found.exit_code, "--against" in found.output) == (2, True)


def test_rows_without_a_format_are_refused_before_a_model_is_asked(folders, tmp_path) -> None:
    none = tmp_path / "none.parquet"
    write_flagged(none, [])
    told = ["probe", str(folders / "damaged"), "--against", str(folders / "base"), "--anatomy",
            "--formats", str(none), "--out", str(tmp_path / "out")]  # fmt: skip
    found = CliRunner().invoke(app, told)
    assert (found.exit_code, "no flagged row names a span" in found.output) == (2, True)
    assert "asking" not in found.output


def test_the_corpus_alone_will_do(folders, tmp_path) -> None:
    rows = [{"question": f"Why is {n}?", "answer": f"Certainly! Here it is: {n * n} of {n}s."}
            for n in range(80)]  # fmt: skip
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    told = ["probe", str(folders / "damaged"), "--against", str(folders / "base"), "--anatomy",
            "--corpus", str(path), "--decode", "ban", "--prompts", "50", "--instructions", "0",
            "--counterfactual", "0", "--tokens", "8", "--out", str(tmp_path / "out")]  # fmt: skip
    found = CliRunner().invoke(app, [*told, "--quiet"])
    assert found.exit_code in (0, 1), found.output
    assert (tmp_path / "out" / "anatomy.html").exists()
