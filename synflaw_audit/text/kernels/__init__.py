"""The loops that every row goes through, compiled by numba.

Written as plain loops over arrays and run without the interpreter's lock, so that threads share the
cores. numba keeps the machine code in ``__pycache__`` (or in the user's cache directory), so only
the first run after an installation compiles. What that run takes is kept small: what only loops
call has no entry for Python (``called``) or, if one alone calls it, becomes a part of that
(``inlined``), and none uses functions of numpy that numba would have to compile as well. The tests
compare each of them with a reference version in ordinary Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Points = npt.NDArray[np.uint32]
Ids = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

F = TypeVar("F", bound=Callable[..., object])
A = TypeVar("A", Ids, Ints)

# Entries that nobody uses; numba's types do not know of leaving them out.
_NOT_FROM_C: dict[str, Any] = {"no_cfunc_wrapper": True}
_NOT_FROM_PYTHON: dict[str, Any] = {"no_cpython_wrapper": True}


def compiled(function: F) -> F:
    """The function as machine code, kept on disk where there is a place to keep it."""
    try:
        return cast(F, numba.njit(function, cache=True, nogil=True, **_NOT_FROM_C))
    except RuntimeError:  # neither the package's directory nor the user's can be written to
        return cast(F, numba.njit(function, nogil=True, **_NOT_FROM_C))


def called(function: F) -> F:
    """The function for loops to call, and not for Python.

    It is compiled once for every kind of argument, and a plain number is a kind of its own: give it
    ``np.int64(8)``, not 8.
    """
    return cast(F, numba.njit(function, nogil=True, **_NOT_FROM_PYTHON, **_NOT_FROM_C))


def inlined(function: F) -> F:
    """The function as a part of the one loop that calls it, and compiled with that."""
    return cast(F, numba.njit(function, inline="always"))


MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: invertible modulo 2**64
MIX = np.uint64(0xBF58476D1CE4E5B9)  # the first multiplier of splitmix64


@called
def doubled(values: A) -> A:
    """A copy with room for as many more."""
    grown = np.empty(2 * len(values), values.dtype)
    for i in range(len(values)):
        grown[i] = values[i]
    return grown


@called
def longer(gram: np.uint64, token: np.uint64) -> np.uint64:
    """The hash of a token sequence made one token longer."""
    value = gram * MULTIPLIER + token
    return value ^ (value >> np.uint64(32))
