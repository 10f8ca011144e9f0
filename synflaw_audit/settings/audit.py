"""What an audit can be told: options of ``audit`` and ``gate``, keywords of ``audit`` in Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from synflaw_audit.settings.base import Setting


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How rows become records; see ``reading.schemas``."""

    question: Annotated[str | None, Setting("The questions' column.")] = None
    answer: Annotated[
        str | None, Setting("The answers' column; a dot leads into an object: data.answer.")
    ] = None
    schema: Annotated[
        str | None,
        Setting(
            "How rows are read: preference, conversation, pair, transcript, one that a package "
            "adds, or a TOML file with a `schema` table.",
            "NAME|FILE",
        ),
    ] = None
    roles: Annotated[
        str | None,
        Setting("What roles are called: assistant=Agent,user=Customer.", "ROLE=NAME,..."),
    ] = None
    message_keys: Annotated[
        str | None, Setting("What the keys of messages are called.", "role=KEY,content=KEY")
    ] = None
    encoding: Annotated[
        str | None, Setting("Of text files, such as cp1252; UTF-8 if not given.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What a corpus is judged by."""

    reference: Annotated[str | None, Setting("A corpus to compare with.", "PATH")] = None
    reference_question: Annotated[
        str | None, Setting("Its questions' column; --question's, where it has that, if not given.")
    ] = None
    reference_answer: Annotated[str | None, Setting("Its answers' column; likewise.")] = None
    checks: Annotated[Path | None, Setting("A directory of checks of your own.", "DIR")] = None
    select: Annotated[
        str | None, Setting("Only these checks: codes or names, with commas between.")
    ] = None
    by: Annotated[
        str | None,
        Setting("Also score each part of the corpus: file, split, turn, or a column.", "COLUMN"),
    ] = None
    embedder: Annotated[str, Setting("lsa, or the name of a sentence-transformers model.")] = "lsa"
    perplexity_model: Annotated[str, Setting("ngram, or the name of a causal language model.")] = (
        "ngram"
    )
    seed: Annotated[int, Setting("Of everything random: the sample, above all.")] = 0


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where the passes run, and within what."""

    resume: Annotated[
        bool, Setting("Go on where an interrupted run into the same --out stopped.")
    ] = False
    memory_limit: Annotated[
        int | str | None, Setting("Memory to keep within, such as 600MB.", "SIZE")
    ] = None
    engine: Annotated[
        str,
        Setting("What reads the corpus: local (this machine), spark, or one that a package adds."),
    ] = "local"
    master: Annotated[
        str | None,
        Setting("Spark's master, such as local[2]; what spark-submit says if not given."),
    ] = None
    partitions: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Setting("Spark: into how many tasks, at most, a pass goes."),
    ] = None
    rows: Annotated[
        str | None,
        Setting(
            "Spark: the folder for the rows, if not --out; one that all executors write to.", "URI"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class AuditSettings(Running, Judging, Reading):
    """Everything that an audit is told: what a settings file may hold."""
