"""The audit: two passes over a corpus, one report.

Pass 1 sketches the corpus, the measures score the sketch and the checks judge the scores. Pass 2
reads the corpus again and flags the rows that the findings implicate, because which words are a
template is known only when all rows have been seen. Where the rows lie is the engine's matter.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synflaw_audit.allowed import Allow, Allowances
from synflaw_audit.clock import Clock
from synflaw_audit.engines.base import (
    Engine,
    FirstPass,
    Outputs,
    Progress,
    SecondPass,
    silent,
)
from synflaw_audit.engines.local.engine import LocalEngine, sketched
from synflaw_audit.engines.local.memory import Memory, memory_plan, parsed
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.findings.groups import Groups
from synflaw_audit.findings.leakage import Leakage
from synflaw_audit.findings.report import AllowedFormat, Dataset, Finding, Flagged, Report
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.groups import Grouping
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.measures.densities import perplexities, token_frequencies
from synflaw_audit.measures.picture import pictured
from synflaw_audit.outputs.folder import OutputFolder, output_folder
from synflaw_audit.outputs.manifest import manifest_of
from synflaw_audit.outputs.names import ROW_FILES, SPLIT_FILES
from synflaw_audit.reading import Source, SourceLike, open_source
from synflaw_audit.sample.corpus import Corpus, distinct_rows
from synflaw_audit.sample.repeats import Repeats
from synflaw_audit.sample.sketch import Sketch
from synflaw_audit.settings import AuditSettings
from synflaw_audit.text.embedders import embedder_named
from synflaw_audit.text.perplexity import language_model_named
from synflaw_audit.verdicts.catalogue import Check, load_checks, selected
from synflaw_audit.verdicts.fields import judged_fields
from synflaw_audit.verdicts.groups import judged_groups
from synflaw_audit.verdicts.judge import (
    CheckScore,
    Judgement,
    judge,
    judged,
    scored,
    summaries,
    with_reference,
)
from synflaw_audit.verdicts.leakage import leakage, split_records
from synflaw_audit.verdicts.near_leakage import with_near
from synflaw_audit.verdicts.risk import risk
from synflaw_audit.verdicts.what_if import AuditSample

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from ray.data import Dataset as RayDataset

# Those that a score may depend on, the compiler of the loops and what proposes near-duplicates.
_LIBRARIES = (
    "synflaw-audit",
    "numba",
    "numpy",
    "pyarrow",
    "rensa",
    "scikit-learn",
    "scipy",
    "zstandard",
)


def audit(
    source: SourceLike | DataFrame | RayDataset | Engine,
    settings: AuditSettings | None = None,
    *,
    reference: SourceLike | None = None,
    checks: Sequence[Check] | Path | None = None,
    allow: Sequence[Allow] = (),
    out: Path | OutputFolder | None = None,
    split: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Report:
    """Audits a question-answer corpus.

    Args:
        source: Files, directories, globs, a data set's name, a DataFrame or a table; a Spark
            DataFrame or a Ray data set; or an engine that reads a corpus somewhere else.
        settings: What it is told; the fields of ``AuditSettings`` can also be given one by one.
        reference: A corpus to compare with; its scores stand beside the audited corpus's.
        checks: What to judge by: checks, or a directory of them besides the shipped ones; those
            that run by default if not given.
        allow: Formats that are intended. Their words are taken out of the answers, the reference's
            too, before anything is measured; they are in no span, and the rest is judged as ever.
        out: A directory that gets ``flagged.parquet``, ``rejected.jsonl`` and, last, ``run.json``,
            in place of what an earlier run wrote there; or an open ``OutputFolder``, to which more
            is to be written before all is published.
        split: It also gets every record once, in ``clean.parquet`` or ``quarantined.parquet``.
        progress: Called with the stage and the number of records done.
        changes: Fields of the settings: ``question`` and ``answer``, the columns, where they cannot
            be told, and ``reference_question`` and ``reference_answer``; ``select``, ``embedder``,
            ``perplexity_model``; ``seed``, which draws the records of a large corpus that are
            judged, and whatever else is drawn; ``resume``, ``memory_limit``, ``engine`` and what
            else ``settings.AuditSettings`` has.

    Returns:
        The report.

    Raises:
        InputError: If the corpus cannot be read, or a column cannot be told, or it changed while
            it was read; if ``out`` holds an input, lies among them or is being written by another
            run; if there is an interrupted audit to resume and it was of something else.
        MissingExtraError: If the embedder or model needs an extra that is not installed.
    """
    settings = replace(settings or AuditSettings(), **changes)
    known = _known(checks, settings)
    limit = None if settings.memory_limit is None else parsed(settings.memory_limit)
    memory = memory_plan(limit)
    other = settings.reference if reference is None else reference
    with _opened(out, split, (*_named(source), *_named(other))) as folder:
        compared = None if other is None else _opened_reference(other, settings)
        named = {
            "embedder": settings.embedder,
            "perplexity model": settings.perplexity_model,
            "seed": settings.seed,
        }
        allowed = Allowances(tuple(one.read() for one in allow))
        deciding = named | {
            "checks": [asdict(check) for check in known],
            "reference": None if compared is None else [compared.files, compared.schemas()],
            "split": split,
            "allow": [asdict(one) for one in allowed.formats],
            "by": settings.by,
            "memory limit": limit,
            "versions": versions(),
        }
        by = None if settings.by is None else Grouping(settings.by)
        outputs = Outputs(split=split, by=by, settings=deciding, allowed=allowed)
        if folder is not None:
            outputs = replace(
                outputs, folder=folder.staging, published=folder.path, journal=folder.journal
            )
        measured = measure(
            open_engine(source, settings),
            known,
            reference=compared,
            embedder=settings.embedder,
            perplexity_model=settings.perplexity_model,
            seed=settings.seed,
            memory=memory,
            outputs=outputs,
            progress=progress,
        )
        judgement = measured.judge()
        second = measured.flag(judgement, outputs)
        report = measured.report(judgement, second)
        report = replace(report, groups=measured.groups(judgement, second))
        if measured.first.fields:
            with measured.clock("fields"):
                beside_them = judged_fields(
                    measured.first.fields, measured.corpus, known, judgement.findings
                )
            report = replace(report, fields=beside_them)
        report = replace(report, leakage=measured.leakage(second))
        report = _with_pictures(report, measured)
        if folder is not None and folder is not out:
            folder.publish(manifest_of(report, "audited"))
    return replace(report, _what_if=AuditSample(measured.corpus, known, judgement))


@dataclass(frozen=True, eq=False)
class MeasuredCorpus:
    """A corpus that has been read once and scored by every check.

    It can be judged by the checks' own limits or by others, as often as one likes; the rows that a
    judgement implicates are flagged by another pass.

    Attributes:
        engine: Reads the corpus.
        corpus: What the first pass kept of it.
        first: What that pass found.
        scores: Of every check.
        compared: The findings of the reference, in the same order; empty where there is none.
        reference: Which questions it holds; None where there is none.
        config: The options, as the report names them.
        clock: Takes the seconds of each stage.
        progress: Called with the stage and the number of records done.
    """

    engine: Engine
    corpus: Corpus
    first: FirstPass
    scores: tuple[CheckScore, ...]
    compared: tuple[Finding, ...]
    reference: Repeats | None
    config: Mapping[str, Any]
    clock: Clock
    progress: Progress

    def judge(self, limits: Mapping[str, float] | None = None) -> Judgement:
        """Judges the scores; see ``verdicts.judge.judged``."""
        judgement = judged(self.corpus, self.scores, limits)
        return replace(judgement, findings=with_reference(judgement.findings, self.compared))

    def flag(self, judgement: Judgement, outputs: Outputs) -> SecondPass:
        """Reads the corpus again and flags the rows that a judgement implicates."""
        with self.clock("flag"):
            return self.engine.second_pass(judgement.flagger, outputs, self.progress)

    def groups(self, judgement: Judgement, second: SecondPass) -> Groups | None:
        """The corpus in the groups that the second pass was asked for; None if it was not."""
        if second.groups is None:
            return None
        checks = [one.check for one in self.scores]
        with self.clock("groups"):
            return judged_groups(second.groups, self.corpus, checks, judgement.findings)

    def leakage(self, second: SecondPass) -> Leakage:
        """What splits of the corpus share, and what a reference shares with it."""
        records = split_records([(f.file, f.records) for f in self.first.accounts.files])
        with self.clock("leakage"):
            found = leakage(self.first.repeats, self.reference, second.tally.worded, records)
            if len(records) > 1 and isinstance(self.engine, LocalEngine):
                found = with_near(found, self.engine.source)
        return found

    def report(self, judgement: Judgement, second: SecondPass | None) -> Report:
        """What was found.

        Args:
            judgement: By whichever limits.
            second: The rows that it implicates; None if nobody has looked for them, and then the
                number of tokens is an estimate.
        """
        sketch, first = self.corpus.sketch, self.first
        checks = judgement.findings
        if second is not None:
            checks = _flagging(checks, judgement.flagger, second.tally)
        flagged = 0 if second is None else second.flagged
        quarantined = 0 if second is None else second.quarantined
        tokens = _tokens(self.corpus) if second is None else second.tokens
        return Report(
            dataset=Dataset(
                self.engine.files,
                sketch.records,
                first.rejected,
                self.engine.schemas(),
                tokens,
                first.accounts,
                distinct_rows(self.corpus),
            ),
            verdict=judgement.verdict,
            risk=risk(judgement.findings),
            checks=checks,
            templates=summaries(judgement),
            flagged_summary=Flagged(
                flagged, flagged / sketch.records, quarantined, quarantined / sketch.records
            ),
            allowed=tuple(
                AllowedFormat(one.name, one.reason, count, count / sketch.records)
                for one, count in zip(self.corpus.allowed.formats, first.allowed, strict=True)
            ),
            config=dict(self.config),
            versions=versions(),
            seconds={**self.clock.seconds, "total": self.clock.total()},
            _flagged=None if second is None else second.rows,
        )


def measure(
    engine: Engine,
    checks: Sequence[Check],
    *,
    reference: Source | None = None,
    embedder: str = "lsa",
    perplexity_model: str = "ngram",
    seed: int = 0,
    memory: Memory | None = None,
    outputs: Outputs | None = None,
    progress: Progress | None = None,
) -> MeasuredCorpus:
    """The first pass over a corpus, and the score of every check; see ``audit``.

    Args:
        engine: Reads the corpus.
        checks: Whose measures score it.
        reference: A corpus to compare with.
        embedder: As for ``audit``, like the next two.
        perplexity_model: See there.
        seed: See there.
        memory: What is held at a time.
        outputs: Get the rows that cannot be read, and say which formats are allowed.
        progress: Called with the stage and the number of records done.

    Raises:
        InputError: The corpus or the reference cannot be read.
        MissingExtraError: The embedder or the model needs an extra that is not installed.
    """
    clock, progress = Clock(), progress or silent
    outputs = outputs or Outputs()
    allowed = outputs.allowed
    with clock("read"):
        empty = Sketch(size=(memory or Memory()).sample_bytes, seed=seed)
        first = engine.first_pass(outputs, progress, empty)
    # What groups or identifies the rows is read too, though not by the schema.
    first = replace(first, accounts=first.accounts.reading(outputs.columns))
    model = language_model_named(perplexity_model)
    embedding = embedder_named(embedder, seed)
    corpus = Corpus(first.sketch, embedding, language_model=model, allowed=allowed)
    compared: tuple[Finding, ...] = ()
    asked: Repeats | None = None
    if reference is not None:
        with clock("reference"):
            read = sketched(reference, progress, empty, allowed=allowed)
            asked = read.repeats
            other = Corpus(read.sketch, corpus.embedder, language_model=model)
            corpus = replace(corpus, reference=other)
            compared = judge(other, checks).findings
    progress("measuring", 0)
    with clock("measure"):
        scores = scored(corpus, checks, clock)
    config = {
        "checks": [check.code for check in checks],
        "embedder": corpus.embedder.name,
        "perplexity_model": model.name,
        "seed": seed,
        "reference": None if reference is None else list(reference.files),
        "sample": {"rows": len(corpus), "complete": first.sketch.complete},
    }
    return MeasuredCorpus(engine, corpus, first, scores, compared, asked, config, clock, progress)


@contextmanager
def _opened(
    out: Path | OutputFolder | None, split: bool, inputs: Sequence[str | os.PathLike[str]]
) -> Iterator[OutputFolder | None]:
    """The folder of the outputs, if there are to be any; one that is open stays so."""
    if out is None or isinstance(out, OutputFolder):
        yield out
    else:
        names = (*ROW_FILES, *SPLIT_FILES) if split else ROW_FILES
        with output_folder(Path(out), names, inputs) as folder:
            yield folder


def _named(source: object) -> tuple[str | os.PathLike[str], ...]:
    """The files, directories and patterns that a caller named as a corpus, if it is such."""
    if isinstance(source, Engine):
        return source.named
    if isinstance(source, str | os.PathLike):
        return (source,)
    if isinstance(source, Sequence):
        return tuple(name for name in source if isinstance(name, str | os.PathLike))
    return ()


def _known(checks: Sequence[Check] | Path | None, settings: AuditSettings) -> tuple[Check, ...]:
    if checks is None or isinstance(checks, str | os.PathLike):
        directory = settings.checks if checks is None else Path(checks)
        return selected(load_checks(directory), settings.select)
    return selected(tuple(checks), settings.select) if settings.select else tuple(checks)


def _opened_reference(reference: SourceLike, settings: AuditSettings) -> Source:
    """The reference, read by the columns named for it, or by the corpus's where it has them."""
    if settings.reference_question is not None or settings.reference_answer is not None:
        named = settings.reference_question, settings.reference_answer
        return open_source(reference, question=named[0], answer=named[1])
    if settings.question is not None or settings.answer is not None:
        same = open_source(reference, question=settings.question, answer=settings.answer)
        try:
            same.schemas()
        except InputError:  # it has no such columns
            return open_source(reference)
        return same
    return open_source(reference)


def _with_pictures(report: Report, measured: MeasuredCorpus) -> Report:
    """The report with the pictures of the corpus, and of its reference beside it."""
    corpus, clock = measured.corpus, measured.clock
    with clock("picture"):
        report = replace(
            report,
            picture=pictured(corpus),
            token_frequencies=token_frequencies(corpus),
            perplexities=perplexities(corpus),
        )
    return replace(report, seconds={**clock.seconds, "total": clock.total()})


def _flagging(findings: Sequence[Finding], flagger: Flagger, tally: Tally) -> tuple[Finding, ...]:
    """The findings, each that marks rows with the records it flags."""
    marking = {name for name, _ in flagger.markers}
    return tuple(
        replace(finding, flagged=tally.of(finding.name, finding.records))
        if finding.name in marking
        else finding
        for finding in findings
    )


def _tokens(corpus: Corpus) -> int:
    """Tokens of all answers: exact where the sample is complete, else scaled up from it."""
    sampled = int(corpus.answer_tokens.counts.sum())
    return round(sampled * corpus.sketch.records / max(len(corpus), 1))


def versions() -> dict[str, str]:
    """Of Python, this package and the libraries that a score may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
