"""The methods of repair by name, and those that the settings ask for."""

from __future__ import annotations

from synflaw_audit.errors import RepairError
from synflaw_audit.registry import Registry
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.losses import LOSSES
from synflaw_audit.repair.methods.base import Method, Requirement

METHODS: Registry[type[Method]] = Registry(
    kind="method of repair",
    group="synflaw_audit.methods",
    own={
        "forgetting": "synflaw_audit.repair.methods.forgetting.method:Forgetting",
        "ftpo": "synflaw_audit.repair.methods.preference.method:FTPO",
        "dpo": "synflaw_audit.repair.methods.preference.method:DPO",
        "simpo": "synflaw_audit.repair.methods.preference.method:SimPO",
        "jensun": "synflaw_audit.repair.methods.preference.method:JensUn",
        "task-negation": "synflaw_audit.repair.methods.task_negation:TaskNegation",
    },
    requires=("requires", "prepare", "apply", "cost"),
    error=RepairError,
)


def chosen_methods(config: RepairConfig, *, earlier_model: bool) -> list[Method]:
    """The methods that the settings name, in their order.

    Args:
        config: The settings.
        earlier_model: Whether a reference model is given.

    Raises:
        RepairError: There is no such method, it lacks what it requires, or a setting belongs to a
            method that is not named; names the choices.
    """
    names = config.method.split("+")
    for name in names:
        if name in LOSSES:
            raise RepairError(f"{name} is a forgetting loss, not a method: give it as loss {name}")
        missing = [
            need.value
            for need in METHODS.find(name).requires
            if (need is Requirement.EARLIER_MODEL and not earlier_model)
            or (need is Requirement.ALL_WEIGHTS and config.lora)
        ]
        if missing:
            raise RepairError(f"method {name} needs {', '.join(missing)}")
    if config.task_negation is not None and "task-negation" not in names:
        raise RepairError(
            f"task_negation is {config.task_negation}, and the method is {config.method}: name "
            f"the method too, as in {config.method}+task-negation"
        )
    return [METHODS[name]() for name in names]
