"""What comes after the model is written: measured, compared with a control arm, judged, reported.

Any of these steps may fail without losing the model: ``repair.json`` then says which one it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.card import PICTURE, model_card
from synflaw_audit.repair.curves import curves
from synflaw_audit.repair.material.batches import Collator, mix, pad_id
from synflaw_audit.repair.material.gather import Material
from synflaw_audit.repair.measuring.figures import Evaluation, FigureChange, changes
from synflaw_audit.repair.measuring.measure import Evaluator
from synflaw_audit.repair.measuring.relearning import relearn
from synflaw_audit.repair.methods.base import Context
from synflaw_audit.repair.methods.registry import chosen_methods
from synflaw_audit.repair.result import RepairResult
from synflaw_audit.repair.storage.folder import Folder
from synflaw_audit.repair.training.processes import on_main
from synflaw_audit.repair.verdict import Limits, judge_repair, undecided, unjudged

# Fewer held-out rows are joined by rows that were trained on, to be relearned from.
_RELEARNING_ROWS = 16


@dataclass(frozen=True)
class ResultFolder:
    """The folder that holds the repaired model and what is said of it.

    Attributes:
        path: Where.
        original: Name of the original model, for the card.
    """

    path: Path
    original: str

    def write_model(
        self,
        draft: RepairResult,
        network: PreTrainedModel,
        context: Context,
        finish: Callable[[Path], None],
    ) -> None:
        """Write the model, with a report that says that it was not measured yet."""
        texts = self._texts(draft)
        folder = Folder(self.path)
        on_main(lambda: folder.write_model(network, context.tokenizer, texts, finish=finish))

    def write_report(self, result: RepairResult) -> None:
        """Put the result in the place of what was said before."""
        on_main(lambda: Folder(self.path).write_texts(self._texts(result)))

    @contextlib.contextmanager
    def step(self, name: str, so_far: RepairResult) -> Iterator[None]:
        """A step after the model was written: if it fails, ``repair.json`` says so, and so do we.

        Raises:
            RepairError: It failed.
        """
        try:
            yield
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            failed = replace(
                so_far, improved=None, reasons=(), failed={"step": name, "error": said}
            )
            with contextlib.suppress(Exception):  # a full disk: the draft stays, which says as much
                self.write_report(failed)
            raise RepairError(
                f"{self.path}: the repaired model is written there, but {name} failed ({said}), so "
                "it is not known whether it helped"
            ) from error

    def _texts(self, result: RepairResult) -> dict[str, str]:
        texts = {"repair.json": result.to_json(), "README.md": model_card(result, self.original)}
        picture = curves(result.log)
        return texts if picture is None else {**texts, PICTURE: picture}


def prove(
    draft: RepairResult,
    network: PreTrainedModel,
    before: Evaluation,
    material: Material,
    context: Context,
    measure: Evaluator,
    folder: ResultFolder,
) -> RepairResult:
    """The result with what was measured of the repaired model and of the control arm, judged.

    Raises:
        RepairError: A step failed; names it.
    """
    config = context.config
    with folder.step("measuring the repaired model", draft):
        after = measure(network, "after")
        found = changes(before, after)
    draft = replace(draft, after=after.values, intervals=_intervals(found))
    relearned, control = None, None
    if config.relearn_steps:
        relearned, said = _relearning(network, material, context, before)
        draft = replace(draft, notes=(*draft.notes, *said))
    del network
    if config.control_arm:
        with folder.step("the control arm", draft):
            control = measure(_control_arm(material, context, draft.tokens), "control")
    limits = Limits(
        config.max_perplexity_rise,
        config.max_content_loss,
        config.max_emission + measure.usual_emission,
        config.max_emission + measure.usual_likeness,
    )
    with folder.step("judging the repair", draft):
        reasons = judge_repair(found, limits, None if control is None else changes(control, after))
    missing = unjudged(found)
    unknown = undecided(found)
    return replace(
        draft,
        improved=False if reasons else None if unknown else True,
        reasons=tuple(reasons or unknown),
        failed=None,
        control=None if control is None else control.values,
        relearning=relearned,
        notes=(*draft.notes, *([f"not judged: {', '.join(missing)}"] if missing else [])),
    )


def _control_arm(material: Material, context: Context, tokens: int) -> PreTrainedModel:
    """The original after plain training on the replay rows, on the same budget."""
    config = context.config
    plan = mix((), material.replay, replay_ratio=1, passes=1, tokens=tokens, seed=config.seed)
    plain = replace(
        config,
        method="forgetting",
        task_negation=None,
        wise_ft_alpha=None,
        merge_with=None,
        forget_weight=0.0,
        bias_weight=0.0,
        replay_weight=1.0,
        save_strategy="no",
        resume_from_checkpoint=None,
    )
    alone = replace(context, config=plain, load_reference=None)
    network = context.load_original()
    (method,) = chosen_methods(plain, earlier_model=False)
    network = method.prepare(network, alone)
    return method.apply(network, replace(material, plan=plan), alone).model


def _relearning(
    network: PreTrainedModel, material: Material, context: Context, before: Evaluation
) -> tuple[dict[str, Any] | None, list[str]]:
    """What the relearning probe found; None, and why, where it could not be taken.

    Nothing is judged by it, so that it does not decide whether the repair is reported.
    """
    collator = Collator(pad_id(context.tokenizer))
    rows = material.measured
    if len(rows) < _RELEARNING_ROWS and not material.seen:
        rows = [*rows, *material.forgotten]
    try:
        found = on_main(
            lambda: relearn(
                network,
                rows,
                collator,
                before=before.values.get("template_probability"),
                steps=context.config.relearn_steps,
                learning_rate=float(context.config.learning_rate or 0),
                seed=context.config.seed,
            )
        )
    except Exception as error:
        return None, [f"relearning was not measured: {type(error).__name__}: {error}"]
    if found is None:
        return None, ["relearning was not measured: it takes two flagged rows with template tokens"]
    return asdict(found), []


def _intervals(found: Mapping[str, FigureChange]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "rows": each.rows,
            "before": each.before_interval,
            "after": each.after_interval,
            "change": each.interval,
        }
        for name, each in found.items()
        if each.rows
    }
