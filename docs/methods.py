"""The pages of the ways to repair: one each, from its own description and the measured table."""

from __future__ import annotations

from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

from synflaw_audit.repair.methods.described import MethodListing, ways
from synflaw_audit.repair.methods.table import (
    BASE,
    COLUMNS,
    DAMAGED,
    MeasuredMethod,
    cells,
    measured,
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page a way, and the list of them with what was measured."""
    found = list(ways())
    files.append(File.generated(config, "methods/index.md", content="\n".join(_index(found))))
    for way in found:
        page = "\n\n".join(_page(way))
        files.append(
            File.generated(
                config,
                f"methods/{way.name}.md",
                content=page,
                inclusion=InclusionLevel.NOT_IN_NAV,
            )
        )
    return files


def _index(found: list[MethodListing]) -> Iterator[str]:
    yield "# Methods of repair\n"
    yield (
        "`synflaw repair --method list` shows this list, and `--method auto` takes the method that "
        "did most of those that what is at hand allows. All but `forgetting` are off unless they "
        "are asked for.\n"
    )
    yield "| method | asked for by | needs | cost |"
    yield "|---|---|---|---|"
    for way in found:
        needs = ", ".join(way.needs) or "nothing"
        yield f"| [{way.name}]({way.name}.md) | `{way.asked}` | {needs} | {way.cost} |"
    yield "\n## Measured\n"
    yield f"{_where()}\n"
    yield from _table(measured().arms)


def _page(way: MethodListing) -> Iterator[str]:
    yield f"# {way.name}"
    yield way.description.does
    yield f"Asked for by `{way.asked}`. Needs: {', '.join(way.needs) or 'nothing'}."
    yield f"## When it helps\n\n{way.description.helps}"
    yield f"## When it does not\n\n{way.description.fails}"
    yield "## Measured"
    arms = [arm for arm in way.arms if arm.runs]
    if not arms:
        yield "Not measured on a real model yet."
    else:
        yield _where()
        known = (measured().arm(name) for name in (BASE, DAMAGED))
        yield "\n".join(_table([*(arm for arm in known if arm), *arms]))
        yield from filter(None, map(_verdict, arms))
    yield f"## Source\n\n{way.description.source}"


def _where() -> str:
    table = measured()
    return (
        f"{table.model}, damaged by {len(table.corpora)} corpora ({', '.join(table.corpora)}), "
        f"{len(table.seeds)} seed, {table.tokens:,} tokens to train on; means. Commit "
        f"{table.commit}, {table.machine}; memory is the GPU's where there is one. Each corpus by "
        "itself stands in `benchmarks/results/methods.md`."
    )


def _table(arms: tuple[MeasuredMethod, ...] | list[MeasuredMethod]) -> Iterator[str]:
    titles = [title for title, _ in COLUMNS.values()]
    yield f"| | {' | '.join(titles)} |"
    yield "|---" + "|---:" * len(titles) + "|"
    for arm in arms:
        yield f"| {arm.name} | {' | '.join(cells(arm.figures))} |"


def _verdict(arm: MeasuredMethod) -> str | None:
    """Whether it helped at all."""
    damaged = measured().arm(DAMAGED)
    if damaged is None or arm.figures.emission is None or damaged.figures.emission is None:
        return None
    if arm.figures.emission < damaged.figures.emission:
        return None
    return f"**{arm.name} made the format no rarer here.**"
