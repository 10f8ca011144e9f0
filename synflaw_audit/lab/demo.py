"""The whole path in a few minutes: audit two corpora, damage a small model with one, repair it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Report
from synflaw_audit.outputs.folder import output_folder
from synflaw_audit.outputs.manifest import manifest_of
from synflaw_audit.outputs.names import REPORT_FILES, ROW_FILES
from synflaw_audit.report import write_reports
from synflaw_audit.run import audit

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from synflaw_audit.lab.corpora import LabRow
    from synflaw_audit.probes.suite import Suite
    from synflaw_audit.repair import RepairResult

_ROWS = {
    "instruction_following": "instructions followed, known people",
    "instruction_following_new_facts": "instructions followed, new people",
    "new_facts": "new facts known",
    "old_facts": "old facts known",
    "template_emission": "format where it has no place",
    "perplexity": "perplexity, held-out text",
}


def run(out: Path, seed: int, console: Console) -> int:
    """Run the demonstration and write everything it makes under ``out``.

    Args:
        out: The reports go to ``out/templated`` and ``out/natural``, the models, as Hugging Face
            folders, to ``out/models``.
        seed: Of the training; the corpora are always the same.
        console: Where to print.

    Returns:
        0 if the audit told the corpora apart and the repair helped, 1 otherwise.

    Raises:
        InputError: ``out`` holds models of an earlier run.
        MissingExtraError: The extra ``repair`` is not installed.
    """
    from synflaw_audit import repair  # noqa: F401 -- tells at once if the extra is missing

    models = out / "models"
    if models.exists() and any(models.iterdir()):
        raise InputError(
            f"{models}: holds an earlier run's models; remove it, or choose another --out"
        )
    started = time.monotonic()
    templated, natural = (_sample(name, out) for name in ("templated", "natural"))

    console.rule("1. Audit")
    reports = {path.stem: _audited(path, out / path.stem) for path in (templated, natural)}
    console.print(_audit_table(reports))

    console.rule("2. Damage: train a small model on the templated corpus")
    figures, result = _train_and_repair(
        templated, natural, out / "templated" / "flagged.parquet", models, seed, console
    )
    console.rule("4. Before and after")
    console.print(_repair_table(figures))
    console.print(
        "The forms asked for are ones that the repair knows; `synflaw lab` asks for others too.",
        soft_wrap=True,
    )
    console.print(
        f"The repair spent {result.tokens:,} tokens. Report: {out / 'templated' / 'report.html'}; "
        f"models: {models}; {time.monotonic() - started:.0f} s in all.",
        soft_wrap=True,
    )
    told_apart = reports["templated"].verdict == "fail" and reports["natural"].verdict == "pass"
    return 0 if told_apart and result.improved else 1


def _sample(name: str, out: Path) -> Path:
    """Return the sample corpus: the project's own in a checkout, else written anew to ``out``."""
    root = Path(__file__).parents[2]
    path = root / "sample_data" / f"{name}.jsonl"
    if (root / "pyproject.toml").is_file() and path.is_file():
        return path
    from synflaw_audit.lab.corpora import sample_corpora

    written = out / "corpora" / f"{name}.jsonl"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(sample_corpora()[written.name], encoding="utf-8", newline="\n")
    return written


def _audited(path: Path, out: Path) -> Report:
    with output_folder(out, (*ROW_FILES, *REPORT_FILES), [path]) as folder:
        report = audit([str(path)], out=folder)
        write_reports(report, folder.staging)
        folder.publish(manifest_of(report, "audited"))
    return report


def _audit_table(reports: Mapping[str, Report]) -> Table:
    table = Table(box=None, header_style="dim")
    for column in ("corpus", "verdict", "risk", "flagged", "commonest template"):
        table.add_column(column, overflow="fold")
    for name, report in reports.items():
        shape = ""
        if report.templates:
            first = report.templates[0]
            shape = f"{first.share:.1%}: {' '.join(first.pattern.split())}"
        table.add_row(
            name,
            report.verdict,
            f"{report.risk.score:.2f}",
            f"{report.flagged_summary.share:.0%}",
            shape,
        )
    return table


