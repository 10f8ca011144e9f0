"""A corpus is audited, its flagged rows are treated, and what comes out is audited again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from synflaw_audit.engines.base import Progress, silent
from synflaw_audit.engines.local.engine import LocalEngine
from synflaw_audit.errors import InputError
from synflaw_audit.findings.finding import MarkedText
from synflaw_audit.findings.fixes import ContentKept, Fix, FixedRows, TurnDiff
from synflaw_audit.findings.report import Report
from synflaw_audit.fixing.rows import FlaggedRow, RowTreatment, flagged_rows
from synflaw_audit.fixing.strategies import AuditedCorpus, FixPlan, Strategy, outside
from synflaw_audit.outputs.folder import OutputFolder
from synflaw_audit.outputs.names import (
    AFTER_FOLDER,
    BEFORE_FOLDER,
    FIX_DIFF,
    FIXED_FOLDER,
    FLAGGED_FILE,
    REJECTED_FILE,
    REMOVED_FOLDER,
)
from synflaw_audit.reading.source import Source, source_of
from synflaw_audit.run import audit
from synflaw_audit.settings import AuditSettings
from synflaw_audit.verdicts.catalogue import Check
from synflaw_audit.verdicts.gate import decide
from synflaw_audit.verdicts.policy import Policy
from synflaw_audit.verdicts.what_if import sample_of
from synflaw_audit.writing import AnswerEdit, Editor, Original, RowSet, Split, write_split
from synflaw_audit.writing.layout import place_of

_COMMAS = str.maketrans("", "", ",;:–—，；：、")  # noqa: RUF001 - of many scripts
_EXAMPLES = 60  # changes that are shown, as many of each action as there are of the rarest


def fix(
    paths: Sequence[str],
    settings: AuditSettings,
    strategy: Strategy,
    folder: OutputFolder,
    checks: Sequence[Check],
    *,
    policy: Policy | None = None,
    strict: bool = False,
    diff: bool = False,
    progress: Progress | None = None,
) -> Fix:
    """Repairs a corpus of files, and audits what comes out by the same checks.

    Args:
        paths: The corpus: files, directories, patterns.
        settings: Of both audits.
        strategy: What becomes of the rows that a stable or promoted check flags, or, of a plan,
            that a check flags which it names.
        folder: Gets ``fixed/`` and ``removed/``, the corpus in its own format; ``before/`` and
            ``after/``, what the audits found. It is left to the caller to publish.
        checks: What is judged by, with the policy's changes.
        policy: What passes.
        strict: Warnings and undecided checks fail too.
        diff: Also write ``fix.diff.jsonl``: every flagged turn, before and after.
        progress: Called with the stage and the number of records done.

    Raises:
        InputError: The corpus cannot be read, or is not made of files of this machine, or nothing
            would be left of it.
    """
    policy = policy or Policy()
    original = Original.of(paths, settings)
    if original is None or settings.engine != "local":
        raise InputError("fix writes files again, so it needs a corpus of files on this machine")
    before, source, treated = _begun(paths, settings, strategy, folder, checks, policy, progress)
    found = folder.staging / BEFORE_FOLDER
    treated.decide()
    folders = (folder.staging / FIXED_FOLDER, folder.staging / REMOVED_FOLDER)
    split = treated.write(original, source, before, found / REJECTED_FILE, folders)
    if not split.kept:
        raise InputError(
            f"nothing is left of the corpus by {strategy}: all {split.dropped:,} rows are left out"
        )
    after = audit(
        _fixed(folder, settings),
        replace(settings, resume=False, memory_limit=None),
        checks=checks,
        allow=policy.allow,
        out=folder.below(AFTER_FOLDER),
        progress=progress,
    )
    decision = decide(after, policy, strict=strict)
    return Fix(
        strategy=str(strategy),
        outcome=decision.outcome,
        reasons=decision.reasons,
        notices=(*strategy.notices(), *decision.notices),
        rows=treated.rows(split),
        content=treated.content(),
        before=before,
        after=after,
        examples=treated.changes(folder.staging / FIX_DIFF if diff else None),
    )


def preview(
    paths: Sequence[str],
    settings: AuditSettings,
    strategy: Strategy,
    folder: OutputFolder,
    checks: Sequence[Check],
    *,
    policy: Policy | None = None,
    progress: Progress | None = None,
) -> None:
    """Audits a corpus and shows it to a strategy; nothing is repaired. See ``fix``."""
    _begun(paths, settings, strategy, folder, checks, policy or Policy(), progress)


def _begun(
    paths: Sequence[str],
    settings: AuditSettings,
    strategy: Strategy,
    folder: OutputFolder,
    checks: Sequence[Check],
    policy: Policy,
    progress: Progress | None,
) -> tuple[Report, Source, _Treated]:
    """The audit of the corpus, and its flagged rows with a strategy that has been shown it."""
    part = folder.below(BEFORE_FOLDER)
    before = audit(paths, settings, checks=checks, allow=policy.allow, out=part, progress=progress)
    treated = _Treated(part.staging / FLAGGED_FILE, strategy, _names(strategy, before))
    source = source_of(list(paths), settings)
    sample, progress = sample_of(before), progress or silent
    strategy.prepare(
        AuditedCorpus(source, sample, treated.flagged, treated.names, folder, progress)
    )
    return before, source, treated


def _names(strategy: Strategy, report: Report) -> frozenset[str]:
    """The checks whose rows are treated."""
    if isinstance(strategy, FixPlan):
        return frozenset(strategy.plan)
    return frozenset(check.name for check in report.checks if check.status != "experimental")


@dataclass
class _Treated:
    """The flagged rows of a corpus with what becomes of each, as often as they are asked for."""

    path: Path
    strategy: Strategy
    names: frozenset[str]
    dropped: dict[str, RowSet] = field(default_factory=dict)
    failed: dict[str, RowSet] = field(default_factory=dict)
    _unreadable: dict[str, RowSet] = field(default_factory=dict)

    def flagged(self) -> Iterator[FlaggedRow]:
        """The rows that are the strategy's business, with the turns that are."""
        for row in flagged_rows(self.path):
            turns = tuple(turn for turn in row.turns if self.names.intersection(turn.checks))
            if turns:
                yield replace(row, turns=turns)

    def decide(self) -> None:
        """Has the strategy see all rows, and notes those that are left out."""
        for row in self.flagged():
            self.strategy.observe(row)
        for row in self.flagged():
            treatment = self.strategy.decide(row)
            if treatment.action == "drop":
                self.dropped.setdefault(row.file, RowSet()).add_one(row.row)

    def __iter__(self) -> Iterator[tuple[FlaggedRow, RowTreatment]]:
        """The rows with what became of them, once the corpus is written."""
        for row in self.flagged():
            treatment = self.strategy.decide(row)
            if row.row in self.failed.get(row.file, ()):
                treatment = RowTreatment(
                    "drop", "its new answer could not be put back into the row"
                )
            elif row.row in self._unreadable.get(row.file, ()):
                treatment = RowTreatment("drop", "another turn of it cannot be read")
            yield row, treatment

    def write(
        self,
        original: Original,
        source: Source,
        report: Report,
        rejected: Path,
        folders: tuple[Path, Path],
    ) -> Split:
        """Writes the corpus, without the rows that are left out or cannot be read."""
        with rejected.open("rb") as lines:
            for line in lines:
                row = orjson.loads(line)
                self._unreadable.setdefault(row["file"], RowSet()).add_one(row["row"])
        editors: list[tuple[str, Editor]] = []
        edits = _Edits(self)

        def editor_of(file: str) -> Editor | None:
            schema = source.schema(file)
            if schema is None:
                return None
            editors.append((file, Editor(schema, edits.of(file))))
            return editors[-1][1]

        left_out = dict(self.dropped)
        for file, rows in self._unreadable.items():
            left_out[file] = rows.joined(left_out.get(file, RowSet()))
        split = write_split(original, left_out, report.dataset.accounts, folders, editor_of)
        for file, editor in editors:
            if editor.failed:
                self.failed[file] = RowSet(editor.failed)
        return split

    def rows(self, split: Split) -> FixedRows:
        """How many rows became what."""
        actions = Counter(treatment.action for _, treatment in self)
        return FixedRows(
            untouched=split.kept - actions["keep"] - actions["cut"] - actions["rewrite"],
            kept=actions["keep"],
            cut=actions["cut"],
            rewritten=actions["rewrite"],
            dropped=actions["drop"],
            not_put_back=sum(map(len, self.failed.values())),
            unreadable=split.dropped - actions["drop"],
            unwritten=split.unwritten,
        )

    def content(self) -> ContentKept:
        """How much of the flagged answers' content is left."""
        flagged = kept = cut = cut_kept = 0
        for row, treatment in self:
            for turn in row.turns:
                size = len(_letters(outside(turn.answer, turn.spans)))
                flagged += size
                if treatment.action == "cut":
                    still = _still_there(turn.answer, turn.spans, treatment.answers[turn.turn])
                    cut += size
                    cut_kept += still
                    kept += still
                elif treatment.action == "rewrite":
                    content = outside(turn.answer, turn.spans)
                    kept += _said_again(content, treatment.answers[turn.turn])
                elif treatment.action == "keep":
                    kept += size
        return ContentKept(flagged, kept, cut, cut_kept)

    def changes(self, path: Path | None) -> tuple[TurnDiff, ...]:
        """Some changes to show; and all of them in a file, if one is named."""
        shown: dict[str, list[TurnDiff]] = {}
        file = None if path is None else path.open("wb")
        try:
            for row, treatment in self:
                for change in _changes(row, treatment):
                    if file is not None:
                        file.write(change.to_json())
                    known = shown.setdefault(change.action, [])
                    if len(known) < _EXAMPLES:
                        known.append(change)
        finally:
            if file is not None:
                file.close()
        each = _EXAMPLES // max(1, len(shown))
        return tuple(change for known in shown.values() for change in known[:each])


