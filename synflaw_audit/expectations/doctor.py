"""Check that a Great Expectations project cannot pass by accident.

The project's files are read as they are, so that this also sees what opening the project would
hide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synflaw_audit.expectations import store as hook
from synflaw_audit.expectations.action import ACTION_TYPE
from synflaw_audit.expectations.errors import FIX
from synflaw_audit.expectations.project import (
    CONFIG,
    find_project,
    is_hooked,
    read_config,
    store_section,
    stored,
    stored_suites,
)

ON_DISK = "TupleFilesystemStoreBackend"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a project; an "error" can let a run pass with nothing evaluated."""

    level: Literal["error", "warning"]
    where: str
    what: str
    fix: str


@dataclass(frozen=True)
class SuiteState:
    """A stored suite: how many expectations it holds, how many are ours, and which are lost."""

    name: str
    expectations: int
    ours: int
    sealed: int | None
    unresolved: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` found."""

    root: Path
    hooked: bool
    suites: tuple[SuiteState, ...]
    guarded_checkpoints: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def healthy(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.level != "error" for problem in self.problems)


def diagnose(directory: Path) -> Diagnosis:
    """Check a project without opening it.

    Raises:
        ProjectError: There is no project or its configuration is not readable.
    """
    root = find_project(directory)
    config, _ = read_config(root)
    hooked = is_hooked(store_section(config, root))
    suites = tuple(_state(suite) for _, suite in stored_suites(root))
    guarded = tuple(_guarded_checkpoints(root))
    problems = [
        *_config_problems(root, config, hooked),
        *_suite_problems(suites),
        *_checkpoint_problems(root),
    ]
    if any(suite.ours for suite in suites) and not guarded:
        problems.append(
            Problem(
                "warning",
                "checkpoints",
                "no checkpoint has the WriteFlaggedSubsetAction, so nothing guards the number of "
                "expectations a run evaluates and no flagged subset is written",
                "add synflaw_audit.expectations.WriteFlaggedSubsetAction to the checkpoint",
            )
        )
    return Diagnosis(root, hooked, suites, guarded, tuple(problems))


def _config_problems(root: Path, config: Any, hooked: bool) -> Iterator[Problem]:
    if not hooked:
        yield Problem(
            "error",
            CONFIG,
            "the hook is missing: a process that does not import synflaw_audit.expectations "
            "cannot load the suites, or loads them empty and passes",
            f"synflaw gx init {root}",
        )
    backend = (store_section(config, root).get("store_backend") or {}).get("class_name")
    if backend != ON_DISK:
        yield Problem(
            "warning",
            CONFIG,
            f"the suites lie in a {backend}, which is not read here; only the hook was checked",
            "open the project with great_expectations.get_context and list context.suites.all(): "
            "with the hook, a suite that would not load whole raises",
        )


def _suite_problems(suites: tuple[SuiteState, ...]) -> Iterator[Problem]:
    for suite in suites:
        where = f"suite {suite.name!r}"
        if suite.unresolved:
            yield Problem(
                "error",
                where,
                f"no installed package defines {', '.join(suite.unresolved)}",
                "install or import the package that does, or delete them from the suite",
            )
        if suite.ours and suite.sealed is None:
            yield Problem("error", where, "was stored without the hook and carries no seal", FIX)
        if suite.sealed is not None and suite.ours < suite.sealed:
            yield Problem(
                "error",
                where,
                f"holds {suite.ours} of the {suite.sealed} synflaw expectations that were stored",
                "restore the suite's file, or save the suite once if they were meant to go",
            )


def _state(suite: dict[str, Any]) -> SuiteState:
    kinds = hook.types(suite)
    sealed = suite.get(hook.SEAL)
    return SuiteState(
        name=str(suite.get("name")),
        expectations=len(kinds),
        ours=hook.count_ours(suite),
        sealed=None if sealed is None else int(sealed.get("expectations", 0)),
        unresolved=tuple(sorted({kind for kind in kinds if not hook.resolves(kind)})),
    )


def _guarded_checkpoints(root: Path) -> Iterator[str]:
    for _, checkpoint in stored(root / "checkpoints"):
        actions = checkpoint.get("actions") or []
        if any(action.get("type") == ACTION_TYPE for action in actions):
            yield str(checkpoint.get("name"))


def _checkpoint_problems(root: Path) -> Iterator[Problem]:
    """Checkpoints of which Great Expectations would keep fewer results than validations ran."""
    definitions = {
        str(found.get("name")): found for _, found in stored(root / "validation_definitions")
    }
    for _, checkpoint in stored(root / "checkpoints"):
        named = [str(one.get("name")) for one in checkpoint.get("validation_definitions") or []]
        shared = Counter(_validated(definitions[name]) for name in named if name in definitions)
        for (suite, source, asset), number in shared.items():
            if number > 1:
                yield Problem(
                    "error",
                    f"checkpoint {checkpoint.get('name')!r}",
                    f"{number} validations of suite {suite!r} are of asset {asset!r} of "
                    f"{source!r}: where their batches have one id, as paths of one asset do, Great "
                    "Expectations keeps the result of the last alone",
                    "give each an asset, or a checkpoint, of its own",
                )


def _validated(definition: dict[str, Any]) -> tuple[str, str, str]:
    """The suite, data source and asset of a stored validation definition."""
    data = definition.get("data") or {}
    parts = (definition.get("suite"), data.get("datasource"), data.get("asset"))
    suite, source, asset = (str((part or {}).get("name")) for part in parts)
    return suite, source, asset
