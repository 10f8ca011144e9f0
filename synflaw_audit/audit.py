"""The audit: two passes over a corpus, one report.

Pass 1 sketches the corpus, the measures score the sketch and the checks judge the scores. Pass 2
reads the corpus again and flags the rows that the findings implicate, because which words are a
template is known only when all rows have been seen.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synflaw_audit.catalogue import Check, load_checks
from synflaw_audit.corpus import Corpus
from synflaw_audit.embedders import embedder_named
from synflaw_audit.flags import Flagger
from synflaw_audit.measures import MEASURES, Marker, Measure, Score
from synflaw_audit.perplexity import language_model_named
from synflaw_audit.readers import Rejected, Source, SourceLike, open_source
from synflaw_audit.records import FLAGGED
from synflaw_audit.report.model import (
    Dataset,
    Finding,
    Flagged,
    Report,
    TemplateSummary,
    Verdict,
)
from synflaw_audit.risk import risk
from synflaw_audit.sinks import FlaggedWriter, RejectedWriter, Sink, closing
from synflaw_audit.sketch import Sketch
from synflaw_audit.templates import Template
from synflaw_audit.tokens import Mask

# Called with the stage ("reading", "measuring" or "flagging") and the records done in it.
Progress = Callable[[str, int], None]
OnReject = Callable[[Rejected], None]

EXAMPLE_CHARACTERS = 600
_LIBRARIES = ("synflaw-audit", "numpy", "pyarrow", "scikit-learn", "scipy", "zstandard")


@dataclass(frozen=True)
class Judgement:
    """The findings of pass 1, and what pass 2 needs to flag rows."""

    findings: tuple[Finding, ...]
    templates: tuple[Template, ...]
    flagger: Flagger
    verdict: Verdict


def audit(
    source: SourceLike,
    *,
    reference: SourceLike | None = None,
    question: str | None = None,
    answer: str | None = None,
    checks: Sequence[Check] | None = None,
    embedder: str = "lsa",
    perplexity_model: str = "ngram",
    seed: int = 0,
    out: Path | None = None,
    sinks: Sequence[Sink] = (),
    progress: Progress | None = None,
) -> Report:
    """Audits a question-answer corpus.

    Args:
        source: Files, directories, globs, a data set's name, a DataFrame or a table.
        reference: A corpus to compare with; its scores stand beside the audited corpus's.
        question: The column of the questions, where it cannot be told.
        answer: The column of the answers.
        checks: What to judge by; the shipped checks if not given.
        embedder: "lsa" or the name of a sentence-transformers model.
        perplexity_model: "ngram", fitted on the corpus, or the name of a causal language model.
        seed: Of everything random.
        out: A directory that gets ``flagged.parquet`` and ``rejected.jsonl``.
        sinks: Take the records of pass 2 as they are flagged.
        progress: Called with the stage and the number of records done.

    Returns:
        The report.

    Raises:
        InputError: If the corpus cannot be read, or a column cannot be told.
        MissingExtraError: If the embedder or model needs an extra that is not installed.
    """
    clock, tell = Clock(), progress or _silent
    opened = open_source(source, question=question, answer=answer)
    known = load_checks() if checks is None else tuple(checks)
    rows, rejects, flagged_rows = _outputs(out)
    outputs = [rows, *sinks]
    with closing([*outputs, *([rejects] if rejects else [])]):
        with clock("read"):
            sketch, rejected = sketched(opened, tell, rejects)
        model = language_model_named(perplexity_model)
        corpus = Corpus(sketch, embedder_named(embedder, seed), language_model=model)
        compared: tuple[Finding, ...] = ()
        if reference is not None:
            with clock("reference"):
                other, _ = sketched(open_source(reference), tell, None)
                beside = Corpus(other, corpus.embedder, language_model=model)
                corpus = replace(corpus, reference=beside)
                compared = judge(beside, known).findings
        tell("measuring", 0)
        with clock("measure"):
            judgement = judge(corpus, known)
        with clock("flag"):
            tokens, flagged = _flag(opened, judgement.flagger, outputs, tell)
    return Report(
        dataset=Dataset(opened.files, sketch.records, rejected, opened.schemas(), tokens),
        verdict=judgement.verdict,
        risk=risk(judgement.findings),
        checks=_beside(judgement.findings, compared),
        templates=_summaries(judgement.templates, corpus),
        flagged_summary=Flagged(flagged, flagged / sketch.records),
        config={
            "checks": [check.code for check in known],
            "embedder": corpus.embedder.name,
            "perplexity_model": model.name,
            "seed": seed,
            "reference": list(open_source(reference).files) if reference is not None else None,
            "sample": {"rows": len(corpus), "complete": sketch.complete},
        },
        versions=_versions(),
        seconds={**clock.seconds, "total": clock.total()},
        _flagged=flagged_rows,
    )


def _outputs(out: Path | None) -> tuple[Sink, RejectedWriter | None, Callable[[], pa.Table]]:
    """Where flagged and rejected rows go, and how the flagged ones are had back."""
    if out is None:
        kept = _Kept()
        return kept, None, kept.table
    out.mkdir(parents=True, exist_ok=True)
    path = out / "flagged.parquet"
    return FlaggedWriter(path), RejectedWriter(out / "rejected.jsonl"), partial(pq.read_table, path)


def sketched(source: Source, tell: Progress, on_reject: OnReject | None) -> tuple[Sketch, int]:
    """Pass 1: the sketch of a corpus, and how many rows could not be read."""
    rejected = 0

    def reject(row: Rejected) -> None:
        nonlocal rejected
        rejected += 1
        if on_reject is not None:
            on_reject(row)

    sketch = Sketch()
    for batch in source.batches(reject):
        sketch = sketch.added(batch)
        tell("reading", sketch.records)
    return sketch, rejected


def judge(corpus: Corpus, checks: Sequence[Check]) -> Judgement:
    """Scores a sketched corpus by every check."""
    findings: list[Finding] = []
    markers: list[tuple[str, Marker]] = []
    found: tuple[Template, ...] = ()
    for check in checks:
        measure: Measure = MEASURES[check.measure](**check.params)
        score = measure.score(corpus)
        verdict = _verdict(check, score, corpus.sketch.records)
        findings.append(_finding(check, score, verdict, corpus.sketch.records))
        found += score.templates
        if verdict in ("warn", "fail") and (marker := measure.marker(corpus)) is not None:
            markers.append((check.name, marker))
    verdicts = zip(checks, findings, strict=True)
    overall = _overall([_weighed(check, finding.verdict) for check, finding in verdicts])
    return Judgement(tuple(findings), found, Flagger(tuple(markers)), overall)


def _verdict(check: Check, score: Score, records: int) -> Verdict:
    if records < check.min_records or score.undecided:
        return "undecided"
    if score.value > check.fail_above:
        return "fail"
    return "warn" if score.value > check.warn_above else "pass"


def _finding(check: Check, score: Score, verdict: Verdict, records: int) -> Finding:
    return Finding(
        code=check.code,
        name=check.name,
        title=check.title,
        score=float(score.value),
        low=float(score.low),
        high=float(score.high),
        verdict=verdict,
        warn_above=check.warn_above,
        fail_above=check.fail_above,
        records=records,
        observed=score.observed | ({"reason": score.undecided} if score.undecided else {}),
    )


def _weighed(check: Check, verdict: Verdict) -> Verdict:
    """An experimental check warns at most: nothing measured yet says that it should stop anyone."""
    return "warn" if verdict == "fail" and check.status == "experimental" else verdict


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    order: tuple[Verdict, ...] = ("fail", "warn", "pass")
    return next((worst for worst in order if worst in verdicts), "undecided")


def _beside(findings: Sequence[Finding], compared: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, each with the reference's score among what was observed."""
    if not compared:
        return tuple(findings)
    return tuple(
        replace(
            finding,
            observed={
                **finding.observed,
                "reference": {"score": other.score, "low": other.low, "high": other.high},
            },
        )
        for finding, other in zip(findings, compared, strict=True)
    )


