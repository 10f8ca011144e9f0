"""Flagged rows said anew: one more strategy of ``synflaw fix``.

A rewriter proposes several texts for every flagged answer, each in a form of its own; the judges
take out what lost or invented a fact, holds a format, or does not belong to its question; of what
is left the one most unlike its neighbours is chosen, and the chosen are audited among themselves.
A row of which an answer has no such rewrite is capped like any other: nothing is forced.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy as np

from synflaw_audit.errors import InputError
from synflaw_audit.fixing.rows import FlaggedRow, RowTreatment
from synflaw_audit.fixing.strategies import AuditedCorpus, Cap, Strategy
from synflaw_audit.outputs.names import REPLAY_FILE, REWRITES_FILE
from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.channels import replay_rows, write_replay
from synflaw_audit.rewriting.gathering import natural_of, to_rewrite
from synflaw_audit.rewriting.journal import CandidateJournal
from synflaw_audit.rewriting.judges.credibility import (
    Credibility,
    CrossEncoderScorer,
    EmbeddingScorer,
    judge_credibility,
)
from synflaw_audit.rewriting.judges.format import FormatJudge
from synflaw_audit.rewriting.mixture import WantedForm
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.rewrites import Candidate, Rewritten, write_rewrites
from synflaw_audit.rewriting.selection import (
    asked,
    choose,
    object_to_content,
    object_to_credibility,
    object_to_format,
)
from synflaw_audit.rewriting.settings import RewriteSettings

JOURNAL = "rewrites.jsonl"
_MOST_REASONS = 4  # that a notice each tells; one more tells of the rest
_NOBODY = Credibility(np.zeros(0), float("nan"), float("nan"), 0)


class Rewrite(Strategy):
    """Says the answers of flagged rows anew; rows of which that fails are capped.

    Args:
        make: Makes the rewriter, of what the corpus says elsewhere.
        cap: What becomes of the other rows.
        settings: What the rewriting is told.
        dry_run: Nothing is asked; ``estimate`` says what it would cost.
        replay: Also write ``replay.jsonl``, rows that a repair learns from.

    Attributes:
        rewrites: Every flagged turn, with what became of it.
        estimate: Of a dry run.
    """

    def __init__(
        self,
        make: Callable[[Natural], Rewriter],
        cap: Cap,
        settings: RewriteSettings | None = None,
        *,
        dry_run: bool = False,
        replay: bool = False,
    ) -> None:
        self.cap = cap
        self.settings = settings or RewriteSettings()
        self.rewrites: list[Rewritten] = []
        self.natural = Natural()
        self.credibility = _NOBODY
        self.estimate = ""
        self._make, self._dry_run, self._replay = make, dry_run, replay
        self._rewriter: Rewriter | None = None
        self._of_row: dict[tuple[str, int], list[Rewritten]] = {}

    def __str__(self) -> str:
        name = "" if self._rewriter is None else f" with {self._rewriter.name}"
        return f"rewrite{name}, or else {self.cap}"

    def prepare(self, audited: AuditedCorpus) -> None:
        """See ``Strategy.prepare``: all rewriting is done here.

        Raises:
            InputError: The rewriter cannot be had, or cannot go on.
        """
        settings = self.settings
        self.natural = natural_of(audited, settings.seed)
        self.rewrites = list(to_rewrite(audited, self.natural))
        for each in self.rewrites:
            self._of_row.setdefault((each.file, each.row), []).append(each)
        self._rewriter = self._make(self.natural)
        work, owner = self._work()
        if self._dry_run:
            self.estimate = self._rewriter.estimate(work)
            return
        self._propose(self._rewriter, audited, work, owner)
        audited.progress("judging", len(self.rewrites))
        object_to_content(self.rewrites, self.natural.facts, settings.least_coverage)
        judge = self._format_judge(audited)
        object_to_format(self.rewrites, judge)
        self.credibility = self._judged(audited)
        object_to_credibility(self.rewrites, self.credibility, settings)
        choose(self.rewrites, judge, settings.rounds)
        path = audited.folder.staging / REWRITES_FILE
        write_rewrites(path, self.rewrites, self._rewriter.name)
        if self._replay:
            rows = replay_rows(self.rewrites, self.natural, settings.seed)
            write_replay(audited.folder.staging / REPLAY_FILE, rows)

    def observe(self, row: FlaggedRow) -> None:
        """See ``Strategy.observe``."""
        if not self._accepted(row):
            self.cap.observe(row)

    def decide(self, row: FlaggedRow) -> RowTreatment:
        """See ``Strategy.decide``."""
        turns = self._of_row[row.file, row.row]
        answers = {each.turn: each.chosen.text for each in turns if each.chosen is not None}
        if len(answers) == len(turns):
            return RowTreatment("rewrite", "said anew", answers)
        why = next(each.why for each in turns if each.why)
        treatment = self.cap.decide(row)
        return replace(treatment, reason=f"{treatment.reason}; its rewrite {why}")

    def notices(self) -> tuple[str, ...]:
        """See ``Strategy.notices``."""
        accepted = sum(each.chosen is not None for each in self.rewrites)
        reasons = Counter(each.why.partition(":")[0].partition("(")[0] for each in self.rewrites)
        del reasons[""]
        lines = [f"Rewritten: {accepted:,} of {len(self.rewrites):,} flagged answers."]
        lines += [
            f"Not rewritten: {count:,} ({reason.strip()})."
            for reason, count in reasons.most_common(_MOST_REASONS)
        ]
        rest = reasons.total() - sum(count for _, count in reasons.most_common(_MOST_REASONS))
        if rest:
            lines.append(f"Not rewritten: {rest:,} (other reasons, row by row in {REWRITES_FILE}).")
        if not self.credibility.decides and self.settings.credibility != "none":
            said = self.credibility
            why = (
                f"{said.pairs:,} pairs that could be told apart are too few"
                if math.isnan(said.auc)
                else "mismatched answers are not told from the corpus's own "
                f"({said.pairs:,} pairs, AUC {said.auc:.2f})"
            )
            lines.append(f"Credibility decides nothing here: {why}.")
        return (*lines, *(() if self._rewriter is None else self._rewriter.notices()))

    def _accepted(self, row: FlaggedRow) -> bool:
        return all(each.chosen is not None for each in self._of_row[row.file, row.row])

    def _work(self) -> tuple[list[tuple[RewriteRow, WantedForm]], list[Rewritten]]:
        """What is asked, a row in a form each, and for which turn."""
        settings = self.settings
        work, owner = [], []
        for each in self.rewrites:
            chance = Random(f"{settings.seed} {each.file} {each.row} {each.turn}")  # noqa: S311
            forms = dict.fromkeys(settings.mixture.draw(chance) for _ in range(settings.candidates))
            for form in forms:
                work.append((each.source, form))
                owner.append(each)
        return work, owner

    def _propose(
        self,
        rewriter: Rewriter,
        audited: AuditedCorpus,
        work: Sequence[tuple[RewriteRow, WantedForm]],
        owner: Sequence[Rewritten],
    ) -> None:
        journal = CandidateJournal(audited.folder.journal / JOURNAL) if rewriter.costly else None
        answered = rewriter.many(work) if journal is None else journal.answered(rewriter, work)
        proposed: dict[int, Sequence[str]] = {}
        for done, (number, texts) in enumerate(answered, 1):
            proposed[number] = texts
            audited.progress("rewriting", done)
        if journal is None and len(proposed) < len(work):
            raise InputError(f"the rewriter {rewriter.name} gave no answer for some rows")
        for number in set(range(len(work))) - proposed.keys():
            owner[number].missing = "was not asked for: the budget is spent"
        for number in sorted(proposed):  # whatever was ready first, all is the same
            each, form = owner[number], work[number][1]
            known = {candidate.text for candidate in each.candidates}
            for text in dict.fromkeys(proposed[number]):
                if text.strip() and text not in known and text != each.source.answer:
                    each.candidates.append(Candidate(text, str(form)))

    def _format_judge(self, audited: AuditedCorpus) -> FormatJudge:
        sample = audited.sample
        return FormatJudge(
            sample.judgement.flagger,
            sample.checks,
            sample.corpus.embedder,
            sample.corpus.language_model,
            audited.names,
            sample.corpus.sketch.seed,
        )

    def _judged(self, audited: AuditedCorpus) -> Credibility:
        pairs = asked(self.rewrites)
        nothing = replace(_NOBODY, probability=np.full(len(pairs), np.nan))
        name = self.settings.credibility
        if name == "none":
            return nothing
        scorer = (
            EmbeddingScorer(audited.sample.corpus.embedder)
            if name == "embedder"
            else CrossEncoderScorer(name)
        )
        known = [pair for pair in (*self.natural.rows, *self.natural.contents) if all(pair)]
        return judge_credibility(known, pairs, scorer, self.settings.seed)
