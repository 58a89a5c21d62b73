"""How far work on files has come, and who is told."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from odkit.jobs.plan import Input

__all__ = ["Done", "Progress", "Tally", "silent"]

Progress = Callable[[str, int, int], None]  # what is going on, rows done, rows in all (0: unknown)


def silent(what: str, done: int, total: int) -> None:
    pass


class Done(NamedTuple):
    """How far a job is.

    Attributes
    ----------
    rows, new_rows : rows done, and those of them that this run did
    total_rows : rows in all; None where there are CSV files, which only reading counts
    share, new_share : the same as shares of the bytes of all files, 0 to 1
    seconds : since the run began
    """

    rows: int
    new_rows: int
    total_rows: int | None
    share: float
    new_share: float
    seconds: float


class Tally:
    """Counts rows and bytes from all threads and tells one listener."""

    def __init__(self, plan: Sequence[Input], listener: Callable[[Done], None] | None) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._bytes = max(sum(max(entry.size, 0) for entry in plan), 1)
        known = [entry.rows for entry in plan if entry.rows is not None]
        self._total = sum(known) if len(known) == len(plan) else None
        self._rows = self._new_rows = 0
        self._read = self._new_read = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def add(self, rows: int, read: float, *, new: bool = True) -> None:
        """Rows that are done and the bytes that they took of their file."""
        with self._lock:
            self._rows += rows
            self._read += read
            if new:
                self._new_rows += rows
                self._new_read += read
            if self._listener is not None:
                shares = (self._read / self._bytes, self._new_read / self._bytes)
                self._listener(Done(self._rows, self._new_rows, self._total, *shares, self.seconds))
