"""What the lab compares: worlds that are damaged in different ways, and ways to repair them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from synflaw_audit.lab.tiny import Hyperparameters, Size


@dataclass(frozen=True)
class DamagedWorld:
    """A world, by how many instructions the continued training still holds.

    Attributes:
        name: What it is called.
        what: What goes wrong in it.
        instructed: How many times the preset's number of rows with instructions stand among the
            ordinary rows of the continued training.
    """

    name: str
    what: str
    instructed: float


WORLDS = (
    DamagedWorld("bound", "the format is bound to the facts learned through it", 7.5),
    DamagedWorld("leaking", "the format leaks into prompts where it has no place", 1.0),
    DamagedWorld("overwritten", "following instructions is overwritten", 0.0),
)


@dataclass(frozen=True)
class RepairArm:
    """One way to repair.

    Attributes:
        name: What it is called.
        settings: Fields of ``RepairConfig`` that differ from the defaults of ``synflaw repair``.
        against_base: Whether the repair is given the base model, from before the damage.
        tuned: Which of the settings are swept in the tuning worlds, with the values; what the
            command does by itself is not.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    against_base: bool = False
    tuned: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def variants(self) -> Iterator[RepairArm]:
        """One treatment for each combination of the values to be tried; itself without any."""
        for values in product(*self.tuned.values()):
            chosen = dict(zip(self.tuned, values, strict=True))
            said = "".join(f", {name} {value:g}" for name, value in chosen.items())
            yield RepairArm(self.name + said, {**self.settings, **chosen}, self.against_base)


# What is tried in the tuning worlds, seeds 5 and 6, which no table of results holds. Of each arm
# that rate is set which recovers most of the known and unknown forms together, before the
# instruction tuning, of those that keep four fifths of the new facts; where none does, of all. That
# was stated before the sweep; what other rates do is told in ``benchmarks/results/lab.md``.
_RATES = {"learning_rate": (3e-5, 1e-4, 3e-4, 1e-3)}
# The command undoes a run that raises the perplexity; the usual ways are to be seen as they are.
_UNGUARDED = {"checks": 0}
# What they do without. They replay the same rows, as many, with as many requests.
_USUAL = {**_UNGUARDED, "bias_weight": 0.0, "leaks": 0}
_ONLY = {**_USUAL, "forget_weight": 0.0, "retain_weight": 0.0, "replay_ratio": 40.0}
_REPLAY = {**_ONLY, "renderings": 0}
_ANSWERS = {**_USUAL, "scope": "answer"}


def _swept(
    name: str, settings: Mapping[str, Any], rate: float, *, against_base: bool = False
) -> RepairArm:
    """An arm whose learning rate was chosen in the tuning worlds."""
    return RepairArm(name, {**settings, "learning_rate": rate}, against_base, _RATES)


