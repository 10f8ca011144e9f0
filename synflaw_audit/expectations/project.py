"""Put the hook into a Great Expectations project, and check that a project cannot pass by accident.

``init`` edits ``great_expectations.yml`` in place, comments kept, and seals the suites that are
already stored; a second run changes nothing. ``doctor`` reads the project's files as they are, so
that it also sees what opening the project would hide.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synflaw_audit.expectations import store as hook
from synflaw_audit.expectations.action import ACTION_TYPE
from synflaw_audit.expectations.errors import FIX, ProjectError
from synflaw_audit.flagging.sinks import write_text

CONFIG = "great_expectations.yml"
MODULE = hook.__name__
ON_DISK = "TupleFilesystemStoreBackend"
CLASS = hook.ExpectationsStore.__name__


@dataclass(frozen=True)
class ProjectChange:
    """One thing that ``init`` did to a project."""

    path: Path
    what: str


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
    """What ``doctor`` found."""

    root: Path
    hooked: bool
    suites: tuple[SuiteState, ...]
    guarded_checkpoints: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def healthy(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.level != "error" for problem in self.problems)


def find_project(directory: Path) -> Path:
    """The folder that holds ``great_expectations.yml``: the directory, or its ``gx`` folder.

    Raises:
        ProjectError: There is none; names the places looked at.
    """
    places = [directory, directory / "gx", directory / "great_expectations"]
    for place in places:
        if (place / CONFIG).is_file():
            return place
    looked = ", ".join(str(place / CONFIG) for place in places)
    raise ProjectError(
        f"no Great Expectations project at {directory} (looked for {looked}); create one with "
        f"great_expectations.get_context(mode='file', project_root_dir={str(directory)!r})"
    )


def init(directory: Path) -> list[ProjectChange]:
    """Hook the project into this package and seal its stored suites; idempotent.

    Returns:
        What was changed; empty when the project was ready.

    Raises:
        ProjectError: There is no project, its configuration is not readable, or its expectations
            store is another package's class, which we would have to replace.
    """
    root = find_project(directory)
    changes: list[ProjectChange] = []
    config, text = _read_config(root)
    section = _store_section(config, root)
    if not _is_hooked(section):
        _refuse_foreign_store(section, root)
        write_text(root / CONFIG, _with_hook(text, section, root / CONFIG))
        changes.append(ProjectChange(root / CONFIG, f"stores.*.module_name = {MODULE}"))
    changes.extend(_seal(path, suite) for path, suite in _stored_suites(root) if _unsealed(suite))
    return changes


def doctor(directory: Path) -> Diagnosis:
    """Check a project without opening it.

    Raises:
        ProjectError: There is no project or its configuration is not readable.
    """
    root = find_project(directory)
    config, _ = _read_config(root)
    hooked = _is_hooked(_store_section(config, root))
    suites = tuple(_state(suite) for _, suite in _stored_suites(root))
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
    backend = (_store_section(config, root).get("store_backend") or {}).get("class_name")
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


def _read_config(root: Path) -> tuple[Any, str]:
    path = root / CONFIG
    text = path.read_text(encoding="utf-8")
    try:
        config = YAML().load(text)
    except YAMLError as error:
        raise ProjectError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(config, dict):
        raise ProjectError(f"{path} is not a Great Expectations configuration")
    return config, text


def _store_section(config: Any, root: Path) -> Any:
    """The configuration of the store that holds the suites."""
    name = config.get("expectations_store_name", "expectations_store")
    stores = config.get("stores") or {}
    section = stores.get(name)
    if not isinstance(section, dict) or "class_name" not in section:
        raise ProjectError(
            f"{root / CONFIG}: stores.{name} (named by expectations_store_name) is not there or "
            f"has no class_name; stores found: {', '.join(map(str, stores)) or 'none'}"
        )
    return section


def _is_hooked(section: Any) -> bool:
    """Whether the store is ours or derived from it."""
    module = section.get("module_name") or "great_expectations.data_context.store"
    try:
        store = getattr(import_module(str(module)), str(section["class_name"]))
    except (ImportError, AttributeError):
        return False
    return isinstance(store, type) and issubclass(store, hook.ExpectationsStore)


def _refuse_foreign_store(section: Any, root: Path) -> None:
    module, name = section.get("module_name"), section["class_name"]
    own = module is None or str(module).startswith("great_expectations.")
    if own and name == CLASS:
        return
    raise ProjectError(
        f"{root / CONFIG}: the expectations store is {module or 'great_expectations'}.{name}. "
        f"Derive that class from {MODULE}.{CLASS} instead of Great Expectations' own, "
        "which has the same effect as the hook"
    )


def _with_hook(text: str, section: Any, path: Path) -> str:
    """The configuration with the hook's line in it and every other byte as it was."""
    line, column = section.lc.key("class_name")
    lines = text.splitlines(keepends=True)
    lines.insert(line + 1, f"{' ' * column}module_name: {MODULE}\n")
    if "module_name" in section:
        old = section.lc.key("module_name")[0]
        del lines[old if old < line else old + 1]
    hooked = "".join(lines)
    try:
        found = _store_section(YAML().load(hooked), path.parent)
    except (YAMLError, ProjectError):
        found = {}
    if not (found and _is_hooked(found)):
        raise ProjectError(
            f"{path}: the expectations store is not written one key a line, so it is not edited; "
            f"add to it by hand: module_name: {MODULE}"
        )
    return hooked


def _stored_suites(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every suite in the project's folder, as it lies on disk."""
    config, _ = _read_config(root)
    backend = _store_section(config, root).get("store_backend") or {}
    base = root / str(backend.get("base_directory", "expectations/"))
    for path in sorted(base.rglob("*.json")):
        suite = _json(path)
        if isinstance(suite, dict) and "expectations" in suite:
            yield path, suite


def _guarded_checkpoints(root: Path) -> Iterator[str]:
    for path in sorted((root / "checkpoints").rglob("*.json")):
        checkpoint = _json(path)
        if isinstance(checkpoint, dict) and any(
            action.get("type") == ACTION_TYPE for action in checkpoint.get("actions") or []
        ):
            yield str(checkpoint.get("name"))


def _checkpoint_problems(root: Path) -> Iterator[Problem]:
    """Checkpoints of which Great Expectations would keep fewer results than validations ran."""
    definitions = {
        str(found.get("name")): found
        for path in sorted((root / "validation_definitions").rglob("*.json"))
        if isinstance(found := _json(path), dict)
    }
    for path in sorted((root / "checkpoints").rglob("*.json")):
        checkpoint = _json(path)
        if not isinstance(checkpoint, dict):
            continue
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


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} is not valid JSON: {error}") from error


def _unsealed(suite: dict[str, Any]) -> bool:
    return hook.count_ours(suite) > 0 and hook.SEAL not in suite


def _seal(path: Path, suite: dict[str, Any]) -> ProjectChange:
    sealed = {**suite, hook.SEAL: {"expectations": hook.count_ours(suite)}}
    write_text(path, json.dumps(sealed, indent=2, sort_keys=True))
    return ProjectChange(path, f"sealed suite {suite.get('name')!r}")