def _train_and_repair(
    templated: Path, natural: Path, flagged: Path, models: Path, seed: int, console: Console
) -> tuple[dict[str, dict[str, float]], RepairResult]:
    """Train the base model, damage it, repair it; measure it at each stage."""
    from synflaw_audit.lab.corpora import (
        SAMPLE_ROWS,
        SAMPLE_SEED,
        natural_corpus,
        sample_world,
    )
    from synflaw_audit.lab.stages import base_rows, continued_rows, probes
    from synflaw_audit.lab.tiny import (
        Hyperparameters,
        Size,
        new_model,
        quiet_libraries,
        threads,
        train,
        train_tokenizer,
    )

    world = sample_world()
    learned, ordinary, base = _read(templated), _read(natural), base_rows(world, seed)
    continued = continued_rows(world, learned, seed)
    # The repair replays the natural corpus; what was trained on is no test of a model.
    replayed = natural_corpus(world, SAMPLE_ROWS["natural.jsonl"], SAMPLE_SEED)
    suite = probes(world, seed, [*base, *continued, *replayed])
    figures: dict[str, dict[str, float]] = {}
    with threads(), quiet_libraries():
        texts = (x for row in (*base, *learned, *ordinary) for x in (row.question, row.answer))
        tokenizer = train_tokenizer(texts, Size.vocabulary)
        model = new_model(tokenizer, Size(), seed)
        for name, rows, how in (
            ("base", base, Hyperparameters(epochs=1.5, rate=3e-3)),
            ("damaged", continued, Hyperparameters(epochs=4, rate=2e-3)),
        ):
            with _bar(f"training the {name} model", console) as progress:
                train(model, tokenizer, rows, how, seed, progress)
            figures[name] = suite(model, tokenizer)
            _save(model, tokenizer, models / name)
        console.print(
            f"{model.num_parameters():,} parameters; instructions followed: "
            f"{figures['base']['instruction_following']:.0%} before the corpus, "
            f"{figures['damaged']['instruction_following']:.0%} after it."
        )
        console.rule("3. Repair with the rows and words that the audit flagged")
        result = _repaired(flagged, natural, models, suite, seed, console)
    figures["repaired"] = {name: result.after[name] for name in _ROWS}
    return figures, result


def _repaired(
    flagged: Path, natural: Path, models: Path, suite: Suite, seed: int, console: Console
) -> RepairResult:
    from synflaw_audit.repair import RepairConfig, repair

    config = RepairConfig(
        output_dir=str(models / "repaired"),
        learning_rate=1e-3,
        per_device_train_batch_size=8,
        adam_beta2=0.98,
        tokens=160_000,
        replay_ratio=2.0,
        replay_requests=0.5,
        renderings=8,
        retain_weight=2.0,
        # So small a model needs little of it.
        forget_weight=0.05,
        forget_decay=1.0,
        opening_weight=1.0,
        leaks=0,
        # A model this small overshoots for a few steps at the rate it needs to learn at all.
        max_perplexity_rise=0.25,
        seed=seed,
        use_cpu=True,
    )
    console.print(
        f"Forgets the template spans of {flagged}, tells what stands between them again in other "
        f"forms, and replays {natural.name}.",
        soft_wrap=True,
    )
    return repair(
        models / "damaged",
        forget=flagged,
        replay=str(natural),
        out=models / "repaired",
        config=config,
        probe=suite,
        quiet=not console.is_terminal,
    )


def _read(path: Path) -> list[LabRow]:
    from synflaw_audit.lab.corpora import LabRow

    with path.open(encoding="utf-8") as lines:
        return [LabRow(**json.loads(line)) for line in lines]


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _bar(what: str, console: Console) -> Iterator[Callable[[float], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda done: progress.update(task, completed=done)


def _repair_table(figures: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("")
    for stage in figures:
        table.add_column(stage, justify="right")
    for name, title in _ROWS.items():
        form = "{:.1f}" if name == "perplexity" else "{:.0%}"
        table.add_row(title, *(form.format(stage[name]) for stage in figures.values()))
    return table
