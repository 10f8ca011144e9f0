"""The rehearsal: train adapters on a little of a corpus and on a control, probe both, compare.

Any narrow training costs some instruction following, so only the difference to a control of the
same budget is the corpus's own: rows of a reference corpus, or the model's own answers to neutral
prompts. Every finished arm is kept, so an interrupted rehearsal goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.probes.counterfactual import KINDS, counterfactuals
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.models import load_model
from synflaw_audit.rehearsal.behaviour import Behaviour, ProbeConfig, Prober
from synflaw_audit.rehearsal.result import RehearsalResult, compared
from synflaw_audit.rehearsal.rows import QuestionAnswer, sampled_rows
from synflaw_audit.rehearsal.training import TrainingConfig, train_adapters
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks

EXAMPLES = 5
OWN_TOKENS = 64
KEPT = "rehearsal.runs.jsonl"

Log = Callable[[str], None]


@dataclass(frozen=True)
class RehearsalConfig:
    """How much is trained, how often, and what is asked afterwards.

    Attributes:
        training: Of every arm; its seed is replaced by each of ``seeds``.
        probes: What the models are asked.
        seeds: One pair of arms each.
        threads: Processor threads; PyTorch's choice if not given.
    """

    training: TrainingConfig = field(default_factory=TrainingConfig)
    probes: ProbeConfig = field(default_factory=ProbeConfig)
    seeds: tuple[int, ...] = (0,)
    threads: int | None = None

    def described(self) -> str:
        """What it takes, in a line."""
        base, each = self._asked()
        return (
            f"{self.arms} trainings of {self.training.budget:,} tokens ({self.training.steps} "
            f"steps), and at most {base + self.arms * each:,} tokens of answers"
        )

    def remaining(self, seconds: float) -> float:
        """Seconds that the rest takes, about, by how many the base's answers took.

        A token that is trained on takes about as long as one of an answer (234 and 243 a second for
        a model of 135 million weights on two cores).
        """
        base, each = self._asked()
        return seconds / base * self.arms * (each + self.training.budget)

    @property
    def arms(self) -> int:
        """Models that are trained."""
        return 2 * len(self.seeds)

    def _asked(self) -> tuple[int, int]:
        """Tokens of the answers of the base and of each trained model, at most."""
        p = self.probes
        short = (p.foreign + len(KINDS) * p.counterfactual) * p.foreign_tokens
        base = short + p.instructions * p.instruction_tokens
        return base, short + p.instructions_kept * p.instruction_tokens


def rehearse(
    corpus: Any,
    model: str | Path,
    *,
    out: Path,
    reference: Any = None,
    settings: AuditSettings | None = None,
    config: RehearsalConfig | None = None,
    log: Log = lambda line: None,
) -> RehearsalResult:
    """Measure what a little training on a corpus does to a model.

    Args:
        corpus: Whatever ``synflaw_audit.audit`` takes.
        model: An instruction-tuned causal LM: a Hugging Face folder or a hub name.
        out: The folder that finished arms are kept in, and found again.
        reference: A corpus whose rows the control is trained on; by default the model's own answers
            to neutral prompts.
        settings: How the corpora are read.
        config: How much is trained and asked.
        log: Called with a line for each step.

    Returns:
        The damage on each axis.

    Raises:
        InputError: A corpus or the model cannot be read; ``out`` holds the arms of another
            rehearsal.
    """
    config, settings = config or RehearsalConfig(), settings or AuditSettings()
    start = time.monotonic()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    known = load_checks()
    measured = measure(open_engine(corpus, settings), known)
    control = None
    if reference is not None:
        control = measure(open_engine(reference, settings), ())
    base, tokenizer = load_model(model)
    kept = _Kept.opened(out, corpus, model, reference, config)
    changed = counterfactuals(measured.corpus, config.probes.counterfactual)
    stage = _Stage(Prober(tokenizer, config.probes, changed), model, config, kept, log)
    log(f"This takes {config.described()}.")
    stage.base(base)
    rows = sampled_rows(measured)
    others = stage.own_rows(base) if control is None else sampled_rows(control)
    del base
    arms: dict[str, list[Behaviour]] = {"corpus": [], "control": []}
    for seed in config.seeds:
        for arm, trained_on in (("corpus", rows), ("control", others)):
            arms[arm].append(stage.tuned(arm, seed, trained_on))
    matcher = FormatMatcher.of(measured.corpus, known)
    prompts = stage.prober.foreign
    axes, formats = compared(matcher, prompts, arms["corpus"], arms["control"], changed)
    said = arms["corpus"][0].foreign
    return RehearsalResult(
        model=str(model),
        corpus=tuple(measured.engine.files),
        control="the model's own answers" if reference is None else str(reference),
        budget=config.training.budget,
        seeds=config.seeds,
        axes=axes,
        formats=formats,
        examples=tuple(zip(prompts, said, strict=True))[:EXAMPLES],
        seconds=round(time.monotonic() - start, 1),
    )


@dataclass
class _Stage:
    """The base, trained in one way after another."""

    prober: Prober
    model: str | Path
    config: RehearsalConfig
    kept: _Kept
    log: Log

    def base(self, model: Any) -> None:
        """Ask the base, and narrow the prompts by what it follows."""
        found = self.kept.get("base")
        if found is None:
            self.log("asking the base")
            start = time.monotonic()
            found = self.prober.behaviour(model).to_dict()
            rest = self.config.remaining(time.monotonic() - start)
            self.log(f"the rest takes about {max(1, round(rest / 60))} minutes")
            self.kept.store("base", found)
        behaviour = Behaviour(**found)
        self.prober.narrow(behaviour)
        if not self.prober.instructions:
            raise InputError(
                f"{self.model}: follows none of the instructions, so none can be lost; a rehearsal "
                "needs a model that follows instructions"
            )
        self.prober.remember(model)

    def own_rows(self, model: Any) -> list[QuestionAnswer]:
        """Neutral prompts with the base's own answers."""
        answers = self.kept.get("own rows")
        if answers is None:
            self.log("writing the control's rows: the model's own answers to neutral prompts")
            answers = self.prober.answers(model, self.prober.neutral, OWN_TOKENS)
            self.kept.store("own rows", answers)
        return list(map(QuestionAnswer, self.prober.neutral, answers))

    def tuned(self, arm: str, seed: int, rows: Sequence[QuestionAnswer]) -> Behaviour:
        """The behaviour after training on some rows."""
        found = self.kept.get(f"{arm}, seed {seed}")
        if found is None:
            self.log(f"training: {arm}, seed {seed}")
            model, tokenizer = load_model(self.model)
            config = replace(self.config.training, seed=seed)
            network, loss = train_adapters(model, tokenizer, rows, config)
            self.log(f"asking: {arm}, seed {seed}")
            found = self.prober.behaviour(network.merge_and_unload(), loss).to_dict()  # type: ignore[operator]
            self.kept.store(f"{arm}, seed {seed}", found)
        return Behaviour(**found)


