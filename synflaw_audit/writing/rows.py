"""Sets of a file's rows, a bit a row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from synflaw_audit.text.tokens import Ints, Mask


class RowSet:
    """Numbers of rows of one file, from 0; a hundred million rows take 12 MB."""

    def __init__(self, rows: Iterable[int] = ()) -> None:
        self._bits = np.zeros(0, dtype=np.uint8)
        self.add(np.fromiter(rows, dtype=np.int64))

    def add(self, rows: Ints | npt.NDArray[np.int64]) -> None:
        """Take some rows in: int64 [rows], none below 0."""
        if not len(rows):
            return
        needed = (int(rows.max()) >> 3) + 1
        if needed > len(self._bits):
            grown = np.zeros(max(needed, 2 * len(self._bits)), dtype=np.uint8)
            grown[: len(self._bits)] = self._bits
            self._bits = grown
        np.bitwise_or.at(self._bits, rows >> 3, np.uint8(1) << (rows & 7).astype(np.uint8))

    def add_one(self, row: int) -> None:
        """Take one row in."""
        self.add(np.array([row], dtype=np.int64))

    def joined(self, other: RowSet) -> RowSet:
        """The rows of both."""
        both = RowSet()
        longer, shorter = sorted((self._bits, other._bits), key=len, reverse=True)
        both._bits = longer.copy()
        both._bits[: len(shorter)] |= shorter
        return both

    def mask(self, start: int, stop: int) -> Mask:
        """Which rows from ``start`` to before ``stop`` are in the set: bool [stop - start]."""
        first = start >> 3
        found = np.unpackbits(self._bits[first : (stop + 7) >> 3], bitorder="little").astype(bool)
        mask = np.zeros(stop - start, dtype=bool)
        found = found[start - 8 * first :][: len(mask)]
        mask[: len(found)] = found
        return mask

    def __contains__(self, row: int) -> bool:
        byte = row >> 3
        return byte < len(self._bits) and bool(self._bits[byte] >> (row & 7) & 1)

    def __len__(self) -> int:
        return int(np.bitwise_count(self._bits).sum())
