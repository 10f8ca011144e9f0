"""How a limit on memory is kept: by smaller batches, and by a smaller sample."""

from __future__ import annotations

import re
from dataclasses import dataclass

from synflaw_audit.errors import InputError
from synflaw_audit.sample.sketch import BYTES

MEGABYTE = 1_000_000
UNITS = {"KB": 1_000, "MB": MEGABYTE, "GB": 1_000 * MEGABYTE}

# What audits of long answers take, and something over: with the smallest batches and sample, and
# with the largest (limits of 550, 650 and 900 MB came to peaks of 466, 611 and 702).
LEAST, MOST = 550 * MEGABYTE, 950 * MEGABYTE
BATCH_RECORDS, FEWEST_RECORDS = 8192, 1024
SMALLEST_SAMPLE = 0.05


@dataclass(frozen=True)
class Memory:
    """What an audit holds in memory at a time.

    Attributes:
        batch_records: Records of a batch.
        sample_bytes: Of text in the sample.
    """

    batch_records: int = BATCH_RECORDS
    sample_bytes: int = BYTES


def memory_plan(limit: int | None) -> Memory:
    """What fits into a limit, in bytes; a smaller sample widens the intervals of the scores.

    Raises:
        InputError: The limit is below what any audit needs.
    """
    if limit is None:
        return Memory()
    if limit < LEAST:
        raise InputError(
            f"a memory limit of {limit // MEGABYTE} MB is too low: an audit needs "
            f"{LEAST // MEGABYTE} MB"
        )
    share = min(max((limit - LEAST) / (MOST - LEAST), SMALLEST_SAMPLE), 1.0)
    return Memory(max(int(share * BATCH_RECORDS), FEWEST_RECORDS), int(share * BYTES))


def parsed(size: int | str) -> int:
    """Bytes of a size: a number of them, or text such as "600MB" or "2 GB".

    Raises:
        InputError: It is no size.
    """
    if isinstance(size, int):
        return size
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMG]B)", size.strip(), re.IGNORECASE)
    if found is None:
        raise InputError(f"{size!r} is no size: write a number and {', '.join(UNITS)}")
    return int(float(found[1]) * UNITS[found[2].upper()])
