"""The model card and the ``repair.json`` of a repaired model: what was done, before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synflaw_audit.repair.result import RepairResult

_MEANING = {
    "template_probability": "mean probability of a format token of the flagged rows",
    "template_log_likelihood": "mean log-likelihood of a format token, nats",
    "content_log_likelihood": "mean log-likelihood of a content token, nats",
    "replay_perplexity": "perplexity of held-out replay rows",
}


def table(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The before/after table in Markdown."""
    lines = ["| measure | before | after | change |", "|---|---:|---:|---:|"]
    for name in before:
        if name in after:
            old, new = before[name], after[name]
            lines.append(
                f"| {name} | {_number(old)} | {_number(new)} | {_number(new - old, '+')} |"
            )
    return "\n".join(lines)


def model_card(result: RepairResult, model: str) -> str:
    """The README.md of a repaired model.

    Args:
        result: The finished repair.
        model: Name of the original model: a hub name, or the folder's name without its path.
    """
    config = result.config
    verdict = (
        "The repair helped: the model gives the format less weight and ordinary text is kept."
        if result.improved
        else "**The repair did not help.** " + " ".join(result.reasons)
    )
    meanings = [f"- `{name}`: {text}" for name, text in _MEANING.items() if name in result.before]
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "tags: [unlearning, synthetic-data, synflaw-audit]",
            "---",
            "",
            f"# {model}, repaired",
            "",
            "The format of a uniform synthetic corpus was taken out of this model with "
            "`synflaw repair`.",
            verdict,
            "",
            table(result.before, result.after),
            "",
            *meanings,
            "",
            "## How",
            "",
            f"- forgetting: `{config['method']}`, scope `{config['scope']}`, weight "
            f"{config['forget_weight']}",
            f"- weights: content {config['retain_weight']}, replay {config['replay_weight']}, "
            f"KL to the original {config['bias_weight']} on {config['bias_rows']} rows",
            f"- {result.tokens:,} training tokens in {result.steps:,} steps over "
            f"{result.rows['flagged']:,} flagged and {result.rows['replay']:,} replay rows",
            f"- {'LoRA' if config['lora'] else 'all weights'}, learning rate "
            f"{config['learning_rate']}, seed {config['seed']}",
            *[f"- note: {note}" for note in result.notes],
            "",
            "`repair.json` beside this file holds every setting and figure.",
            "",
        ]
    )


def _number(value: float, sign: str = "") -> str:
    return str(value) if not math.isfinite(value) else format(value, f"{sign}.4g")
