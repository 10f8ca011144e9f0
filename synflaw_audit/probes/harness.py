"""Tasks of the LM Evaluation Harness as a probe: its figures before and after a repair.

Gao et al., "The Language Model Evaluation Harness", https://github.com/EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import MissingExtraError, RepairError


@dataclass(frozen=True)
class Harness:
    """Evaluates tasks; called as ``harness(model, tokenizer)``.

    Attributes:
        tasks: Names of tasks or groups, or YAML files that define one.
        limit: Documents of each task; None takes all.
        batch_size: Requests at a time.
    """

    tasks: tuple[str, ...]
    limit: int | None = None
    batch_size: int = 8

    def __call__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, float]:
        """Every metric of every task by the name ``task/metric``; standard errors are left out."""
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM

        with _quiet():
            found = simple_evaluate(
                model=HFLM(
                    pretrained=model,
                    tokenizer=tokenizer,
                    batch_size=self.batch_size,
                    trust_remote_code=False,
                ),
                tasks=list(self.tasks),
                limit=self.limit,
                bootstrap_iters=0,
                log_samples=False,
                # The repair has set the seeds, and other processes hold the same random state.
                random_seed=None,
                numpy_random_seed=None,
                torch_random_seed=None,
            )
        return {
            f"{task}/{_metric(name)}": float(value)
            for task, figures in (found or {}).get("results", {}).items()
            for name, value in figures.items()
            if isinstance(value, int | float) and "_stderr" not in name and "," in name
        }


def harness(tasks: Sequence[str], *, limit: int | None = None, batch_size: int = 8) -> Harness:
    """Check the tasks' names, and make a probe of them.

    Raises:
        MissingExtraError: ``lm-eval`` is not installed.
        RepairError: There is no task of this name, and no such file.
    """
    if find_spec("lm_eval") is None:
        raise MissingExtraError("Evaluating tasks of the LM Evaluation Harness", "eval")
    from lm_eval.tasks import TaskManager

    with _quiet():
        known = TaskManager().all_tasks
    for task in tasks:
        if task not in known and not Path(task).is_file():
            near = get_close_matches(task, known, n=5)
            hint = f"did you mean {', '.join(near)}?" if near else "`lm-eval ls tasks` lists them"
            raise RepairError(f"{task}: neither a task of lm-eval nor a YAML file; {hint}")
    return Harness(tuple(tasks), limit, batch_size)


def _metric(name: str) -> str:
    """``acc,none`` is the metric ``acc`` after the filter ``none``."""
    metric, _, chosen = name.partition(",")
    return metric if chosen == "none" else f"{metric}/{chosen}"


@contextmanager
def _quiet() -> Iterator[None]:
    """The harness reports every step on its own."""
    logger: Any = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
