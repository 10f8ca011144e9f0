"""Put the hook into a Great Expectations project.

``init`` edits ``great_expectations.yml`` in place, comments kept, and seals the suites that are
already stored; a second run changes nothing. The project's files are read as they are, without
opening it; ``doctor`` checks them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from synflaw_audit.expectations import store as hook
from synflaw_audit.expectations.errors import ProjectError
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
    config, text = read_config(root)
    section = store_section(config, root)
    if not is_hooked(section):
        _refuse_foreign_store(section, root)
        write_text(root / CONFIG, _with_hook(text, section, root / CONFIG))
        changes.append(ProjectChange(root / CONFIG, f"stores.*.module_name = {MODULE}"))
    changes.extend(_seal(path, suite) for path, suite in stored_suites(root) if _unsealed(suite))
    return changes


def read_config(root: Path) -> tuple[Any, str]:
    """The configuration of a project, and the text that it is read from.

    Raises:
        ProjectError: It is not readable.
    """
    path = root / CONFIG
    text = path.read_text(encoding="utf-8")
    try:
        config = YAML().load(text)
    except YAMLError as error:
        raise ProjectError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(config, dict):
        raise ProjectError(f"{path} is not a Great Expectations configuration")
    return config, text


def store_section(config: Any, root: Path) -> Any:
    """The configuration of the store that holds the suites.

    Raises:
        ProjectError: There is none.
    """
    name = config.get("expectations_store_name", "expectations_store")
    stores = config.get("stores") or {}
    section = stores.get(name)
    if not isinstance(section, dict) or "class_name" not in section:
        raise ProjectError(
            f"{root / CONFIG}: stores.{name} (named by expectations_store_name) is not there or "
            f"has no class_name; stores found: {', '.join(map(str, stores)) or 'none'}"
        )
    return section


def is_hooked(section: Any) -> bool:
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
        found = store_section(YAML().load(hooked), path.parent)
    except (YAMLError, ProjectError):
        found = {}
    if not (found and is_hooked(found)):
        raise ProjectError(
            f"{path}: the expectations store is not written one key a line, so it is not edited; "
            f"add to it by hand: module_name: {MODULE}"
        )
    return hooked


def stored_suites(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every suite in the project's folder, as it lies on disk."""
    config, _ = read_config(root)
    backend = store_section(config, root).get("store_backend") or {}
    base = root / str(backend.get("base_directory", "expectations/"))
    return ((path, suite) for path, suite in stored(base) if "expectations" in suite)


def stored(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every JSON object below a folder of a project, by path.

    Raises:
        ProjectError: A file is not valid JSON.
    """
    for path in sorted(folder.rglob("*.json")):
        if isinstance(found := _json(path), dict):
            yield path, found


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
