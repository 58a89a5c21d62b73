"""The parent: it plans, starts one process per cell, ends those that break a limit, and alone writes the ledger.

Running the same command again is resuming: whatever has a status and readable scores is not run again.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import psutil

from odkit.bench.cell import TAIL, Task, child, log_path
from odkit.bench.config import Config, Protocol
from odkit.bench.environment import environment
from odkit.bench.ledger import Ledger
from odkit.bench.measures import MEASURES, Scored, measure
from odkit.bench.plan import Cell, Plan, make_plan
from odkit.bench.protocol import prepare
from odkit.datasets import load, verify

__all__ = ["STATUSES", "Summary", "run"]

STATUSES = ("ok", "timeout", "oom", "crash", "error", "nan_scores", "skipped")
WATCH_S = 0.2  # how often resident memory is looked at
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Summary:
    """What one call of `run` did: cells planned, already finished, and run now by status."""

    run_id: str
    planned: int
    resumed: int
    statuses: Counter[str] = field(default_factory=Counter)
    measured: int = 0

    @property
    def failed(self) -> int:
        return sum(n for status, n in self.statuses.items() if status not in ("ok", "skipped"))


@dataclass
class _Running:
    cell: Cell
    task: Task
    process: Any
    answer: Connection
    started: float
    started_at: str
    shared_mb: float
    broken: str = ""
    peak_mb: float = 0.0


def run(
    config: Config,
    text: str,
    run_dir: str | Path,
    *,
    jobs: int = 1,
    only: Iterable[str] = (),
    retry: Iterable[str] = (),
    data_home: str | None = None,
    progress: Callable[[dict[str, Any], int, int], None] | None = None,
) -> Summary:
    """Run every cell of a configuration that has no final status yet.

    Parameters
    ----------
    config : Config
    text : str
        The configuration's text, kept verbatim in the ledger.
    run_dir : path
        The run folder; made if it is not there, continued if it is.
    jobs : int
        Processes at a time.
    only : iterable of str
        `det=PATTERN` and `ds=PATTERN`.
    retry : iterable of str
        Statuses whose cells are run again.
    data_home : str, optional
        See `odkit.datasets.get_data_home`.
    progress : callable, optional
        Called with (record of the cell, cells done, cells to do) after each cell.

    Raises
    ------
    ValueError
        If the plan, a status in `retry` or a data file is not what it should be.
    RuntimeError
        If another process is writing this run folder, or scores cannot be written (full disk): what was finished is
        kept, and the same command continues.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    retry = set(retry)
    if retry - set(STATUSES):
        raise ValueError(
            f"retry: no status {', '.join(sorted(retry - set(STATUSES)))}; there are {', '.join(STATUSES)}"
        )
    plan = make_plan(config, only=only, data_home=data_home)
    with Ledger(run_dir, create=True) as ledger:
        ledger.claim(plan.run_id, text, plan.suite, plan.suite_sha)
        try:
            ids = [cell.cell_id for cell in plan.cells]
            ledger.plan(plan.run_id, (cell.record() for cell in plan.cells))
            known = {row["cell_id"]: row for row in ledger.rows("SELECT * FROM cells")}
            done = [known[cell_id] for cell_id in ids if cell_id in known and known[cell_id]["status"] not in retry]
            finished = {row["cell_id"] for row in done} - ledger.unreadable(done)
            todo = [cell for cell in plan.cells if cell.cell_id not in finished]
            summary = Summary(plan.run_id, len(plan.cells), len(finished))
            if todo:
                _verify(todo, data_home)
                env_id, env_json = environment(config.limits.threads)
                ledger.put_env(env_id, env_json)
                common = {"run_id": plan.run_id, "suite": plan.suite, "env_id": env_id}
                for number, (cell, result) in enumerate(_results(todo, config, ledger, jobs, data_home), start=1):
                    metrics = result.pop("metrics", {})
                    record = {**cell.record(), **common, **result}
                    ledger.put(record, metrics)
                    summary.statuses[record["status"]] += 1
                    if progress:
                        progress(record, number, len(todo))
            summary.measured = _measure_again(plan, config, ledger, data_home)
        finally:
            ledger.release()
    return summary


def _verify(cells: list[Cell], data_home: str | None) -> None:
    """Every data file is the card's, once per run, before any detector starts."""
    faults = [
        check for check in verify(sorted({c.dataset for c in cells}), data_home=data_home) if check.status != "ok"
    ]
    if faults:
        raise ValueError("\n".join(f"{fault.id}: {fault.detail}" for fault in faults))


def _results(
    cells: list[Cell], config: Config, ledger: Ledger, jobs: int, data_home: str | None
) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """(cell, result) in the order of finishing; at most `jobs` processes at a time."""
    run_dir = ledger.run_dir.resolve()
    for folder in ("scores", "logs"):
        with suppress(FileExistsError):  # a file in the way is reported by the first cell that cannot write
            (run_dir / folder).mkdir()
    waiting, running = list(reversed(cells)), dict[int, _Running]()
    watched = 0.0
    with _forkserver(cells, config.limits.threads) as context:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    cell = waiting.pop()
                    if cell.contestant.missing:
                        yield cell, _skipped(cell.contestant.missing)
                        continue
                    task = _task(cell, config, run_dir, data_home)
                    started = _start(context, cell, task)
                    running[started.process.sentinel] = started
                if not running:
                    continue
                for sentinel in wait([*running], timeout=WATCH_S / 2):
                    ended = running.pop(cast(int, sentinel))
                    yield ended.cell, _outcome(ended)
                if time.monotonic() - watched > WATCH_S:
                    watched = time.monotonic()
                    _watch(running.values())
        finally:
            for left in running.values():
                _kill(left)


