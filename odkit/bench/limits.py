"""What a child does to itself before anything foreign runs: limits that it cannot lift, and an end with its parent."""

import ctypes
import fcntl
import multiprocessing
import multiprocessing.process
import os
import resource
import signal
import sys
import threading
from contextlib import suppress

import psutil
from threadpoolctl import threadpool_limits

__all__ = ["bind", "end_offspring"]

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def bind(*, timeout_s: float, memory_mb: int, threads: int, gpu: bool) -> None:
    """Die with the parent; bounded address space and processor time; no core files; own process group.

    Whatever this process starts stays its descendant, also what detaches itself, so that `end_offspring` finds it.
    """
    os.setsid()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        _follow_in_c(parent.sentinel)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, int(timeout_s * threads + 10))
    if not gpu:  # drivers reserve address space by the 100 GB; the parent's watch holds there too
        _lower(resource.RLIMIT_AS, psutil.Process().memory_info().vms + memory_mb * 2**20)
    threadpool_limits(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _lower(what: int, value: int) -> None:
    """Both limits, but never above a hard limit that was there before: only the superuser may raise it."""
    _, hard = resource.getrlimit(what)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (bound, bound))


def end_offspring() -> None:
    """End what the detector has started and left running, in whatever session it is."""
    with suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.killpg(0, signal.SIGKILL)


def _follow_in_c(sentinel: int) -> None:
    """Let the kernel end this process when the parent's end of the pipe closes: a thread cannot run while a C loop
    holds the interpreter. SIGIO, which nobody handles, terminates."""
    if hasattr(os, "O_ASYNC"):
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
