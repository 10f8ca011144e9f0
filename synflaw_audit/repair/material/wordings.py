"""The wordings of a format, to look for where it has no place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from synflaw_audit.repair.material.batches import Row

# Fewer words are said by anybody.
_LEAST_WORDS = 3


def wordings(rows: Sequence[Row], *, share: float = 0.01) -> list[str]:
    """What the template spans of at least a share of the rows read, commonest first.

    A wording that holds another one is left out: where it is said, so is the other.

    Args:
        rows: Flagged rows with their spans.
        share: Of the rows; two rows at least.
    """
    counts: Counter[str] = Counter()
    for row in rows:
        # In the order of the text: what is equally common must not change places from run to run.
        counts.update(list(dict.fromkeys(row.answer[s:e].strip() for s, e in row.spans)))
    fewest = max(2.0, share * len(rows))
    common = [
        text
        for text, count in counts.most_common()
        if count >= fewest and len(re.findall(r"\w+", text)) >= _LEAST_WORDS
    ]
    return [text for text in common if not any(other != text and other in text for other in common)]
