"""Stopping a job by hand: the first signal lets it finish what it has begun, the second ends it at once."""

import logging
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Stop"]


class Stop:
    """Inside the block SIGINT and SIGTERM set `signal` to their number instead of ending the process.

    The second signal acts as if this were not here. Only the main thread gets signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal = number
        logging.getLogger("odkit").warning("stopping after the parts in work; a second signal stops at once")
