"""What each forgetting loss does when it is let run: up to ten times the steps that are needed.

Each method starts from the same damaged model and takes the same steps over the same rows: forgets
the template tokens at weight 1, retains the content and replays ordinary rows at weight 1, without
a KL and without the guard that would stop it. The steps needed are those after which the default
method has brought the mean probability of a template token below a tenth.

    python benchmarks/loss_behaviour.py demo-output/models/damaged \
        demo-output/templated/flagged.parquet sample_data/natural.jsonl \
        --out benchmarks/results/loss_behaviour.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.losses import LOSSES
from synflaw_audit.repair.material.batches import Collator, pad_id
from synflaw_audit.repair.material.flagged import read_flagged
from synflaw_audit.repair.material.gather import Material, context_length, gather
from synflaw_audit.repair.measuring.likelihoods import likelihoods, repetition
from synflaw_audit.repair.methods.forgetting.reference import SecondModel
from synflaw_audit.repair.methods.forgetting.terms import StepLoss, token_counts
from synflaw_audit.repair.storage.folder import library_progress, load, load_tokenizer
from synflaw_audit.repair.training.forward import output_layer

MULTIPLES = (1, 2, 5, 10)
FIGURES = (
    "template_probability",
    "content_log_likelihood",
    "replay_perplexity",
    "repetition",
)


def settings(name: str, arguments: argparse.Namespace, steps: int) -> RepairConfig:
    return RepairConfig(
        loss=name,
        forget_weight=1.0,
        bias_weight=0.0,
        learning_rate=arguments.learning_rate,
        per_device_train_batch_size=arguments.rows,
        # Enough passes for every step.
        num_train_epochs=1 + steps * arguments.rows / 100,
        use_cpu=True,
        audit_replay=False,
        seed=arguments.seed,
    )


def figures(network: PreTrainedModel, data: Material, collator: Collator) -> dict[str, float]:
    found = likelihoods(network, data.measured[:64], data.held_out[:64], collator)
    found["repetition"] = repetition(network, data.held_out[:8], collator.pad_id)
    return found


def run(
    name: str, arguments: argparse.Namespace, steps: int, every: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """The figures at the start and after every so many steps."""
    config = settings(name, arguments, steps)
    with library_progress(shown=False):
        network = load(arguments.model, config)
        tokenizer = load_tokenizer(arguments.model)
    data = prepared(network, tokenizer, config, arguments)
    collator = Collator(pad_id(tokenizer))
    reference = SecondModel.copy_of(network) if config.forgetting_loss.needs_reference else None
    loss = StepLoss(config, output_layer(network), reference)
    optimizer = torch.optim.AdamW(network.parameters(), lr=float(config.learning_rate or 0))
    yield 0, figures(network, data, collator)
    network.train()
    for step in range(1, steps + 1):
        at = (step - 1) * arguments.rows % (len(data.plan) - arguments.rows)
        batch = collator(data.plan[at : at + arguments.rows])
        loss(network, batch, token_counts(batch))[0].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % every == 0:
            yield step, figures(network, data, collator)


def prepared(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: RepairConfig,
    arguments: argparse.Namespace,
) -> Material:
    flagged = read_flagged(arguments.flagged, scope="template")
    flagged = replace(flagged, rows=flagged.rows[:400])
    length = context_length(network.config)
    return gather(tokenizer, flagged, arguments.replay, (), config, context=length)


def needed_steps(arguments: argparse.Namespace) -> int:
    for step, found in run("lower-bounded", arguments, 400, arguments.every):
        if found["template_probability"] < 0.1:
            return step
    raise SystemExit("the default method did not bring the format below a tenth in 400 steps")


def table(arguments: argparse.Namespace, needed: int) -> str:
    lines = [
        "| method | steps | " + " | ".join(FIGURES) + " |",
        "|---|---:|" + "---:|" * len(FIGURES),
    ]
    for loss in LOSSES:
        wanted = {0, *(needed * multiple for multiple in MULTIPLES)}
        for step, found in run(loss, arguments, needed * MULTIPLES[-1], needed):
            if step in wanted:
                cells = " | ".join(f"{found[name]:.3g}" for name in FIGURES)
                lines.append(f"| {loss} | {step} | {cells} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("flagged", type=Path)
    parser.add_argument("replay")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    needed = needed_steps(arguments)
    print(f"{needed} steps needed", flush=True)
    found = table(arguments, needed)
    if arguments.out:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        options = " ".join(each for each in sys.argv[4:] if not each.startswith("/"))
        arguments.out.write_text(
            "# Each forgetting loss over ten times the steps needed\n\n"
            f"`python benchmarks/loss_behaviour.py MODEL FLAGGED REPLAY {options}` on the damaged "
            f"model of `synflaw demo`, commit {commit}; {needed} steps needed. How stands at the "
            f"head of the script.\n\n{found}\n"
        )


if __name__ == "__main__":
    main()
