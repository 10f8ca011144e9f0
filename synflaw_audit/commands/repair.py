"""The command ``synflaw repair``; imports the repair itself only when it runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synflaw_audit.commands.options import with_settings
from synflaw_audit.commands.repair_methods import list_methods, merge_only
from synflaw_audit.commands.repair_probes import chosen_probe
from synflaw_audit.commands.repair_tables import show_estimate, show_result
from synflaw_audit.errors import InputError, RepairError
from synflaw_audit.settings.repair import PRESETS, RepairSettings
from synflaw_audit.untrusted import escaped

if TYPE_CHECKING:
    from synflaw_audit.repair import RepairConfig

# Headings of ``--help``, beside those of the settings.
_TRAINING, _RESOURCES, _MEASURING = "Training", "Resources", "Measuring"


@with_settings
def repair(
    given: Annotated[dict[str, Any], RepairSettings],
    model: Annotated[
        str | None,
        typer.Argument(help="A Hugging Face causal LM: a folder or a name.", show_default=False),
    ] = None,
    forget: Annotated[
        Path | None, typer.Option(help="The audit's flagged.parquet.", show_default=False)
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            help="A corpus of ordinary rows; or self: the model's own answers, for want of one.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what it would take: tokens, time, memory."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file of RepairConfig settings; options override it."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Fewer tokens, checks and probes, for a first look.")
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="More of them, a control arm, and the relearning probe."),
    ] = False,
    reference_model: Annotated[
        str | None,
        typer.Option(
            help="The checkpoint from before the damage: the repaired weights are averaged with "
            "its own, or another method learns from it.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="The base of an adapter, where it does not name it; for merge, of all models.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads to compute in.", rich_help_panel=_RESOURCES),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            help="A folder for ten checkpoints on the way.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="The checkpoint to go on from; all else as in the run that wrote it.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    ifeval: Annotated[
        Path | None,
        typer.Option(
            help="Prompts in IFEval's layout: are they obeyed, and is the format said there?",
            show_default=False,
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(
            help="Probes by name, with commas between: everyday (our own prompts), or another "
            "package's.",
            metavar="NAMES",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    lm_eval: Annotated[
        str | None,
        typer.Option(
            "--lm-eval",
            help="Tasks of lm-eval, or YAML files of one's own, with commas between them.",
            metavar="TASKS",
            rich_help_panel=_MEASURING,
        ),
    ] = None,
    question: Annotated[str | None, typer.Option(help="The questions' column.")] = None,
    answer: Annotated[str | None, typer.Option(help="The answers' column.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print repair.json on stdout, and nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Take a format out of a model that was trained on it, and keep what was learned.

    Exits with 0 when the repair helped and 1 when it did not, judged on rows and prompts that were
    held out of it; with 2 on errors. What is written before an error is kept, and repair.json
    says which step failed. The original is never changed.

    --method list lists the methods. --method merge needs no rows: without them it only merges.
    """
    if given.get("method") == "list":
        list_methods(as_json=as_json)
        return
    if model is None:
        raise InputError("MODEL is missing: name the model to repair, a folder or a hub name")
    if fast and thorough:
        raise InputError("--fast and --thorough exclude one another; give one of them")
    preset = "fast" if fast else "thorough" if thorough else None
    settings = _settings(config, preset, {**given, **_checkpoints(checkpoints, resume)})
    if settings.method == "merge" and forget is None and replay is None and not dry_run:
        merge_only(
            model, base or reference_model, _required(out), settings, as_json=as_json, quiet=quiet
        )
        return
    if forget is None or replay is None:
        _require_method(settings.method)
        lacks = "--forget" if forget is None else "--replay"
        raise InputError(
            f"{lacks} is missing: a repair takes the audit's flagged rows (--forget) and ordinary "
            "ones (--replay); only --method merge does without both"
        )
    common: dict[str, Any] = {
        "forget": forget,
        "replay": replay,
        "config": settings,
        "reference_model": reference_model,
        "base": base,
        "question": question,
        "answer": answer,
        "quiet": quiet,
    }
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if dry_run:
        from synflaw_audit.repair import estimate

        foreseen = estimate(model, **common)
        if as_json:
            typer.echo(json.dumps(asdict(foreseen), indent=2))
        elif not quiet:
            show_estimate(foreseen)
        return
    out = _required(out)
    from synflaw_audit.repair import repair as run
    from synflaw_audit.repair.training.processes import is_main, leave_group

    result = run(model, out=out, probe=chosen_probe(forget, ifeval, probe, lm_eval), **common)
    shown = is_main()
    leave_group()
    if as_json and shown:
        typer.echo(escaped(result.to_json()).encode(), nl=False)
    elif shown and not quiet:
        show_result(result)
    raise typer.Exit(0 if result.improved else 1)


def _required(out: Path | None) -> Path:
    if out is None:
        raise InputError("--out is missing: name the folder to write, or ask for a --dry-run")
    return out


def _settings(path: Path | None, preset: str | None, given: dict[str, Any]) -> RepairConfig:
    """A preset's settings, the file's in their place, and in theirs those of the command line."""
    from synflaw_audit.repair import RepairConfig

    chosen: dict[str, Any] = dict(PRESETS[preset] if preset else {})
    if path is not None:
        from synflaw_audit.repair.settings import read_settings

        chosen |= read_settings(path)
    chosen |= given
    try:
        return RepairConfig(**chosen)
    except (ValueError, ImportError) as error:  # transformers' own, of combinations of settings
        raise RepairError(f"these settings do not go together: {error}") from error


def _require_method(method: str | None) -> None:
    """Refuses a misspelt method before anything else is said to be missing."""
    from synflaw_audit.repair.methods.registry import named

    if method not in (None, "auto"):
        named(method)


def _checkpoints(folder: Path | None, resume: Path | None) -> dict[str, Any]:
    """Where checkpoints go, and which one to go on from; a resumed run goes on writing them."""
    if resume is not None and not (resume / "trainer_state.json").is_file():
        raise RepairError(
            f"{resume}: no trainer_state.json; give one of the folders checkpoint-N that a run "
            "with --checkpoints wrote"
        )
    if folder is None and resume is None:
        return {}
    return {
        "output_dir": str(folder or Path(str(resume)).parent),
        "save_strategy": "steps",
        "save_steps": 0.1,
        "resume_from_checkpoint": None if resume is None else str(resume),
    }
