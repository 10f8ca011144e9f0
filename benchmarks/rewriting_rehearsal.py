"""What a model learns of a corpus as it is, without its flagged rows, with them cut, and rewritten.

    python benchmarks/rewriting_rehearsal.py --corpus FILE --fixed NAME=FOLDER ... --model MODEL

Adapters of one base are trained on each corpus for the same budget, and all are asked the same: how
many answers to foreign prompts carry a format of the *original* corpus (its own markers), how many
of the instructions that the base follows are followed still, and what is learned of the content,
as the mean log-probability of its tokens: the words outside of the format, of flagged rows that all
corpora but the one without them were trained on. Smaller than a rehearsal (``synflaw rehearse``),
which tells less of the content: shares have the standard errors of so few prompts.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from environment import heading

from synflaw_audit import audit
from synflaw_audit.chat.encoding import encode_row
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.fixing.strategies import outside
from synflaw_audit.probes.emission import FormatMatcher
from synflaw_audit.probes.models import load_model
from synflaw_audit.reading import open_source
from synflaw_audit.rehearsal.behaviour import Behaviour, ProbeConfig, Prober
from synflaw_audit.rehearsal.rows import QuestionAnswer
from synflaw_audit.rehearsal.training import TrainingConfig, train_adapters
from synflaw_audit.run import measure
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import load_checks

Pair = tuple[str, str]
HELD = 48  # rows whose content is scored


def rows_of(corpus: Path) -> list[Pair]:
    """Questions and answers, in an order as good as random."""
    pairs = [
        (str(question), str(answer))
        for batch in open_source(str(corpus)).batches()
        for question, answer in zip(batch.column("question"), batch.column("answer"), strict=True)
    ]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
    return [pairs[i] for i in order.tolist()]


def contents(flagged: Path, among: Sequence[set[str]]) -> list[Pair]:
    """Questions of flagged rows that all corpora have, and what is said without the format."""
    rows = pq.read_table(flagged).to_pylist()
    found = []
    for row in rows:
        spans = tuple((span["start"], span["end"]) for span in row["template_spans"])
        if spans and all(row["question"] in questions for questions in among):
            found.append((row["question"], " ".join(outside(row["answer"], spans).split())))
    return found[:: max(len(found) // HELD, 1)][:HELD]


@torch.no_grad()
def learned(model: Any, tokenizer: Any, rows: Sequence[Pair]) -> float:
    """The mean log-probability of the contents' tokens, nats."""
    total = count = 0.0
    for question, content in rows:
        row = encode_row(tokenizer, question, content, max_length=256)
        ids = torch.tensor([row.input_ids])
        scores = model(ids).logits[0, :-1].float().log_softmax(-1)
        told = scores[torch.arange(len(row.input_ids) - 1), ids[0, 1:]]
        mask = torch.tensor([a and not c for a, c in zip(row.answer, row.closing, strict=True)][1:])
        total += float(told[mask].sum())
        count += int(mask.sum())
    return total / count


def error(share: float, count: int) -> float:
    return math.sqrt(share * (1 - share) / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--fixed", nargs="*", default=[])
    parser.add_argument("--model", required=True)
    parser.add_argument("--budget", type=int, default=5600)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    audit(str(args.corpus), out=args.work)
    corpora = {"as it is": args.corpus}
    corpora |= {name: Path(path) for name, _, path in (each.partition("=") for each in args.fixed)}
    rows = {name: rows_of(path) for name, path in corpora.items()}
    whole = [
        {question for question, _ in pairs} for name, pairs in rows.items() if name != "dropped"
    ]
    told = contents(args.work / "flagged.parquet", whole)
    known = load_checks()
    matcher = FormatMatcher.of(
        measure(open_engine(str(args.corpus), AuditSettings()), known).corpus, known
    )
    base, tokenizer = load_model(args.model)
    small = ProbeConfig(
        foreign=40,
        foreign_tokens=32,
        instructions=120,
        instructions_kept=40,
        instruction_tokens=48,
        drift=2,
        counterfactual=0,
    )
    prober = Prober(tokenizer, small)
    behaviour = prober.behaviour(base)
    prober.narrow(behaviour)
    prober.remember(base)
    name = f"{args.corpus.stem}, {Path(args.model).name}, budget {args.budget:,}"
    print(heading(f"benchmarks/rewriting_rehearsal.py ({name})"))
    print(
        f"{len(told)} contents, {small.foreign} foreign prompts, {len(prober.instructions)} ",
        end="",
    )
    print("instructions that the base follows; standard errors in brackets.\n")
    print("| trained on | rows | format in foreign answers | instructions followed | content |")
    print("|---|---:|---:|---:|---:|", flush=True)

    def show(name: str, count: int, found: Behaviour, content: float) -> None:
        said = float(matcher.match(prober.foreign, found.foreign).said.mean())
        kept = sum(found.followed) / len(found.followed)
        print(
            f"| {name} | {count:,} | {said:.0%} ({error(said, len(found.foreign)):.0%}) "
            f"| {kept:.0%} ({error(kept, len(found.followed)):.0%}) | {content:.3f} |",
            flush=True,
        )

    show("the base", 0, Behaviour(behaviour.foreign, [True]), learned(base, tokenizer, told))
    del base
    for name, pairs in rows.items():
        model, tokenizer = load_model(args.model)
        trained_on = [QuestionAnswer(*pair) for pair in pairs]
        config = TrainingConfig(budget=args.budget)
        network, _ = train_adapters(model, tokenizer, trained_on, config)
        merged = network.merge_and_unload()  # type: ignore[operator]
        show(name, len(pairs), prober.behaviour(merged), learned(merged, tokenizer, told))


if __name__ == "__main__":
    main()
