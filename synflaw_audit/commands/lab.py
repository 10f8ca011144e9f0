"""The command ``synflaw lab``; imports the lab itself only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synflaw_audit.commands.console import stderr, stdout
from synflaw_audit.errors import InputError


def lab(
    preset: Annotated[str, typer.Option(help="How large: tiny, small or medium.")] = "tiny",
    world: Annotated[
        list[str] | None,
        typer.Option(help="bound, leaking or overwritten; may be repeated. All if not given."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Take our repair apart instead of comparing it.")
    ] = False,
    methods: Annotated[
        bool, typer.Option("--methods", help="Compare the other methods that repair has instead.")
    ] = False,
    control: Annotated[
        bool, typer.Option(help="Train a control too, on the same facts, told as asked for.")
    ] = True,
    stages: Annotated[
        Path | None,
        typer.Option(
            help="A folder to keep trained stages in, for other runs.", show_default=False
        ),
    ] = None,
    retrained: Annotated[
        bool, typer.Option(help="Re-train the base model with the fixed corpus too.")
    ] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Try the learning rates of the arms that are tuned.")
    ] = False,
    tuned: Annotated[bool, typer.Option(help="Measure after an instruction tuning too.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A JSON file for every outcome; what it holds already is not measured again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Damage a small model in a world of invented facts, repair it in several ways, and compare.

    Prints, for each world, the mean and the standard deviation over the seeds. "control" is trained
    on the same facts and questions, answered in the form asked for.
    """
    from synflaw_audit import repair  # noqa: F401 -- tells at once if the extra is missing
    from synflaw_audit.lab.arms import ABLATION, ARMS, METHODS, PRESETS, WORLDS
    from synflaw_audit.lab.run import Lab
    from synflaw_audit.lab.tables import as_json, read_outcomes, table

    if preset not in PRESETS:
        raise InputError(f"--preset {preset}: choose one of {', '.join(PRESETS)}")
    names = [each.name for each in WORLDS]
    unknown = [name for name in world or () if name not in names]
    if unknown:
        raise InputError(f"--world {unknown[0]}: choose one of {', '.join(names)}")
    chosen = [each for each in WORLDS if not world or each.name in world]
    notes = stderr()
    arms = (*(ABLATION if ablation else ()), *(METHODS if methods else ())) or ARMS
    if sweep:
        # What is not tuned first: the others are held against it.
        order = sorted(arms, key=lambda arm: bool(arm.tuned))
        arms = tuple(variant for arm in order for variant in arm.variants())
    known = read_outcomes(out) if out is not None else []
    outcomes = []
    setting = Lab(
        PRESETS[preset],
        chosen,
        arms,
        notes.print,
        control=control,
        retrained=retrained,
        tuned=tuned,
        stages=stages,
        known=known,
    )
    for outcome in setting.run(range(first_seed, first_seed + seeds)):
        outcomes.append(outcome)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(as_json(outcomes), encoding="utf-8")
    console = stdout()
    for each in chosen:
        for tuned in (False, True):
            console.print(table(outcomes, each.name, tuned=tuned))
            console.print()
