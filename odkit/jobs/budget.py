"""How many threads and how many rows at once fit into a given memory."""

import os
import re
import sys
from typing import NamedTuple

__all__ = ["Limits", "limits", "parse_bytes"]

PER_WORKER = 100 << 20  # what a thread holds beside its batches: a row group's pages, results, the allocator's slack
COPIES = 4  # of a batch: as decoded, as a matrix, as the detector sees it, and what it computes
MIN_BATCH = 8192
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


class Limits(NamedTuple):
    """Threads, and rows that each of them scores at once."""

    workers: int
    batch: int


def limits(memory: int | str | None, workers: int, batch: int, n_columns: int) -> Limits:
    """At most `workers` threads and `batch` rows, and fewer where `memory` asks for it.

    Raises
    ------
    ValueError
        If not even one thread with 8192 rows at once fits beside what the process already holds.
    """
    if workers < 1 or batch < 1:
        raise ValueError(f"workers={workers} and batch={batch} must be at least 1")
    if memory is None:
        return Limits(workers, batch)
    room = parse_bytes(memory) - _resident()
    while True:
        each = PER_WORKER + COPIES * 8 * batch * n_columns
        if room >= each or batch <= MIN_BATCH:
            break
        batch = max(batch // 2, MIN_BATCH)
    if room < each:
        raise ValueError(
            f"--memory {memory} is too little: the process with its model takes {_resident() / 1e6:,.0f} MB and one "
            f"thread with {batch:,} rows of {n_columns} columns {each / 1e6:,.0f} MB more"
        )
    return Limits(min(workers, room // each), batch)


def parse_bytes(size: int | str) -> int:
    """A number of bytes, given as such or as text: "500MB", "2 GiB".

    >>> from odkit.jobs.budget import parse_bytes
    >>> parse_bytes("1.5GB"), parse_bytes("512 MiB"), parse_bytes(10**9)
    (1500000000, 536870912, 1000000000)
    """
    if isinstance(size, int):
        return size
    fits = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]I?)?B?\s*", size.upper())
    if not fits:
        raise ValueError(f"{size!r} is no size; say it as 500MB or 2GB")
    return int(float(fits[1]) * UNITS[fits[2] or ""])


def _resident() -> int:
    """Bytes of memory that this process holds; where only the peak can be asked, that."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
