"""A ``Trainer`` that says so when it is about to learn a format that an audit flagged."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from synflaw_audit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# Of the flagged spans, those of so many words say enough to be found again, and the commonest do.
FEWEST_WORDS, MOST_PHRASES = 3, 10_000
_WORDS = re.compile(r"\w+")


class FlaggedFormatWarning(UserWarning):
    """The training rows carry a format that an audit flagged."""


class FlaggedFormatCallback(TrainerCallback):
    """Warns, when training begins, if the rows carry what a report flagged.

    A sample of the training rows is decoded and searched for the flagged words. ::

        trainer = SFTTrainer(..., callbacks=[FlaggedFormatCallback("out/flagged.parquet")])

    Attributes:
        share: Of the sampled training rows that carry flagged words, once training has begun.
        rows: That were sampled.
    """

    share: float | None = None
    rows: int = 0

    def __init__(
        self, flagged: pd.DataFrame | str | Path, *, warn_above: float = 0.01, sample: int = 1000
    ) -> None:
        """Reads what was flagged.

        Args:
            flagged: ``report.flagged()``, or a ``flagged.parquet``.
            warn_above: The share of rows above which it warns.
            sample: Rows to look at, evenly over the data set.

        Raises:
            InputError: There is no such file, or it is no table of flagged rows.
        """
        self.warn_above, self.sample = warn_above, sample
        self._phrases = _Phrases(_spans(flagged))

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        processing_class: Any = None,
        train_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        """Looks at the rows, and warns."""
        rows = getattr(train_dataloader, "dataset", None)
        if rows is None or not hasattr(rows, "__len__") or not len(rows):
            warnings.warn(
                "the training rows were not searched for flagged formats: they are a stream",
                FlaggedFormatWarning,
                stacklevel=2,
            )
            return
        places = np.linspace(0, len(rows) - 1, min(self.sample, len(rows)), dtype=int)
        texts = [_text(rows[int(place)], processing_class) for place in places]
        carrying = [found for found in map(self._phrases.find, texts) if found]
        self.rows, self.share = len(texts), len(carrying) / len(texts)
        if self.share > self.warn_above:
            commonest = Counter(carrying).most_common(1)[0][0]
            warnings.warn(
                f"{self.share:.0%} of {len(texts):,} sampled training rows carry a format that the "
                f"audit flagged, such as {commonest!r}: train on the clean rows instead",
                FlaggedFormatWarning,
                stacklevel=2,
            )


class _Phrases:
    """Finds any of many phrases in a text, whatever its case, punctuation and white space."""

    def __init__(self, phrases: Iterable[str]) -> None:
        counted = Counter(tuple(_WORDS.findall(phrase.casefold())) for phrase in phrases)
        known = [words for words, _ in counted.most_common() if len(words) >= FEWEST_WORDS]
        self._by_start: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
        for words in known[:MOST_PHRASES]:
            self._by_start[words[:FEWEST_WORDS]].append(words)

    def find(self, text: str) -> str:
        """The first of the phrases in the text; "" if there is none."""
        words = tuple(_WORDS.findall(text.casefold()))
        for place in range(len(words) - FEWEST_WORDS + 1):
            for phrase in self._by_start.get(words[place : place + FEWEST_WORDS], ()):
                if words[place : place + len(phrase)] == phrase:
                    return " ".join(phrase)
        return ""


def _spans(flagged: pd.DataFrame | str | Path) -> Iterator[str]:
    """The text of each flagged span."""
    columns = ["answer", "template_spans"]
    if isinstance(flagged, str | Path):
        try:
            rows = pq.read_table(flagged, columns=columns).to_pydict()
        except (OSError, ValueError) as error:
            raise InputError(f"{flagged}: no table of flagged rows: {error}") from error
    else:
        if missing := set(columns) - set(flagged.columns):
            raise InputError(f"no table of flagged rows: it lacks {', '.join(sorted(missing))}")
        rows = {column: flagged[column].tolist() for column in columns}
    for answer, spans in zip(*rows.values(), strict=True):
        for span in spans:
            yield answer[span["start"] : span["end"]]


def _text(row: Any, tokenizer: Any) -> str:
    """A training row as text: decoded where it is tokens, else all text in it."""
    if isinstance(row, dict) and "input_ids" in row and tokenizer is not None:
        return str(tokenizer.decode(row["input_ids"], skip_special_tokens=True))
    return "\n".join(_strings(row))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)
