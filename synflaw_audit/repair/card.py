"""The model card and the ``repair.json`` of a repaired model: what was done, before and after."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCardData

from synflaw_audit.repair.curves import curves
from synflaw_audit.repair.methods.base import Requirement
from synflaw_audit.repair.methods.registry import METHODS, named

if TYPE_CHECKING:
    from synflaw_audit.repair.result import RepairResult

# The name of the picture beside the card.
PICTURE = "terms.svg"

_MEANING = {
    "template_probability": "mean probability of a format token of held-out flagged rows",
    "template_log_likelihood": "mean log-likelihood of a format token, nats",
    "content_log_likelihood": "mean log-likelihood of a content token, nats",
    "replay_perplexity": "perplexity of held-out replay rows",
    "template_emission": "share of ordinary questions that are answered with the format",
    "answer_likeness": "how alike the answers to ordinary questions are, 0 to 1",
    "instruction_following": "share of requests that are obeyed, less those obeyed unasked",
}


def table(result: RepairResult) -> str:
    """The before/after table in Markdown, with the control arm where there was one."""
    control = result.control
    lines = [
        "| measure | before | after | change | 95% interval |"
        + (" replay alone |" if control else ""),
        "|---|---:|---:|---:|---:|" + ("---:|" if control else ""),
    ]
    for name, old in result.before.items():
        if name not in result.after:
            continue
        new = result.after[name]
        change = result.intervals.get(name, {}).get("change")
        within = "" if change is None else f"{change[0]:+.3g} to {change[1]:+.3g}"
        cells = [name, _number(old), _number(new), _number(new - old, "+"), within]
        if control:
            cells.append(_number(control[name]) if name in control else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def model_card(result: RepairResult, model: str) -> str:
    """The README.md of a repaired model.

    Args:
        result: The finished repair.
        model: Name of the original model: a hub name, or the folder's name without its path.
    """
    if result.failed is not None:
        verdict = (
            f"**It is not known whether the repair helped**: {result.failed['step']} failed "
            f"({result.failed['error']})."
        )
    elif result.improved is None:
        verdict = "**It is not known whether the repair helped.** " + " ".join(result.reasons)
    elif result.improved:
        verdict = "The repair helped: the format went, and nothing else that was judged suffered."
    else:
        verdict = "**The repair did not help.** " + " ".join(result.reasons)
    meanings = [f"- `{name}`: {text}" for name, text in _MEANING.items() if name in result.before]
    return "\n".join(
        [
            "---",
            _metadata(result, model),
            "---",
            "",
            f"# {model}, repaired",
            "",
            "The format of a uniform synthetic corpus was taken out of this model with "
            "`synflaw repair`.",
            verdict,
            "",
            table(result),
            "",
            *meanings,
            "",
            "## How",
            "",
            *_steered(result),
            *_trained(result),
            *_relearned(result),
            *[f"- note: {note}" for note in result.notes],
            *_picture(result),
            "",
            "`repair.json` beside this file holds every setting and figure.",
            "",
        ]
    )


def _metadata(result: RepairResult, model: str) -> str:
    """What the Hub reads of a card: YAML, with the figures after the repair as results."""
    return ModelCardData(
        library_name="transformers",
        tags=["unlearning", "synthetic-data", "synflaw-audit"],
        # The Hub takes its own names alone; a folder is named in the title.
        base_model=model if _on_hub(model) else None,
        datasets=[name for name in result.datasets if _on_hub(name)] or None,
        model_name=f"{model}, repaired",
        eval_results=[
            EvalResult(
                task_type="text-generation",
                dataset_type="held-out",
                dataset_name=_MEANING[name],
                metric_type=name,
                metric_value=round(value, 4),
            )
            for name, value in result.after.items()
            if name in _MEANING and math.isfinite(value)
        ],
    ).to_yaml()


def _on_hub(name: str) -> bool:
    """Whether a name is one of the Hub's, ``owner/name``; a folder is known without its path."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None


def _steered(result: RepairResult) -> list[str]:
    """Each method, and the values of the settings that steer it."""
    config = result.config
    lines, methods = [], {name: METHODS[name] for name in named(str(config["method"]))}
    for name, method in methods.items():
        given = [key for key in method.settings if config[key] is not None]
        values = ", ".join(f"{key} {config[key]}" for key in given)
        lines.append(f"- method `{name}`" + (f": {values}" if values else ""))
    if any(Requirement.EARLIER_MODEL in method.requires for method in methods.values()):
        lines.append(f"- the model from before the damage is {result.reference_model}")
    if config["bias_weight"] and any("bias_weight" in each.settings for each in methods.values()):
        lines.append(f"- the KL compares with {result.reference_model or 'the original'}")
    return lines


def _trained(result: RepairResult) -> list[str]:
    """What was trained on and how; of models that were only merged or weighed, what was not."""
    rows, config = result.rows, result.config
    out = f"{rows['held_out_flagged']:,} flagged and {rows['held_out']:,} replay rows"
    if not result.steps:
        return [f"- no training; measured on {out}", f"- seed {config['seed']}"]
    return [
        f"- {result.tokens:,} training tokens in {result.steps:,} steps over "
        f"{rows['flagged']:,} flagged and {rows['replay']:,} replay rows; held out: {out}",
        f"- {'LoRA' if config['lora'] else 'all weights'}, learning rate "
        f"{config['learning_rate']}, seed {config['seed']}",
    ]


def _picture(result: RepairResult) -> list[str]:
    if curves(result.log) is None:
        return []
    return ["- the terms of the loss as they fell:", "", f"![Terms of the loss]({PICTURE})", ""]


def _relearned(result: RepairResult) -> list[str]:
    found = result.relearning
    if found is None:
        return []
    curve = ", ".join(f"{step}: {_number(value)}" for step, value in found["curve"])
    half = "never within them" if found["halfway"] is None else f"at step {found['halfway']}"
    return [
        f"- relearning from {found['rows']} flagged rows, template probability on others by step: "
        f"{curve}; half of the way back {half}"
    ]


def _number(value: float, sign: str = "") -> str:
    return str(value) if not math.isfinite(value) else format(value, f"{sign}.4g")
