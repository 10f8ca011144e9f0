"""Everything that is measured of a model before and after a repair, taken alike."""

from __future__ import annotations

import time

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.base import Probe
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.measuring.behaviour import BehaviourProbe
from synflaw_audit.repair.measuring.figures import Evaluation, PairedFigure
from synflaw_audit.repair.measuring.likelihoods import likelihood_figures
from synflaw_audit.repair.training.answering import answering, precision
from synflaw_audit.repair.training.freed import give_back
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.training.progress import say


class Evaluator:
    """Measures a model: likelihoods, a probe of the caller's, and how it behaves when asked.

    Args:
        material: The rows that were held out.
        tokenizer: The model's.
        config: The settings.
        probe: Figures of the caller's; of what it reports nothing is measured again.
        quiet: Whether to tell nothing of its progress.
    """

    def __init__(
        self,
        material: Material,
        tokenizer: PreTrainedTokenizerBase,
        config: RepairConfig,
        probe: Probe | None,
        *,
        quiet: bool,
    ) -> None:
        self._material = material
        self._tokenizer = tokenizer
        self._config = config
        self._probe = probe
        self._quiet = quiet
        self._behaviour = BehaviourProbe.of(
            material.ordinary,
            material.flagged,
            count=config.probe_prompts,
            seed=config.seed,
        )

    @property
    def usual_emission(self) -> float:
        """Share of ordinary rows whose own answer is taken for the format."""
        return self._behaviour.usual

    @property
    def usual_likeness(self) -> float:
        """How alike the ordinary rows' own answers are."""
        return self._behaviour.usual_likeness

    def __call__(self, network: PreTrainedModel, stage: str) -> Evaluation:
        """Measure the model as it stands, in the main process, for all.

        Args:
            network: The model; left as it is.
            stage: What to call it where progress is told.
        """
        return on_main(lambda: self._measured(network, stage))

    def _measured(self, network: PreTrainedModel, stage: str) -> Evaluation:
        started = time.perf_counter()
        give_back()  # what training held
        tokenizer, config = self._tokenizer, self._config
        with precision(network, bf16=bool(config.bf16)):
            figures = likelihood_figures(
                network,
                self._material.measured,
                self._material.held_out,
                Collator(pad_id(tokenizer)),
                batch_size=config.per_device_eval_batch_size,
            )
        numbers: dict[str, float] = {}
        with answering(network, bf16=bool(config.bf16)) as answerer:
            if self._probe is not None:
                for name, found in self._probe(answerer, tokenizer).items():
                    if isinstance(found, PairedFigure):
                        figures[name] = found
                    else:
                        numbers[name] = float(found)
            own = self._behaviour.without({*figures, *numbers})
            figures |= own(answerer, tokenizer)
        if not self._quiet:
            say(f"measured {stage}: {time.perf_counter() - started:.0f} s")
        return Evaluation(figures, numbers)
