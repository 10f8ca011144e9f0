"""Template concentration: the share of rows that follow a template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from synflaw_audit.measures.base import Batch, Marker, Marks, Score
from synflaw_audit.measures.intervals import share_score
from synflaw_audit.sample.corpus import QUESTIONS, Corpus
from synflaw_audit.text.templates import TemplateBook


@dataclass(frozen=True)
class TemplateShare:
    """The share of records whose text follows a template, see ``synflaw_audit.text.phrases``.

    Attributes:
        field: Whether to look at the answers or the questions. Only answers mark rows: a model is
            trained on what it has to say, and a repair can only forget that.
    """

    field: Literal["answer", "question"] = "answer"

    def score(self, corpus: Corpus) -> Score:
        """The share, and the templates."""
        book = corpus.templates(self.field)
        rows = len(corpus) if self.field == "answer" else min(len(corpus), QUESTIONS)
        follows = corpus.followed(self.field) >= 0
        largest = book.templates[0] if book.templates else None
        observed = {
            "templates": len(book.templates),
            "largest": largest.pattern if largest else None,
            "largest_share": largest.share if largest else 0.0,
        }
        found = share_score(follows, corpus.unit[:rows], observed)
        return replace(found, templates=book.templates)

    def marker(self, corpus: Corpus) -> Marker | None:
        """Marks the rows that follow a template of the answers, with its words as format."""
        if self.field == "question":
            return None
        return TemplateMarker(corpus.answer_templates)


@dataclass(frozen=True)
class TemplateMarker:
    """Marks the rows that follow a template."""

    book: TemplateBook

    def mark(self, batch: Batch) -> Marks:
        """See ``Marker.mark``."""
        match = self.book.match(batch.tokens)
        mask = match.template >= 0
        return Marks(
            mask=mask,
            covered=match.covered,
            strength=np.where(mask, 1.0 - 2.0 ** (-match.bits / 20.0), 0.0),
            label=match.template,
            labels=tuple(
                f"its answer follows {template.wording}, as {template.share:.1%} of the records do"
                for template in self.book.templates
            ),
            templates=tuple(template.id for template in self.book.templates),
        )