class _Edits:
    """The new answers of a corpus, file by file in its order, from one stream of rows."""

    def __init__(self, treated: _Treated) -> None:
        self._rows = ((row, treated.strategy.decide(row)) for row in treated.flagged())
        self._next = next(self._rows, None)
        self._asked: set[str] = set()

    def of(self, file: str) -> Iterator[tuple[int, Sequence[AnswerEdit]]]:
        """Those of a file, by the number of their row; what is left of files before is passed."""
        while self._next is not None and self._next[0].file in self._asked:
            self._next = next(self._rows, None)
        self._asked.add(file)
        while self._next is not None and self._next[0].file == file:
            row, treatment = self._next
            if treatment.answers:
                answers = treatment.answers
                yield (
                    row.row,
                    [
                        AnswerEdit(turn.turn, turn.answer, answers[turn.turn])
                        for turn in row.turns
                        if turn.turn in answers
                    ],
                )
            self._next = next(self._rows, None)


def _fixed(folder: OutputFolder, settings: AuditSettings) -> LocalEngine:
    """What reads the repaired corpus where it is written, and names it as it will be."""
    staged = Original.of([str(folder.staging / FIXED_FOLDER)], settings)
    if staged is None:
        raise InputError("the repaired corpus cannot be read again")
    here, there = staged.root, folder.path / FIXED_FOLDER
    inputs = tuple(
        replace(item, name=str(there / place_of(item.path, here))) for item in staged.files
    )
    return LocalEngine(Source(inputs, settings, 8192))


def _changes(row: FlaggedRow, treatment: RowTreatment) -> Iterator[TurnDiff]:
    for turn in row.turns:
        yield TurnDiff(
            file=row.file,
            row=row.row,
            turn=turn.turn,
            action=treatment.action,
            reason=treatment.reason,
            before=MarkedText(turn.answer, turn.spans),
            after=treatment.answers.get(turn.turn),
        )


def _letters(text: str) -> str:
    """A text without blanks, case, and the commas that divide a clause from one that is cut."""
    return "".join(text.split()).casefold().translate(_COMMAS)


def _said_again(content: str, after: str) -> int:
    """How many characters the words of the content have that a rewritten answer says too."""
    words, said = (Counter(re.findall(r"\w+", text.casefold())) for text in (content, after))
    return sum(len(word) * count for word, count in (words & said).items())


def _still_there(answer: str, spans: Sequence[tuple[int, int]], after: str) -> int:
    """How many characters of the content are in the new answer, in their order."""
    content, new = _letters(outside(answer, tuple(spans))), _letters(after)
    at = found = 0
    for character in content:
        place = new.find(character, at)
        if place >= 0:
            found += 1
            at = place + 1
    return found
