"""What a repair step costs beside a plain fine-tuning step on the same tokens.

Three arms on one batch, half flagged rows and half replayed ones:

- plain: ``model(..., labels=...)`` on every answer token, backward, optimiser step;
- repair: the three-part step of ``synflaw_audit.repair`` with a frozen copy as reference;
- separate: the same loss the usual way, a forward pass for each part with its whole logits and
  ``log_softmax`` over them.

Seconds are CPU seconds of one thread; the arms take turns step by step, so that whatever else the
machine does falls on all of them, and the ratio is the median over the turns. Peak memory is that
of a process of its own that takes three steps of one arm, less what it held before the first.

    python benchmarks/step_cost.py --out benchmarks/results/step_cost.md
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.methods.forgetting.reference import SecondModel
from synflaw_audit.repair.methods.forgetting.terms import StepLoss, token_counts
from synflaw_audit.repair.training.forward import output_layer

Step = Callable[[], None]
ARMS = ("plain", "repair", "separate")


def build(vocabulary: int, arguments: argparse.Namespace) -> PreTrainedModel:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=arguments.width,
            intermediate_size=arguments.width * 8 // 3,
            num_hidden_layers=arguments.layers,
            num_attention_heads=arguments.width // 32,
            max_position_embeddings=arguments.length,
        )
    )


def make_batch(vocabulary: int, arguments: argparse.Namespace) -> dict[str, Tensor]:
    """Rows of equal length; a quarter of a flagged answer is template."""
    generator = torch.Generator().manual_seed(0)
    prompt = int(arguments.length * arguments.prompt_share)
    answer = arguments.length - prompt
    template = answer // 4
    examples = []
    for number in range(arguments.rows):
        ids = torch.randint(vocabulary, (arguments.length,), generator=generator).tolist()
        flagged = number % 2 == 0
        purposes = [0] * prompt + (
            [int(Purpose.FORGET)] * template + [int(Purpose.RETAIN)] * (answer - template)
            if flagged
            else [int(Purpose.REPLAY)] * answer
        )
        examples.append(
            TrainingExample(ids, purposes, Purpose.FORGET if flagged else Purpose.REPLAY)
        )
    return Collator(0)(examples)


def make_step(arm: str, vocabulary: int, arguments: argparse.Namespace) -> Step:
    model = build(vocabulary, arguments)
    reference = copy.deepcopy(model).requires_grad_(False)
    batch = make_batch(vocabulary, arguments)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    if arm == "plain":
        del reference
        labels = batch["input_ids"].masked_fill(batch["purposes"] == 0, -100)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}

        def loss() -> Tensor:
            value: Tensor = model(**inputs, labels=labels, use_cache=False).loss
            return value

    elif arm == "repair":
        settings = RepairConfig(use_cpu=True, bias_weight=1.0, chunk_tokens=arguments.chunk)
        step_loss = StepLoss(settings, output_layer(model), SecondModel(reference))
        counts = token_counts(batch)

        def loss() -> Tensor:
            return step_loss(model, batch, counts)[0]

    else:

        def loss() -> Tensor:
            return separate(model, reference, batch)

    def step() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def separate(
    model: PreTrainedModel, reference: PreTrainedModel, batch: dict[str, Tensor]
) -> Tensor:
    """The repair loss with one pass a part and whole logits."""
    half = len(batch["input_ids"]) // 2

    def log_p(network: PreTrainedModel, rows: slice) -> Tensor:
        inputs = {name: batch[name][rows] for name in ("input_ids", "attention_mask")}
        result: Tensor = network(**inputs, use_cache=False).logits[:, :-1].log_softmax(-1)
        return result

    flagged, replayed = slice(0, half), slice(half, None)
    purposes = batch["purposes"][:, 1:]
    ids = batch["input_ids"][:, 1:, None]
    target = log_p(model, flagged).gather(-1, ids[flagged])[..., 0]
    ours = log_p(model, replayed)
    with torch.no_grad():
        theirs = log_p(reference, replayed)
    forget = purposes[flagged] == Purpose.FORGET
    answers = purposes[replayed] == Purpose.REPLAY
    divergence = (theirs.exp() * (theirs - ours)).sum(-1)
    return (
        0.05 * -torch.log1p(-target[forget].exp()).mean()
        - target[purposes[flagged] == Purpose.RETAIN].mean()
        - ours.gather(-1, ids[replayed])[..., 0][answers].mean()
        + divergence[answers].mean()
    )


def seconds(vocabulary: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """CPU seconds of each arm's steps, the arms taking turns; the first turn is not counted."""
    steps = {arm: make_step(arm, vocabulary, arguments) for arm in ARMS}
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for turn in range(arguments.steps + 1):
        for arm, step in steps.items():
            started = time.process_time()
            step()
            if turn:
                found[arm].append(time.process_time() - started)
    return found


def peak(arm: str, vocabulary: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Peak resident MiB of three steps in this process, and what of it they added."""
    step = make_step(arm, vocabulary, arguments)
    # Not getrusage: its peak survives exec and would be that of the parent.
    before = resident("VmRSS")
    for _ in range(3):
        step()
    after = resident("VmHWM")
    return {"peak": after, "step": after - before}


def resident(field: str) -> float:
    """A memory figure of this process in MiB, from the Linux kernel."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def peak_of_own_process(arm: str, vocabulary: int) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--peak", arm, str(vocabulary)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(arguments: argparse.Namespace) -> str:
    lines = [
        "| vocabulary | arm | CPU s a step | to plain | peak MiB | to plain | MiB of the step | "
        "to plain |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for vocabulary in arguments.vocabularies:
        found = seconds(vocabulary, arguments)
        peaks = {arm: peak_of_own_process(arm, vocabulary) for arm in ARMS}
        for arm in ARMS:
            ratio = statistics.median(
                ours / plain for ours, plain in zip(found[arm], found["plain"], strict=True)
            )
            memory = peaks[arm]
            lines.append(
                f"| {vocabulary} | {arm} | {statistics.median(found[arm]):.3f} | {ratio:.2f} | "
                f"{memory['peak']:.0f} | {memory['peak'] / peaks['plain']['peak']:.2f} | "
                f"{memory['step']:.0f} | {memory['step'] / peaks['plain']['step']:.2f} |"
            )
    return "\n".join(lines)


def machine() -> str:
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, one thread, Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[3_000, 32_000, 49_152])
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--prompt-share", type=float, default=0.25)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--chunk", type=int, default=RepairConfig.chunk_tokens)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("ARM", "VOCABULARY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        print(json.dumps(peak(arguments.peak[0], int(arguments.peak[1]), arguments)))
        return
    found = table(arguments)
    print(found)
    if arguments.out:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        command = " ".join(["python benchmarks/step_cost.py", *sys.argv[1:]])
        shape = (
            f"Llama of width {arguments.width}, {arguments.layers} layers; {arguments.rows} rows "
            f"of {arguments.length} tokens, {arguments.prompt_share:.0%} of them prompt; chunks of "
            f"{arguments.chunk} positions; float32; AdamW."
        )
        arguments.out.write_text(
            f"# Cost of a repair step\n\n`{command}`, commit {commit}, {machine()}.\n\n{shape} "
            f"What each column means stands at the head of the script.\n\n{found}\n"
        )


if __name__ == "__main__":
    main()
