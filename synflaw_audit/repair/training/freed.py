"""Memory that was freed goes back to the system, where the C library would keep it.

Tensors of ever other sizes leave holes that the next ones do not fit into, so that a process may
hold twice what it uses. glibc gives the pages of such holes back when it is told to
(``malloc_trim``); other libraries do so by themselves.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Give the pages of freed memory back; nothing where the C library is not glibc."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # TypeError: Windows takes no None
        return None
    return found
