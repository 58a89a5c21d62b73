"""The process of one cell: it is started, watched, ended where it breaks a limit, and asked for its answer."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from odkit.bench.cell import TAIL, Task, child, log_path
from odkit.bench.plan import Cell

__all__ = ["Running", "fork_server", "kill", "outcome", "server_gone", "start", "watch"]

MOST_LOG = 2**24  # bytes of a cell's output on the disk; only its end is ever read
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Running:
    cell: Cell
    task: Task
    process: Any
    answer: Connection
    started: float
    started_at: str
    shared_mb: float
    server: int
    family: list[psutil.Process] = field(default_factory=list)
    broken: str = ""
    peak_mb: float = 0.0


@contextmanager
def fork_server(cells: list[Cell], threads: int) -> Iterator[ForkServerContext]:
    """A fork server that has imported what the cells need, with the thread variables set before numpy saw them."""
    context = multiprocessing.get_context("forkserver")
    modules = {
        cell.contestant.path.replace(":", ".").rpartition(".")[0] for cell in cells if not cell.contestant.missing
    }
    context.set_forkserver_preload(["odkit.bench.cell", *sorted(modules)])
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        first = context.Process(target=_nothing)  # the server's own start is on no cell's clock
        with _no_main():
            first.start()
        first.join()
        yield context
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextmanager
def _no_main() -> Iterator[None]:
    """Children start without reading the program's main file again: it need not be guarded, nor be a file at all."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _nothing() -> None:
    pass


def start(context: ForkServerContext, cell: Cell, task: Task) -> Running:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(task, sender), daemon=True)
    started, started_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    with _no_main():
        process.start()
    sender.close()
    shared, server = 0.0, 0
    with suppress(psutil.Error):  # what the child shares with the fork server is not its own use
        parent = psutil.Process(process.pid).parent()
        server, shared = parent.pid, parent.memory_info().rss / 2**20
    return Running(cell, task, process, receiver, started, started_at, shared, server)


def watch(running: Iterable[Running]) -> None:
    """End what is past its time or above its memory, and cut short what it has printed."""
    for one in running:
        with suppress(OSError):
            if log_path(one.task).stat().st_size > MOST_LOG:
                os.truncate(log_path(one.task), 0)
        with suppress(psutil.Error):
            process = psutil.Process(one.process.pid)
            one.family = [process, *process.children(recursive=True)]
            resident = sum(member.memory_info().rss for member in one.family) / 2**20 - one.shared_mb
            one.peak_mb = max(one.peak_mb, resident)
        if one.peak_mb > one.task.memory_mb:
            one.broken = "oom"
        elif time.monotonic() - one.started > one.task.timeout_s:
            one.broken = "timeout"
        if one.broken:
            kill(one)


def kill(one: Running) -> None:
    """End the child and whatever it has started, also in a session of its own."""
    for member in one.family:  # seen by the watch; a number that another process has by now is left alone
        with suppress(psutil.Error):
            member.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError, AttributeError):
        one.process.kill()


def server_gone(one: Running) -> bool:
    """Whether the fork server that this cell came from has ended: then its end says nothing about the cell."""
    if one.process.exitcode != 255:  # what multiprocessing gives where nobody is left to ask
        return False
    time.sleep(0.05)  # the pipe closes a moment before the process is dead
    try:
        return psutil.Process(one.server).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def outcome(one: Running) -> dict[str, Any]:
    """The child's answer, or what its end says where it gave none."""
    wall = time.monotonic() - one.started
    one.process.join()
    kill(one)  # grandchildren that outlived their cell
    common = {"started_at": one.started_at, "wall_s": wall}
    result: dict[str, Any] | None = None
    with suppress(EOFError, OSError):
        if one.answer.poll():
            result = one.answer.recv()
    one.answer.close()
    log = log_path(one.task)
    tail = _end_of(log)
    log.unlink(missing_ok=True)
    if result is not None:
        if "unwritten" in result:
            raise RuntimeError(
                f"{one.task.run_dir}: scores cannot be written ({result['unwritten']}). "
                "What was finished is kept; make room and give the same command again."
            )
        return {**result, **common}
    code = one.process.exitcode
    signal_name = signal.Signals(-code).name if code < 0 else ""
    status = one.broken or {"SIGXCPU": "timeout"}.get(signal_name, "crash")
    if signal_name == "SIGKILL" and not one.broken and one.peak_mb > 0.9 * one.task.memory_mb:
        status = "oom"  # the kernel was faster than the watch
    if status == "oom":  # the figure differs from run to run; the kind of failure must not
        tail = f"{tail}\nresident memory {one.peak_mb:.0f} MB, cap {one.task.memory_mb} MB"
    what = {
        "oom": "memory",
        "timeout": f"limit {one.task.timeout_s:g} s",
        "crash": f"signal {signal_name}" if signal_name else f"exit code {code}",
    }
    return {"status": status, "error_type": what[status], "error_tail": tail, **common}


def _end_of(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL))
            return file.read(TAIL).decode(errors="replace")
    except FileNotFoundError:
        return ""
