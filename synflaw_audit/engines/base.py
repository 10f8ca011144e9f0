"""What an engine is: the audit's two passes over rows, wherever they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from synflaw_audit.allowed import Allowances
from synflaw_audit.engines.contents import combined
from synflaw_audit.errors import InputError
from synflaw_audit.findings.accounts import Accounts
from synflaw_audit.flagging.flags import Flagger
from synflaw_audit.flagging.groups import Grouping, GroupSketches
from synflaw_audit.flagging.tally import Tally
from synflaw_audit.records import FLAGGED, FLAGGED_AND_INDEX
from synflaw_audit.sample.fields import merged_fields
from synflaw_audit.sample.repeats import Repeats
from synflaw_audit.sample.sketch import EMPTY, Sketch, merge
from synflaw_audit.settings import AuditSettings, Running

# Called with the stage ("reading", "measuring" or "flagging") and the records done in it.
Progress = Callable[[str, int], None]


def only(settings: Running, *allowed: str, engine: str) -> None:
    """Refuses options that are not for an engine.

    Raises:
        InputError: One was given; names it, and what it is for.
    """
    for option in fields(Running):
        name = option.name
        if name not in ("engine", *allowed) and getattr(settings, name) != option.default:
            option_name = f"--{name.replace('_', '-')} ({name}= in Python)"
            raise InputError(f"{option_name} is not for the engine {engine}")


def silent(stage: str, done: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Outputs:
    """Which rows the passes write, and where.

    Attributes:
        folder: Gets ``flagged.parquet`` and ``rejected.jsonl``; nothing is written if None.
        published: Where they stand in the end, if they do not stay there.
        journal: What is finished is kept here, for a run that is killed; it is not if None.
        split: It also gets every record once: ``clean.parquet`` and ``quarantined.parquet``.
        index: Columns whose values are written with each flagged row; see
            ``records.FLAGGED_AND_INDEX``.
        fetched: The flagged rows come to this machine, even where executors find them; otherwise
            it is these that write rows. Nothing else is written then.
        settings: What decides them besides the rows, as JSON values by name.
        allowed: Formats that are taken out of the answers before they are sketched.
    """

    folder: Path | None = None
    split: bool = False
    index: tuple[str, ...] = ()
    by: Grouping | None = None
    fetched: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    published: Path | None = None
    journal: Path | None = None
    allowed: Allowances = field(default_factory=Allowances)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the second pass reads besides the records: the index, and what groups them."""
        column = self.by.column if self.by else None
        return (*self.index, column) if column and column not in self.index else self.index

    @property
    def flagged(self) -> pa.Schema:
        """Of the flagged rows."""
        return FLAGGED_AND_INDEX if self.index else FLAGGED

    def located(self, name: str) -> Path:
        """Where an output stands: in the folder, or where it has been published."""
        here = (self.folder or Path()) / name
        return here if self.published is None or here.exists() else self.published / name


@dataclass(frozen=True)
class FirstPass:
    """What the first pass keeps of a corpus, or of a part of one.

    Attributes:
        sketch: Of its records.
        accounts: What became of its rows, file by file.
        first_rejected: Why the first row that makes no record does not; "" if there is none.
        allowed: How many records have each allowed format.
        contents: The hash of what was read, by file, where one engine reads files whole.
        content: The digest of what was read, where engines read parts of it.
        fields: Of the texts beside the answers, a sketch of each field that some record has.
        repeats: Which questions stand in several places.
    """

    sketch: Sketch = field(default_factory=Sketch)
    accounts: Accounts = field(default_factory=Accounts)
    first_rejected: str = ""
    allowed: tuple[int, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    content: int = 0
    fields: Mapping[str, Sketch] = field(default_factory=dict)
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def rejected(self) -> int:
        """Rows, and turns of conversations, that make no record."""
        return self.accounts.rejections

    def merged(self, other: FirstPass) -> FirstPass:
        """Both parts together."""
        return FirstPass(
            merge(self.sketch, other.sketch),
            self.accounts.merged(other.accounts),
            self.first_rejected or other.first_rejected,
            added(self.allowed, other.allowed),
            content=combined(self.content, other.content),
            fields=merged_fields(self.fields, other.fields),
            repeats=self.repeats.merged(other.repeats),
        )


def added(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The counts of two parts together; a part without any counts nothing."""
    return tuple(map(sum, zip(one, other, strict=True))) if one and other else one or other


@dataclass(frozen=True)
class SecondPass:
    """What the second pass found.

    Attributes:
        tokens: Of all answers.
        flagged: Records flagged.
        rows: Gets the flagged rows, schema ``Outputs.flagged``, in the corpus's order.
        tally: How many of them each check flags, and the first few.
        groups: The records in groups, if the outputs ask for it.
        quarantined: How many of them are kept from a clean corpus.
    """

    tokens: int
    flagged: int
    rows: Callable[[], pa.Table]
    tally: Tally
    groups: GroupSketches | None = None
    quarantined: int = 0


class Engine(ABC):
    """Runs the two passes over one corpus, which does not change between them.

    Whatever the engine, a corpus has the same sketch and the same flagged rows.
    """

    @classmethod
    def is_native(cls, source: object) -> bool:
        """Whether a source is a data set of this engine's own kind, which it reads unasked."""
        return False

    @classmethod
    def opened(cls, source: Any, settings: AuditSettings) -> Engine:
        """The engine, for what a caller names as a corpus; see ``registry.open_engine``.

        Args:
            source: The corpus: paths as the command line has them, or a data set.
            settings: How its rows become records, and what the engine is told; ``only`` refuses
                what is not for it.

        Raises:
            InputError: It reads no such source, or an option is not for it.
        """
        raise InputError(f"{cls.__name__} is not opened by name")

    @property
    @abstractmethod
    def name(self) -> str:
        """Such as "local"."""

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Every file or table of the corpus."""

    @property
    def named(self) -> tuple[str, ...]:
        """What the caller named as the corpus: files, directories, patterns, URIs, tables."""
        return self.files

    @abstractmethod
    def schemas(self) -> dict[str, str]:
        """How the columns of each of them are understood.

        Raises:
            InputError: They cannot be.
        """

    @abstractmethod
    def first_pass(self, outputs: Outputs, progress: Progress, empty: Sketch = EMPTY) -> FirstPass:
        """Sketches the corpus; rejected rows go to the outputs.

        Args:
            outputs: Which rows are written, and where.
            progress: Called with the stage and the number of records done.
            empty: The sketch to begin with, which says how large the sample is, and its seed.

        Raises:
            InputError: The corpus cannot be read, or holds no readable row.
        """

    @abstractmethod
    def second_pass(self, flagger: Flagger, outputs: Outputs, progress: Progress) -> SecondPass:
        """Flags the corpus; the outputs appear whole, or not at all if it fails.

        Raises:
            InputError: The corpus cannot be read, or has no such index column.
        """
