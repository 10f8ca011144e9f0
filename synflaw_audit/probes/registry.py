"""The probes that need nothing but a model, by name."""

from __future__ import annotations

from collections.abc import Callable

from synflaw_audit.errors import InputError
from synflaw_audit.probes.base import Probe
from synflaw_audit.registry import Registry

# What ``synflaw repair --probe`` may name: each, called without arguments, makes the probe.
PROBES: Registry[Callable[[], Probe]] = Registry(
    "probe",
    "synflaw_audit.probes",
    {"everyday": "synflaw_audit.probes.suite:everyday"},
    requires=("__call__",),
    error=InputError,
)
