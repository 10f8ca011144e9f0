"""The audit: two passes over a corpus, one report.

Pass 1 sketches the corpus, the measures score the sketch and the checks judge the scores. Pass 2
reads the corpus again and flags the rows that the findings implicate, because which words are a
template is known only when all rows have been seen. Where the rows lie is the engine's matter.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from synflaw_audit.clock import Clock
from synflaw_audit.engines.base import Engine, Outputs, Progress, silent
from synflaw_audit.engines.local.engine import LocalEngine, sketched
from synflaw_audit.engines.local.memory import Memory, within
from synflaw_audit.errors import InputError
from synflaw_audit.findings.report import Dataset, Finding, Flagged, Report
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.measures.picture import pictured
from synflaw_audit.reading import SourceLike, open_source
from synflaw_audit.sample.corpus import Corpus
from synflaw_audit.text.embedders import embedder_named
from synflaw_audit.text.perplexity import language_model_named
from synflaw_audit.verdicts.catalogue import Check, load_checks
from synflaw_audit.verdicts.judge import beside, judge, summaries
from synflaw_audit.verdicts.risk import risk
from synflaw_audit.verdicts.what_if import Sample

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from ray.data import Dataset as RayDataset

_LIBRARIES = ("synflaw-audit", "numpy", "pyarrow", "scikit-learn", "scipy", "zstandard")


def audit(
    source: SourceLike | DataFrame | RayDataset | Engine,
    *,
    reference: SourceLike | None = None,
    question: str | None = None,
    answer: str | None = None,
    checks: Sequence[Check] | None = None,
    embedder: str = "lsa",
    perplexity_model: str = "ngram",
    seed: int = 0,
    out: Path | None = None,
    split: bool = False,
    resume: bool = False,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Audits a question-answer corpus.

    Args:
        source: Files, directories, globs, a data set's name, a DataFrame or a table; a Spark
            DataFrame or a Ray data set; or an engine that reads a corpus somewhere else.
        reference: A corpus to compare with; its scores stand beside the audited corpus's.
        question: The column of the questions, where it cannot be told.
        answer: The column of the answers.
        checks: What to judge by; the shipped checks if not given.
        embedder: "lsa" or the name of a sentence-transformers model.
        perplexity_model: "ngram", fitted on the corpus, or the name of a causal language model.
        seed: Of everything random.
        out: A directory that gets ``flagged.parquet`` and ``rejected.jsonl``.
        split: It also gets every record once, in ``clean.parquet`` or ``quarantined.parquet``.
        resume: Go on where an interrupted audit of the same files into ``out`` stopped, if one did.
        memory_limit: Bytes to keep within, by smaller batches and a smaller sample.
        progress: Called with the stage and the number of records done.

    Returns:
        The report.

    Raises:
        InputError: If the corpus cannot be read, or a column cannot be told; if there is an
            interrupted audit to resume and it was of something else.
        MissingExtraError: If the embedder or model needs an extra that is not installed.
    """
    clock, tell = Clock(), progress or silent
    memory = within(memory_limit)
    known = load_checks() if checks is None else tuple(checks)
    beside_it = None if reference is None else open_source(reference)
    compared_files = None if beside_it is None else list(beside_it.files)
    named = {"embedder": embedder, "perplexity model": perplexity_model, "seed": seed}
    settings = named | {
        "checks": [asdict(check) for check in known],
        "reference": compared_files,
        "split": split,
        "memory limit": memory_limit,
        "versions": versions(),
    }
    outputs = Outputs(out, split, settings)
    with clock("read"):
        engine = _engine(source, question, answer, resume, memory)
        first = engine.first_pass(outputs, tell)
    sketch, model = first.sketch, language_model_named(perplexity_model)
    corpus = Corpus(sketch, embedder_named(embedder, seed), language_model=model)
    compared: tuple[Finding, ...] = ()
    if beside_it is not None:
        with clock("reference"):
            sketched_too = sketched(beside_it, tell, memory=memory).sketch
            other = Corpus(sketched_too, corpus.embedder, language_model=model)
            corpus = replace(corpus, reference=other)
            compared = judge(other, known).findings
    tell("measuring", 0)
    with clock("measure"):
        judgement = judge(corpus, known, clock)
    with clock("flag"):
        second = engine.second_pass(judgement.flagger, outputs, tell)
    picture = None
    if reference is not None:
        with clock("picture"):
            picture = pictured(corpus)
    return Report(
        dataset=Dataset(
            engine.files, sketch.records, first.rejected, engine.schemas(), second.tokens
        ),
        verdict=judgement.verdict,
        risk=risk(judgement.findings),
        checks=_flagging(beside(judgement.findings, compared), judgement.flagger, second.tally),
        templates=summaries(judgement.templates, corpus),
        flagged_summary=Flagged(second.flagged, second.flagged / sketch.records),
        config={
            "checks": [check.code for check in known],
            "embedder": corpus.embedder.name,
            "perplexity_model": model.name,
            "seed": seed,
            "reference": compared_files,
            "sample": {"rows": len(corpus), "complete": sketch.complete},
        },
        versions=versions(),
        seconds={**clock.seconds, "total": clock.total()},
        picture=picture,
        _flagged=second.rows,
        _what_if=Sample(corpus, known, judgement),
    )


def _engine(
    source: SourceLike | DataFrame | RayDataset | Engine,
    question: str | None,
    answer: str | None,
    resume: bool,
    memory: Memory,
) -> Engine:
    # Whoever holds a data set of one of these has imported the library; nobody else pays for it.
    library = type(source).__module__.partition(".")[0]
    if library in ("pyspark", "ray") or isinstance(source, Engine):
        if resume:
            raise InputError("only the local engine resumes an audit; Spark repeats its own tasks")
        if memory != within(None):
            raise InputError("only the local engine keeps a memory limit; executors have their own")
    if isinstance(source, Engine):
        return source
    if library == "pyspark":
        from synflaw_audit.engines.spark.engine import SparkEngine

        return SparkEngine(source, question=question, answer=answer)
    if library == "ray":
        from synflaw_audit.engines.ray import RayEngine

        return RayEngine(source, question=question, answer=answer)
    size = memory.batch_records
    opened = open_source(source, question=question, answer=answer, batch_records=size)
    return LocalEngine(opened, resume, memory)


def _flagging(findings: Sequence[Finding], flagger: Flagger, tally: Tally) -> tuple[Finding, ...]:
    """The findings, each that marks rows with the records it flags."""
    marking = {name for name, _ in flagger.markers}
    return tuple(
        replace(finding, flagged=tally.of(finding.name, finding.records))
        if finding.name in marking
        else finding
        for finding in findings
    )


def versions() -> dict[str, str]:
    """Of Python, this package and the libraries that a score may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