class _Kept:
    """What is finished already, a JSON line each, below a line that says of what."""

    def __init__(self, path: Path, claim: dict[str, Any]) -> None:
        self.path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if not lines:
            path.write_text(json.dumps(claim) + "\n", "utf-8")
        elif json.loads(lines[0]) != claim:
            raise InputError(
                f"{path}: holds a rehearsal of something else or with other settings; name another "
                "--out, or remove it"
            )
        self._known = {}
        for line in lines[1:]:
            try:
                name, value = json.loads(line)
            except ValueError:  # the line that was being written when the run was stopped
                continue
            self._known[name] = value

    @classmethod
    def opened(
        cls, out: Path, corpus: Any, model: str | Path, reference: Any, config: RehearsalConfig
    ) -> _Kept:
        """The arms kept in a folder."""
        out.mkdir(parents=True, exist_ok=True)
        settings = asdict(config)
        # More seeds may be asked for later.
        del settings["seeds"], settings["threads"]
        claim = {
            "corpus": str(corpus),
            "model": str(model),
            "reference": str(reference),
            "config": settings,
        }
        return cls(out / KEPT, json.loads(json.dumps(claim)))

    def get(self, name: str) -> Any:
        """What was kept under a name, or None."""
        return self._known.get(name)

    def store(self, name: str, value: Any) -> None:
        """Keep it."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, value], ensure_ascii=False) + "\n")
        self._known[name] = value
