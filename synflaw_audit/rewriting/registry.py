"""The rewriters by name; a name that none has is that of a model, or the address of an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from synflaw_audit.errors import InputError
from synflaw_audit.registry import Registry
from synflaw_audit.rewriting.base import Rewriter
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.settings import RewriteSettings

# What ``--rewrite-with`` may name besides; each is called with ``corpus``, a ``Natural``, and
# ``seed``.
# ``seed``.
REWRITERS: Registry[Callable[..., Rewriter]] = Registry(
    "rewriter",
    "synflaw_audit.rewriters",
    {"rules": "synflaw_audit.rewriting.generators.rules:Rules"},
    error=InputError,
)


def rewriter_named(name: str, corpus: Natural, settings: RewriteSettings) -> Rewriter:
    """The rewriter for ``--rewrite-with NAME``.

    Args:
        name: Of a rewriter; the address of an endpoint, which begins with http:// or https://; or
            of a causal language model.
        corpus: What is to be rewritten.
        settings: What the rewriting is told.

    Raises:
        InputError: There is nearly one of that name, the model cannot be loaded, or the endpoint
            does not say which it serves.
        PluginError: A package adds a rewriter of that name, and it cannot be used.
    """
    # A name that is nearly one of these is a slip, and no model to be looked for on a hub.
    if name in REWRITERS or get_close_matches(name, list(REWRITERS), cutoff=0.75):
        return REWRITERS.find(name)(corpus=corpus, seed=settings.seed)
    from synflaw_audit.rewriting.generators.prompted import prompted

    return prompted(name, corpus, settings)