def _summaries(templates: Sequence[Template], corpus: Corpus) -> tuple[TemplateSummary, ...]:
    return tuple(
        TemplateSummary(
            id=template.id,
            pattern=template.pattern,
            share=template.share,
            records=round(template.share * corpus.sketch.records),
            examples=tuple(text[:EXAMPLE_CHARACTERS] for text in template.examples),
        )
        for template in templates
    )


def _flag(
    source: Source, flagger: Flagger, sinks: Sequence[Sink], tell: Progress
) -> tuple[int, int]:
    """Pass 2: the tokens and the flagged records of the corpus; every sink gets every batch."""
    tokens = flagged = done = 0
    for batch in source.batches():
        mask, rows, count = flagger.flag(batch)
        for sink in sinks:
            sink.write(batch, mask, rows)
        tokens += count
        flagged += rows.num_rows
        done += batch.num_rows
        tell("flagging", done)
    return tokens, flagged


class _Kept:
    """Keeps the flagged rows in memory, for an audit that writes no files."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []

    def write(self, records: pa.RecordBatch, mask: Mask, flagged: pa.RecordBatch) -> None:
        """See ``Sink.write``."""
        self._batches.append(flagged)

    def close(self) -> None:
        """See ``Output.close``."""

    def discard(self) -> None:
        """See ``Output.discard``."""
        self._batches.clear()

    def table(self) -> pa.Table:
        """The flagged rows."""
        return pa.Table.from_batches(self._batches, schema=FLAGGED)


def _silent(stage: str, done: int) -> None:
    """Tells nobody."""


class Clock:
    """Wall-clock seconds by stage."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times the block as a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start

    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
