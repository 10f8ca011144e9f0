"""What ``synflaw repair`` does without measuring: list the methods, or merge models and no more."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from synflaw_audit.commands.console import stdout
from synflaw_audit.untrusted import on_one_line

if TYPE_CHECKING:
    from synflaw_audit.repair import RepairConfig


def list_methods(*, as_json: bool) -> None:
    """Every method and option: what it does, what it needs, what it costs, what was measured."""
    from synflaw_audit.repair.methods.described import ways
    from synflaw_audit.repair.methods.table import BASE, DAMAGED, measured, summary

    found, table = list(ways()), measured()
    if as_json:
        said: dict[str, Any] = {"measured": asdict(table), "methods": [asdict(w) for w in found]}
        typer.echo(json.dumps(said, indent=2))
        return
    for way in found:
        needs = ", ".join(way.needs) or "nothing"
        _say(f"{way.name}  {way.asked}", "bold")
        _say(f"  {way.description.does}")
        _say(f"  needs: {needs}; costs: {way.cost}")
        arms = [arm for arm in way.arms if arm.runs]
        for arm in arms:
            _say(f"  measured, {arm.name}: {summary(arm.figures)}")
        if not arms:
            _say("  not measured")
    known = [arm for arm in table.arms if arm.name in (BASE, DAMAGED) and arm.runs]
    for arm in known:
        _say(f"{arm.name}: {summary(arm.figures)}")
    if known:
        _say(
            f"{table.model}, damaged by {', '.join(table.corpora)}; {len(table.seeds)} seed, "
            f"{table.tokens:,} tokens, commit {table.commit}, {table.machine}"
        )


def merge_only(
    model: str, base: str | None, out: Path, settings: RepairConfig, *, as_json: bool, quiet: bool
) -> None:
    """Merge from files to files; nothing is loaded and nothing is measured."""
    from synflaw_audit.repair.methods.merge.merging import merge
    from synflaw_audit.repair.methods.merge.rules import Rule

    rule = Rule(settings.merge_rule, settings.merge_weight, settings.merge_density, settings.seed)
    found = merge(model, base=base, others=settings.merge_with or (), out=out, rule=rule)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "out": str(out)}, indent=2))
    elif not quiet:
        _say(found.described())
        _say(f"Merged, not measured: {out}")


def _say(line: str, style: str = "") -> None:
    from rich.text import Text

    stdout().print(Text(on_one_line(line), style=style), soft_wrap=True)
