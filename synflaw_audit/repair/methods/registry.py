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
        "distill": "synflaw_audit.repair.methods.distill.method:Distill",
        "merge": "synflaw_audit.repair.methods.merge.method:Merge",
        "task-negation": "synflaw_audit.repair.methods.task_negation:TaskNegation",
        "wise-ft": "synflaw_audit.repair.methods.wise_ft:WiSEFT",
    },
    requires=("requires", "prepare", "apply", "cost"),
    error=RepairError,
)


# What a repair is where nothing is said.
USUAL = "forgetting"


def named(method: str) -> list[str]:
    """The names of the methods that a setting such as "merge+forgetting" names, in their order.

    Raises:
        RepairError: There is no such method; names the choices.
    """
    names = method.split("+")
    for name in names:
        if name in LOSSES:
            raise RepairError(f"{name} is a forgetting loss, not a method: give it as loss {name}")
        METHODS.find(name)
    return names


def chosen_methods(
    config: RepairConfig, *, earlier_model: bool, base: bool = False
) -> list[Method]:
    """The methods that the settings name, in their order.

    Args:
        config: The settings.
        earlier_model: Whether a reference model is given.
        base: Whether it is known what the model was fine-tuned from, beside a reference model.

    Raises:
        RepairError: There is no such method, it lacks what it requires, or a setting belongs to a
            method that is not named; names the choices.
    """
    names = named(config.method or USUAL)
    for name in names:
        missing = unmet(METHODS[name], config, earlier_model=earlier_model, base=base)
        if missing:
            needs = ", ".join(need.value for need in missing)
            raise RepairError(f"method {name} needs {needs}")
    for name, setting in (("task-negation", "task_negation"), ("wise-ft", "wise_ft_alpha")):
        given = getattr(config, setting)
        if given is not None and name not in names:
            raise RepairError(
                f"{setting} is {given}, and the method is {'+'.join(names)}: name the method too, "
                f"as in {names[0]}+{name}"
            )
    if config.merge_with and "merge" not in names:
        raise RepairError(
            f"other models to merge with are given, and the method is {'+'.join(names)}: name "
            "the method too (merge)"
        )
    return [METHODS[name]() for name in names]


def unmet(
    method: type[Method], config: RepairConfig, *, earlier_model: bool, base: bool
) -> list[Requirement]:
    """What a method requires that is not at hand."""
    at_hand = {
        Requirement.EARLIER_MODEL: earlier_model,
        Requirement.ALL_WEIGHTS: not config.lora,
        Requirement.WHOLE_WEIGHTS: config.lora_merge and not config.load_in,
        Requirement.BASE_MODEL: base or earlier_model,
        Requirement.OTHER_MODELS: bool(config.merge_with),
    }
    return sorted(
        (need for need in method.requires if not at_hand[need]), key=lambda need: need.value
    )
