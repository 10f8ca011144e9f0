"""A rewriter that says the sentences of the content in the opposite order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synflaw_audit.rewriting import Rewriter, RewriteRow, WantedForm


@dataclass(frozen=True)
class Reversal(Rewriter):
    """Takes nothing from the corpus."""

    corpus: Any = None
    seed: int = 0

    @property
    def name(self) -> str:
        """What the outputs call it."""
        return "reversal"

    def candidates(self, row: RewriteRow, form: WantedForm) -> list[str]:
        """One, whatever the form."""
        said = [part.strip() for part in row.content.split(". ") if part.strip()]
        return [". ".join(part.rstrip(".") for part in reversed(said)) + "."] if said else []
