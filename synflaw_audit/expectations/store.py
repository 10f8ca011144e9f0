"""The hook: an expectations store that loads a suite of ours whole or not at all.

Great Expectations drops a stored expectation whose type no imported module defines, logs it, and
goes on: in a process that does not import this package a suite of ours loads empty and *passes*,
and saving that suite erases our expectations from disk. A project that names this module in
``great_expectations.yml`` ::

    stores:
      expectations_store:
        class_name: ExpectationsStore
        module_name: synflaw_audit.expectations.store

is safe in both directions. Opening the project imports this package, so the types exist; a type
that still does not resolve is an error. And every suite of ours is stored with a seal, a key that
Great Expectations' own store does not know and therefore refuses: take the hook out of the project
and the suite does not load at all.

The store keeps Great Expectations' constructor, whose arguments it reads from the signature.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synflaw_audit.expectations.compat import (
    DataContextRequiredError,
    ExpectationNotFoundError,
    GXExpectationsStore,
    InMemoryStoreBackend,
    get_expectation_impl,
    project_manager,
)
from synflaw_audit.expectations.errors import FIX, UnhookedProjectError, UnresolvedExpectationError

# Every expectation that we ship is stored under such a type. A subclass of one is called as its
# author likes, so a type is ours by its class; by this only where no imported module defines it.
TYPE_PREFIX = "expect_synflaw_"

# The name is the message: it is all that an unhooked process shows of why the suite does not load.
SEAL = "needs_plugin_synflaw_audit__run_synflaw_gx_init"


class Sealed:
    """Base of the expectations that a suite must not lose, subclasses of a user's included."""


class ExpectationsStore(GXExpectationsStore):
    """Great Expectations' store, strict about expectation types and sealing suites of ours."""

    def serialize(self, value: Any) -> Any:
        """As Great Expectations does, with the seal where the suite holds expectations of ours."""
        stored = super().serialize(value)
        if self.cloud_mode:  # the service has a schema of its own and stores no key of ours
            return stored
        suite = json.loads(stored)
        count = count_ours(suite)
        if not count:
            return stored
        suite[SEAL] = {"expectations": count}
        return json.dumps(suite, indent=2, sort_keys=True)

    def deserialize(self, value: Any) -> Any:
        """As Great Expectations does, once every expectation type is known to resolve.

        Raises:
            UnresolvedExpectationError: No imported package defines one of the types.
        """
        suite = json.loads(value) if isinstance(value, str) else dict(value)
        suite.pop(SEAL, None)
        missing = sorted({kind for kind in types(suite) if not resolves(kind)})
        if missing:
            raise UnresolvedExpectationError(
                f"expectation suite {suite.get('name')!r} holds {', '.join(missing)}, which "
                "nothing imported in this process defines. Great Expectations would drop it and "
                "pass; import the package that defines it (an older one, after an upgrade), or "
                "delete it from the suite's file on purpose"
            )
        return super().deserialize(suite)


def types(suite: dict[str, Any]) -> list[str]:
    """The expectation types of a stored suite, in its order."""
    return [str(expectation.get("type")) for expectation in suite.get("expectations") or []]


def count_ours(suite: dict[str, Any]) -> int:
    """How many expectations of ours a stored suite holds."""
    return sum(map(is_ours, types(suite)))


def count_stored(suite: dict[str, Any]) -> int:
    """How many of ours a suite held when it was sealed, or holds now, whichever is more."""
    sealed = (suite.get(SEAL) or {}).get("expectations", 0)
    return max(int(sealed), count_ours(suite))


def is_ours(expectation_type: str) -> bool:
    """Whether an expectation type is one of ours, or derived from one."""
    if (found := _class_of(expectation_type)) is None:
        return expectation_type.startswith(TYPE_PREFIX)
    return issubclass(found, Sealed)


def resolves(expectation_type: str) -> bool:
    """Whether Great Expectations finds a class for this type in this process."""
    return _class_of(expectation_type) is not None


def _class_of(expectation_type: str) -> type | None:
    try:
        found: type = get_expectation_impl(expectation_type)
    except ExpectationNotFoundError:
        return None
    return found


def raw_suite(store: Any, name: str) -> dict[str, Any] | None:
    """A suite as it lies in the store, seal and unresolvable types included; None if not there."""
    key = store.get_key(name=name)
    if store.cloud_mode or not store.has_key(key):
        return None
    suite: dict[str, Any] = json.loads(store.store_backend.get(store.key_to_tuple(key)))
    return suite


def project_root(store: Any) -> Path | None:
    """The folder of the project whose suites lie in this store; None if they are not on disk."""
    root = store.store_backend.config.get("root_directory")
    return Path(root) if root else None


def require_hook(suite: Any) -> None:
    """Refuse to let an expectation of ours into a project that would lose it silently.

    Args:
        suite: The suite that holds the expectation, or None for the current project.

    Raises:
        UnhookedProjectError: Suites are stored on disk (or in a bucket), and not by our store.
    """
    try:
        # A suite being built has no owner yet; in releases that know no owners, none ever has.
        owned = getattr(suite, "_owner", None) is not None
        store = suite._store if owned else project_manager.get_expectations_store()
    except (
        DataContextRequiredError
    ):  # no project yet: nothing is stored, and storing comes by here again
        return
    forgetful = isinstance(store.store_backend, InMemoryStoreBackend)
    if isinstance(store, ExpectationsStore) or forgetful or store.cloud_mode:
        return
    root = project_root(store)
    where = f"the project at {root}" if root else f"the store {store.store_name!r}"
    raise UnhookedProjectError(
        f"{where} does not load synflaw-audit's expectations by itself: a process that does not "
        f"import them would find the suite empty and pass. To fix it, {FIX}"
    )
