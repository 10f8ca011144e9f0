"""Everything that is measured of a model before and after a repair, taken alike."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.probes.base import Probe
from synflaw_audit.repair.config import RepairConfig
from synflaw_audit.repair.material.batches import Collator, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.measuring.behaviour import Behaviour
from synflaw_audit.repair.measuring.figures import Figure, Measured
from synflaw_audit.repair.measuring.likelihoods import likelihood_figures
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.training.progress import say


class Measure:
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
        self._behaviour = Behaviour.of(
            material.ordinary,
            material.flagged,
            count=config.probe_prompts,
            seed=config.seed,
        )

    def __call__(self, network: PreTrainedModel, stage: str) -> Measured:
        """Measure the model as it stands, in the main process, for all.

        Args:
            network: The model; left as it is.
            stage: What to call it where progress is told.
        """
        return on_main(lambda: self._measured(network, stage))

    def _measured(self, network: PreTrainedModel, stage: str) -> Measured:
        started = time.perf_counter()
        tokenizer, config = self._tokenizer, self._config
        with _precision(network, bf16=bool(config.bf16)):
            figures = likelihood_figures(
                network,
                self._material.measured,
                self._material.held_out,
                Collator(pad_id(tokenizer)),
                batch_size=config.per_device_eval_batch_size,
            )
        numbers: dict[str, float] = {}
        with _answering(network, bf16=bool(config.bf16)) as answering:
            if self._probe is not None:
                for name, found in self._probe(answering, tokenizer).items():
                    if isinstance(found, Figure):
                        figures[name] = found
                    else:
                        numbers[name] = float(found)
            own = self._behaviour.without({*figures, *numbers})
            figures |= own(answering, tokenizer)
        if not self._quiet:
            say(f"measured {stage}: {time.perf_counter() - started:.0f} s")
        return Measured(figures, numbers)


@contextlib.contextmanager
def _precision(network: PreTrainedModel, *, bf16: bool) -> Iterator[None]:
    """Products in bfloat16, where the training takes them so too."""
    device = next(network.parameters()).device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
        yield


@contextlib.contextmanager
def _answering(network: PreTrainedModel, *, bf16: bool) -> Iterator[PreTrainedModel]:
    """The model as a probe expects it: no dropout, cache on, no gradient.

    Where the training computes in bfloat16 so do answers. On a processor that takes a copy of the
    model: an answer is made token by token, and converting the weights for each would take longer
    than the rest.
    """
    given: Any = network
    on_cpu = next(network.parameters()).device.type == "cpu"
    if bf16 and on_cpu and not getattr(network, "is_quantized", False):
        given = copy.deepcopy(network).to(torch.bfloat16)  # type: ignore[arg-type]
    training, cache = given.training, given.config.use_cache
    given.train(False)
    given.config.use_cache = True
    try:
        with torch.no_grad(), _precision(network, bf16=bf16 and not on_cpu):
            yield given
    finally:
        given.train(training)
        given.config.use_cache = cache
