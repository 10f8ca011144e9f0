"""What a repair is judged by when no probe is given: likelihoods on the rows themselves.

Four numbers, before and after: how likely the model finds the flagged rows' format, how likely
their content, and how well it still predicts ordinary text that the repair did not train on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from synflaw_audit.repair.material.batches import Collator, Example, Purpose
from synflaw_audit.repair.methods.forgetting.forward import in_chunks, output_layer, selected_logits
from synflaw_audit.repair.methods.forgetting.losses import cross_entropy


def target_log_likelihoods(
    model: nn.Module,
    examples: Sequence[Example],
    collator: Collator,
    *,
    batch_size: int = 8,
    chunk_tokens: int = 1024,
) -> dict[Purpose, list[float]]:
    """Log-likelihood in nats of every target token of the examples, by purpose.

    The model is put into evaluation mode for the time being. Rows are taken in order of length, so
    that little is padded.
    """
    found: dict[Purpose, list[float]] = {purpose: [] for purpose in Purpose if purpose}
    head = output_layer(model)
    device = next(model.parameters()).device
    ordered = sorted(examples, key=lambda example: len(example.input_ids))
    training = model.training
    model.train(False)
    try:
        for at in range(0, len(ordered), batch_size):
            batch = collator(ordered[at : at + batch_size])
            purposes = batch.pop("purposes")[:, 1:].to(device)
            inputs = {name: value.to(device) for name, value in batch.items()}
            rows, columns = purposes.nonzero(as_tuple=True)
            if not len(rows):
                continue
            ids = inputs["input_ids"][rows, columns + 1]
            with torch.no_grad():
                logits = selected_logits(model, head, inputs, rows, columns)
                pair = (logits, ids)
                losses = in_chunks(lambda x, y: (cross_entropy(x, y),), pair, chunk_tokens)[0]
            for purpose, loss in zip(
                purposes[rows, columns].tolist(), losses.tolist(), strict=True
            ):
                found[Purpose(purpose)].append(-loss)
    finally:
        model.train(training)
    return found


def likelihoods(
    model: nn.Module,
    flagged: Sequence[Example],
    held_out: Sequence[Example],
    collator: Collator,
    *,
    batch_size: int = 8,
) -> dict[str, float]:
    """The built-in figures of a before/after table.

    Args:
        model: The model to measure.
        flagged: Flagged rows, encoded with scope ``template``.
        held_out: Replay rows that no step trains on.
        collator: Pads them.
        batch_size: Rows at a time.

    Returns:
        ``template_probability`` (mean probability of a template token), ``template_log_likelihood``
        and ``content_log_likelihood`` (means in nats a token) and ``replay_perplexity``; a figure
        without any token to measure it on is left out.
    """
    by_purpose = target_log_likelihoods(
        model, [*flagged, *held_out], collator, batch_size=batch_size
    )
    template = by_purpose[Purpose.FORGET]
    content = by_purpose[Purpose.RETAIN]
    replay = by_purpose[Purpose.REPLAY]
    figures = {}
    if template:
        figures["template_probability"] = math.fsum(map(math.exp, template)) / len(template)
        figures["template_log_likelihood"] = math.fsum(template) / len(template)
    if content:
        figures["content_log_likelihood"] = math.fsum(content) / len(content)
    if replay:
        figures["replay_perplexity"] = _perplexity(replay)
    return figures


def token_probability(
    model: nn.Module, examples: Sequence[Example], collator: Collator, batch_size: int = 8
) -> float:
    """Mean probability of the replay tokens of ``examples``: how likely ordinary text is."""
    found = target_log_likelihoods(model, examples, collator, batch_size=batch_size)
    values = found[Purpose.REPLAY]
    return math.fsum(map(math.exp, values)) / len(values)


@torch.no_grad()
def repetition(
    model: nn.Module, examples: Sequence[Example], pad_id: int, *, new_tokens: int = 32
) -> float:
    """Share of 4-grams that repeat an earlier one in greedy answers to the examples' prompts.

    Plain text has no prompt; its first tokens serve. 0 where no answer has four tokens.
    """
    prompts = [_prompt(example) for example in examples]
    if not prompts:
        return 0.0
    length = max(map(len, prompts))
    device = next(model.parameters()).device
    ids = torch.tensor([[pad_id] * (length - len(each)) + each for each in prompts], device=device)
    mask = torch.tensor([[0] * (length - len(each)) + [1] * len(each) for each in prompts])
    training = model.training
    model.train(False)
    try:
        generated = model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=mask.to(device),
            max_new_tokens=new_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=pad_id,
        )
    finally:
        model.train(training)
    grams = repeated = 0
    for answer in generated[:, length:].tolist():
        while answer and answer[-1] == pad_id:
            answer.pop()
        found = [tuple(answer[at : at + 4]) for at in range(len(answer) - 3)]
        grams += len(found)
        repeated += len(found) - len(set(found))
    return repeated / grams if grams else 0.0


def _prompt(example: Example, plain: int = 8) -> list[int]:
    """What precedes the first target, or the first tokens of a row that is all target."""
    first = next(at for at, purpose in enumerate(example.purposes[1:], 1) if purpose)
    return example.input_ids[: first if first > 1 else plain]


def _perplexity(log_likelihoods: Sequence[float]) -> float:
    mean = -sum(log_likelihoods) / len(log_likelihoods)
    # NaN stays NaN: the caller asks whether the figure is finite.
    return math.exp(mean) if not mean > 700 else math.inf