@contextmanager
def _forkserver(cells: list[Cell], threads: int) -> Iterator[ForkServerContext]:
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


def _task(cell: Cell, config: Config, run_dir: Path, data_home: str | None) -> Task:
    return Task(
        cell_id=cell.cell_id, dataset=cell.dataset, protocol=cell.protocol.model_dump(), path=cell.contestant.path,
        params=cell.contestant.params, seed=cell.seed, seeded=cell.contestant.seeded, metrics=config.metrics,
        max_train_rows=cell.max_train_rows, max_features=cell.max_features, data_home=data_home, run_dir=str(run_dir),
        timeout_s=config.limits.timeout_s, memory_mb=config.limits.memory_mb, threads=config.limits.threads,
    )  # fmt: skip


def _start(context: ForkServerContext, cell: Cell, task: Task) -> _Running:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(task, sender), daemon=True)
    started, started_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    with _no_main():
        process.start()
    sender.close()
    shared = 0.0
    with suppress(psutil.Error):  # what the child shares with the fork server is not its own use
        shared = psutil.Process(process.pid).parent().memory_info().rss / 2**20
    return _Running(cell, task, process, receiver, started, started_at, shared)


def _skipped(reason: str) -> dict[str, Any]:
    return {"status": "skipped", "error_type": "Missing", "error_tail": reason}


def _watch(running: Iterable[_Running]) -> None:
    """End what is past its time or above its memory."""
    for one in running:
        with suppress(psutil.Error):
            process = psutil.Process(one.process.pid)
            family = [process, *process.children(recursive=True)]
            resident = sum(member.memory_info().rss for member in family) / 2**20 - one.shared_mb
            one.peak_mb = max(one.peak_mb, resident)
        if one.peak_mb > one.task.memory_mb:
            one.broken = "oom"
        elif time.monotonic() - one.started > one.task.timeout_s:
            one.broken = "timeout"
        if one.broken:
            _kill(one)


def _kill(one: _Running) -> None:
    """End the child and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError, AttributeError):
        one.process.kill()


def _outcome(one: _Running) -> dict[str, Any]:
    """The child's answer, or what its end says where it gave none."""
    wall = time.monotonic() - one.started
    one.process.join()
    _kill(one)  # grandchildren that outlived their cell
    common = {"started_at": one.started_at, "wall_s": wall}
    result: dict[str, Any] | None = None
    with suppress(EOFError, OSError):
        if one.answer.poll():
            result = one.answer.recv()
    one.answer.close()
    log = log_path(one.task)
    tail = log.read_text(errors="replace")[-TAIL:] if log.is_file() else ""
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
    what = {
        "oom": f"resident memory {one.peak_mb:.0f} MB, cap {one.task.memory_mb} MB",
        "timeout": f"limit {one.task.timeout_s:g} s",
        "crash": f"signal {signal_name}" if signal_name else f"exit code {code}",
    }
    return {"status": status, "error_type": what[status], "error_tail": tail, **common}


def _measure_again(plan: Plan, config: Config, ledger: Ledger, data_home: str | None) -> int:
    """Metrics asked for after their cells were finished, or of a raised version, from the stored scores: no refit."""
    have = {(r["cell_id"], r["metric"]): r["metric_version"] for r in ledger.rows("SELECT * FROM metrics")}
    scores = {
        r["cell_id"]: r for r in ledger.rows("SELECT cell_id, score_path, threshold FROM cells WHERE status='ok'")
    }
    prepared: dict[tuple[str, Protocol, int], Any] = {}
    count = 0
    for cell in plan.cells:
        row = scores.get(cell.cell_id)
        if row is None:
            continue
        missing = tuple(name for name in config.metrics if have.get((cell.cell_id, name)) != MEASURES[name].version)
        if not missing:
            continue
        key = (cell.dataset, cell.protocol, cell.seed)
        if key not in prepared:
            prepared[key] = prepare(load(cell.dataset, data_home=data_home, verify=False), cell.protocol, cell.seed)
        path = ledger.run_dir / row["score_path"]
        values = np.load(path, allow_pickle=False).astype(np.float64)
        stored = path.with_name(f"{cell.cell_id}.maps.npy")
        maps = np.load(stored, allow_pickle=False).astype(np.float32) if stored.is_file() else None
        threshold = np.nan if row["threshold"] is None else row["threshold"]
        truth = prepared[key]
        scored = Scored(truth.is_outlier, values, threshold, truth.severity, truth.ordered, truth.masks, maps)
        found = measure(missing, scored)
        ledger.put_metrics(cell.cell_id, found)
        count += len(found)
    return count