OURS = RepairArm("ours by default")
ARMS = (
    _swept("replay only", {**_REPLAY, "replay_requests": 0.0}, 3e-4),
    _swept("replay only, with requests", _REPLAY, 3e-5),
    _swept("lower-bounded, answers", _ANSWERS, 3e-5),
    _swept("NPO, answers", {**_ANSWERS, "loss": "npo"}, 3e-5),
    _swept("FTPO", {**_UNGUARDED, "method": "ftpo"}, 1e-4),
    _swept("SimPO", {**_UNGUARDED, "method": "simpo"}, 1e-4),
    OURS,
    RepairArm("ours by default, with the base", against_base=True),
    *(
        RepairArm(f"ours with the base, its share {share:g}", {"wise_ft_alpha": 1 - share}, True)
        for share in (0.5, 0.3, 0.15)
    ),
    _swept("ours, rate swept", {}, 3e-5),
    RepairArm(
        "ours, the lab's former settings",
        {
            **_UNGUARDED,
            "learning_rate": 5e-4,
            "lr_scheduler_type": "cosine",
            "adam_beta2": 0.98,
            "renderings": 20,
            "replay_requests": 0.7,
            "retain_weight": 2.0,
            "bias_weight": 0.5,
            "forget_weight": 0.05,
            "forget_decay": 1.0,
            "opening_weight": 1.0,
            "leaks": 0,
        },
    ),
)
# What else `synflaw repair --method list` names, where the corpus, ordinary rows and the base model
# are all there is. To merge or to average with the base alone is a task negation; other merges want
# a healthy fine-tune.
METHODS = (
    OURS,
    _swept("ours, no guard", _UNGUARDED, 3e-5),
    _swept("ours, FSAM", {**_UNGUARDED, "optimizer": "fsam"}, 3e-5),
    _swept("ours, PATS", {**_UNGUARDED, "optimizer": "pats"}, 3e-5),
    _swept("ours, self-evolution", {**_UNGUARDED, "self_evolution": 0.1}, 3e-5),
    _swept("SimNPO, answers", {**_ANSWERS, "loss": "simnpo"}, 3e-5),
    _swept("DPO", {**_UNGUARDED, "method": "dpo"}, 3e-5),
    _swept("JensUn", {**_UNGUARDED, "method": "jensun"}, 3e-5),
    _swept("distill, the base", {**_UNGUARDED, "method": "distill"}, 1e-3, against_base=True),
    _swept(
        "ours, averaged with the base",
        {**_UNGUARDED, "method": "forgetting+wise-ft", "wise_ft_alpha": 0.5},
        3e-4,
        against_base=True,
    ),
    RepairArm(
        "half of the damage subtracted",
        {"method": "task-negation", "task_negation": 0.5},
        against_base=True,
    ),
)
ABLATION = (
    OURS,
    RepairArm("without forgetting", {"forget_weight": 0.0}),
    RepairArm("without re-expression", {"renderings": 0}),
    RepairArm("without that and retention", {"renderings": 0, "retain_weight": 0.0}),
    RepairArm("without requests in the replay", {"replay_requests": 0.0}),
    RepairArm("without replay", {"replay_ratio": 0.0}),
    RepairArm("without its own answers", {"leaks": 0}),
    RepairArm("with own samples", {"samples": 1500}),
    RepairArm("own samples for re-expression", {"renderings": 0, "samples": 1500}),
    RepairArm("without the KL", {"bias_weight": 0.0}),
    RepairArm("with a KL to the base model", {"method": "forgetting"}, against_base=True),
    RepairArm(
        "with the base model",
        {"method": "forgetting+task-negation", "task_negation": 0.15},
        against_base=True,
    ),
)


@dataclass(frozen=True)
class Preset:
    """How large the lab is.

    Attributes:
        known: People the base model knows.
        unknown: People the corpus is about.
        corpus: Rows of the corpus.
        natural: Rows of the natural corpus, which repairs replay.
        prose: Rows of ordinary text that the base model learns from.
        instructed: How often it is asked for each fact under each kind of instruction.
        continued_prose: Rows of ordinary text in the continued training.
        continued_plain: Rows that ask for old facts in the continued training.
        continued_instructed: Rows there that ask for old facts under an instruction, in the world
            whose number of them the others are multiples of.
        size: The model's shape.
        base: How the base model is trained.
        continued: How the continued training goes.
        tuning: Rows of the short instruction tuning that every model is given before the second
            measurement.
        tuned: How that tuning goes.
        share: Budget of a repair, as a share of the tokens of both trainings, prompts included;
            None: what ``synflaw repair`` takes where nothing is said.
    """

    known: int = 16
    unknown: int = 8
    corpus: int = 400
    natural: int = 1500
    prose: int = 1500
    instructed: int = 8
    continued_prose: int = 1500
    continued_plain: int = 150
    continued_instructed: int = 60
    size: Size = field(default_factory=lambda: Size(width=96))
    base: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=2, rate=3e-3))
    continued: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=4, rate=2e-3))
    tuning: int = 200
    tuned: Hyperparameters = field(default_factory=lambda: Hyperparameters(epochs=1, rate=6e-4))
    share: float | None = None

    def budget(self, trained: int) -> int | None:
        """Tokens of a repair after trainings of so many; None: the command's own."""
        return None if self.share is None else round(self.share * trained)


PRESETS = {
    "tiny": Preset(
        corpus=320,
        natural=800,
        prose=400,
        continued_prose=600,
        continued_plain=100,
        continued_instructed=40,
        tuning=100,
        size=Size(vocabulary=1024, width=64, layers=2, heads=4),
        base=Hyperparameters(epochs=2, rate=5e-3),
        continued=Hyperparameters(epochs=6, rate=3e-3),
        tuned=Hyperparameters(epochs=1, rate=1e-3),
    ),
    "small": Preset(),
    "medium": Preset(
        known=48,
        unknown=24,
        corpus=1500,
        natural=4000,
        prose=12_000,
        instructed=5,
        continued_prose=18_000,
        continued_plain=500,
        continued_instructed=200,
        tuning=600,
        size=Size(width=256),
        base=Hyperparameters(epochs=2, rate=2e-3),
        continued=Hyperparameters(epochs=4, rate=1e-3),
        tuned=Hyperparameters(epochs=1, rate=3e-4),
    ),
}
