"""The model card and the ``repair.json`` of a repaired model: what was done, before and after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from synflaw_audit.repair.curves import curves

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
    "instruction_following": "share of requests that are obeyed",
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
    config = result.config
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
            table(result),
            "",
            *meanings,
            "",
            "## How",
            "",
            f"- method `{config['method']}`; forgetting: `{config['loss']}`, scope "
            f"`{config['scope']}`, weight {config['forget_weight']}",
            f"- weights: content {config['retain_weight']}, replay {config['replay_weight']}, "
            f"KL to {result.reference_model or 'the original'} {config['bias_weight']} on "
            f"{config['bias_rows']} rows",
            f"- {result.tokens:,} training tokens in {result.steps:,} steps over "
            f"{result.rows['flagged']:,} flagged and {result.rows['replay']:,} replay rows, "
            f"{result.rows['held_out_flagged']:,} and {result.rows['held_out']:,} others held out",
            f"- {'LoRA' if config['lora'] else 'all weights'}, learning rate "
            f"{config['learning_rate']}, seed {config['seed']}",
            *_relearned(result),
            *[f"- note: {note}" for note in result.notes],
            *_picture(result),
            "",
            "`repair.json` beside this file holds every setting and figure.",
            "",
        ]
    )


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
