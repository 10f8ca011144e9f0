"""Accounts add up, however a corpus is cut into parts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.findings.accounts import MOST_DAMAGE, Accounts, FileAccount, Skipped

COUNT = st.integers(0, 9)
ACCOUNT = st.builds(
    FileAccount,
    st.sampled_from("abc"),
    COUNT,
    COUNT,
    COUNT,
    COUNT,
    COUNT,
    st.booleans(),
    st.lists(st.integers(0, 30).map(str), max_size=8).map(tuple),
    st.lists(st.sampled_from("xyz"), unique=True).map(tuple),
)
PART = st.builds(
    Accounts,
    ACCOUNT.map(lambda account: (account,)),
    st.lists(st.sampled_from("de"), unique=True).map(
        lambda paths: tuple(Skipped(path, "no") for path in paths)
    ),
)


@given(st.lists(PART, min_size=1), st.data())
def test_parts_may_be_merged_in_any_grouping(parts: list[Accounts], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(parts)))
    whole = reduce(Accounts.merged, parts, Accounts())
    halves = [reduce(Accounts.merged, half, Accounts()) for half in (parts[:cut], parts[cut:])]
    assert halves[0].merged(halves[1]) == whole
    accounts = [account for part in parts for account in part.files]
    assert whole.rows == sum(account.rows for account in accounts)
    assert whole.rejections == sum(account.rejections for account in accounts)
    assert whole.exact == all(account.exact for account in accounts)
    assert {file.file for file in whole.damaged} == {a.file for a in accounts if a.damage}


def test_what_is_added_to_a_full_account_is_more_damage() -> None:
    full = reduce(FileAccount.merged, (_damaged(range(n, n + 3)) for n in range(0, 30, 3)))
    for one in ([], [99], [0], range(40, 70)):
        merged = full.merged(_damaged(one))
        assert merged.damage == full.damage
        assert len(merged.damage) == MOST_DAMAGE


def _damaged(places: Iterable[int]) -> FileAccount:
    return FileAccount("a", damage=tuple(map(str, places)))


@given(st.lists(ACCOUNT, min_size=1))
def test_damage_is_told_but_not_without_end(accounts: list[FileAccount]) -> None:
    merged = reduce(FileAccount.merged, accounts)
    told = {damage for account in accounts for damage in account.damage}
    assert len(merged.damage) <= MOST_DAMAGE
    assert bool(merged.damage) == bool(told)
    assert len(told) > MOST_DAMAGE or set(merged.damage) == told
    assert len(told) <= MOST_DAMAGE or merged.damage[-1] == "and there is more damage"
