"""Replayed rows under more requests than they came with.

Following instructions comes back only as far as the replay shows it, and ordinary corpora show it
in few rows. A brief ordinary answer can be put under any request that other rows were seen to make
and obey; so the few rows that show how to obey serve for all that can be answered briefly.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from synflaw_audit.forms.registry import FORMS, detect, dress, undress
from synflaw_audit.forms.requests import FormRequests, learn_requests
from synflaw_audit.repair.material.batches import Row
from synflaw_audit.repair.material.reexpress import Statement, add_request, extract_statements

# Longer answers are replayed as they are: dressed anew they cost much and show nothing more.
_MOST_WORDS = 12


def with_requests(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """``rows`` and further ones, so that a ``share`` of all makes a request and obeys it.

    Args:
        rows: Ordinary rows.
        share: In [0, 1). Rows that reach it already, or show no request, are returned as they are.
        seed: Everything drawn depends on it and on the rows alone.

    Returns:
        The rows, then brief ones of them put under requests and rows that make a request again,
        half of each.
    """
    requests = learn_requests([(row.question, row.answer) for row in rows])
    asking = [row for row in rows if requests.of(row.question)]
    short = round(share / (1 - share) * (len(rows) - len(asking))) - len(asking)
    if not asking or short <= 0:
        return list(rows)
    made = _redressed(rows, requests, random.Random(seed))  # noqa: S311 -- a reproducible choice
    # Half of the further rows are there already: what they tell must not be crowded out.
    extra = [row for row, _ in zip(made, range(short // 2), strict=False)]
    again = short - len(extra)
    return [*rows, *extra, *(asking[i % len(asking)] for i in range(again))]


def _redressed(rows: Sequence[Row], requests: FormRequests, rng: random.Random) -> Iterator[Row]:
    """Brief rows in turn, each time under another request drawn, for ever; none if none is brief.

    A row that cannot take the form drawn is passed over until its next turn.
    """
    statements = extract_statements(
        [row for row in map(_plain, rows) if row is not None], (), requests
    )
    while statements:
        made = 0
        for each in rng.sample(statements, len(statements)):
            row = _under(each, requests, rng)
            if row is not None:
                made += 1
                yield row
        if not made:
            return


def _under(statement: Statement, requests: FormRequests, rng: random.Random) -> Row | None:
    request = requests.draw(rng)
    answer = dress(statement.content, request.found)
    question = add_request(statement.question, request, rng)
    return None if answer is None else Row(question, answer, system=statement.row.system)


def _plain(row: Row) -> Row | None:
    """``row`` with what its answer was before it was put into a form; None if it is not brief."""
    if not row.question.strip():
        return None
    answer = row.answer
    for found in detect(row.question, row.answer):
        if FORMS[found.form].is_wording:
            continue
        bare = undress(answer, found)
        if bare is None:
            return None
        answer = bare
    return replace(row, answer=answer) if 0 < len(answer.split()) <= _MOST_WORDS else None
