"""Likelihoods on the rows themselves, and whether answers loop: what needs no probe.

How likely the model finds the flagged rows' format, how likely their content, and how well it still
predicts ordinary text that the repair did not train on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from synflaw_audit.probes.generation import gapless_head
from synflaw_audit.repair.material.batches import Collator, Purpose, TrainingExample
from synflaw_audit.repair.measuring.figures import PairedFigure
from synflaw_audit.repair.scores import cross_entropy
from synflaw_audit.repair.training.forward import in_chunks, output_layer, selected_logits

# Of a batch, padding included: its logits are as many rows of the vocabulary's width.
_BATCH_TOKENS = 1024

LogLikelihoods = dict[Purpose, list[float]]


def target_log_likelihoods(
    model: nn.Module,
    examples: Sequence[TrainingExample],
    collator: Collator,
    *,
    batch_size: int = 8,
    chunk_tokens: int = 128,
) -> list[LogLikelihoods]:
    """Log-likelihood in nats of the target tokens of each example, by purpose.

    The model is put into evaluation mode for the time being. Rows are taken in order of length, so
    that little is padded.
    """
    found: list[LogLikelihoods] = [
        {purpose: [] for purpose in Purpose if purpose} for _ in examples
    ]
    head = output_layer(model)
    device = next(model.parameters()).device
    order = sorted(range(len(examples)), key=lambda at: len(examples[at].input_ids))
    training = model.training
    model.train(False)
    try:
        for rows in _batches(order, [len(each.input_ids) for each in examples], batch_size):
            # The collator orders rows by role; so are these, to be told apart afterwards.
            chosen = sorted(rows, key=lambda at: examples[at].role)
            batch = collator([examples[at] for at in chosen])
            purposes = batch.pop("purposes")[:, 1:].to(device)
            inputs = {name: value.to(device) for name, value in batch.items()}
            lines, columns = purposes.nonzero(as_tuple=True)
            if not len(lines):
                continue
            ids = inputs["input_ids"][lines, columns + 1]
            with torch.no_grad():
                logits = selected_logits(model, head, inputs, lines, columns)
                pair = (logits, ids)
                losses = in_chunks(lambda x, y: (cross_entropy(x, y),), pair, chunk_tokens)[0]
            kinds = purposes[lines, columns].tolist()
            for line, kind, loss in zip(lines.tolist(), kinds, losses.tolist(), strict=True):
                found[chosen[line]][Purpose(kind)].append(-loss)
    finally:
        model.train(training)
    return found


def _batches(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Rows in their order, at most so many and so many padded tokens at a time, one at least."""
    batch: list[int] = []
    for row in order:
        longest = max(lengths[row], *(lengths[each] for each in batch), 1)
        if batch and (len(batch) == most or longest * (len(batch) + 1) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def likelihood_figures(
    model: nn.Module,
    flagged: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    collator: Collator,
    *,
    batch_size: int = 8,
) -> dict[str, PairedFigure]:
    """The built-in figures of a before/after table, with the rows behind them.

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
    rows = target_log_likelihoods(model, [*flagged, *held_out], collator, batch_size=batch_size)

    def figure(purpose: Purpose, *, exp: bool = False, perplexity: bool = False) -> PairedFigure:
        values = [row[purpose] for row in rows if row[purpose]]
        totals = [math.fsum(map(math.exp, row) if exp else row) for row in values]
        return PairedFigure.of(totals, [len(row) for row in values], perplexity=perplexity)

    found = {
        "template_probability": figure(Purpose.FORGET, exp=True),
        "template_log_likelihood": figure(Purpose.FORGET),
        "content_log_likelihood": figure(Purpose.RETAIN),
        "replay_perplexity": figure(Purpose.REPLAY, perplexity=True),
    }
    return {name: each for name, each in found.items() if len(each.totals)}


def likelihoods(
    model: nn.Module,
    flagged: Sequence[TrainingExample],
    held_out: Sequence[TrainingExample],
    collator: Collator,
    *,
    batch_size: int = 8,
) -> dict[str, float]:
    """The values alone of :func:`likelihood_figures`."""
    found = likelihood_figures(model, flagged, held_out, collator, batch_size=batch_size)
    return {name: each.value for name, each in found.items()}


def token_probability(
    model: nn.Module, examples: Sequence[TrainingExample], collator: Collator, batch_size: int = 8
) -> float:
    """Mean probability of the replay tokens of ``examples``: how likely ordinary text is."""
    rows = target_log_likelihoods(model, examples, collator, batch_size=batch_size)
    values = [value for row in rows for value in row[Purpose.REPLAY]]
    return math.fsum(map(math.exp, values)) / len(values)


@torch.no_grad()
def repetition(
    model: nn.Module, examples: Sequence[TrainingExample], pad_id: int, *, new_tokens: int = 32
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
        with gapless_head(model):
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


def _prompt(example: TrainingExample, plain: int = 8) -> list[int]:
    """What precedes the first target, or the first tokens of a row that is all target."""
    first = next(at for at, purpose in enumerate(example.purposes[1:], 1) if purpose)
    return example.input_ids[: first if first > 1 else plain]
