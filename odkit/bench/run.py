"""The parent: it plans, starts one process per cell, ends those that break a limit, and alone writes the ledger.

Running the same command again is resuming: whatever has a status and readable scores is not run again.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, cast

from odkit.bench.cell import DECLARED, Task
from odkit.bench.config import Config
from odkit.bench.environment import environment
from odkit.bench.ledger import Ledger
from odkit.bench.plan import Cell, Plan, make_plan
from odkit.bench.processes import Running, fork_server, kill, outcome, server_gone, start, watch
from odkit.bench.remeasure import measure_again
from odkit.datasets import verify

__all__ = ["STATUSES", "Summary", "run"]

STATUSES = ("ok", "timeout", "oom", "crash", "error", "nan_scores", "skipped")
WATCH_S = 0.2  # how often resident memory is looked at


@dataclass
class Summary:
    """What one call of `run` did: cells planned, already finished, run now by status; and how all planned ones stand
    now, `absent` the detectors that could not be imported, with the reason."""

    run_id: str
    planned: int
    resumed: int
    statuses: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    standing: Counter[str] = field(default_factory=Counter)
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Planned cells that have failed, now or before."""
        return sum(n for status, n in self.standing.items() if status not in ("ok", "skipped"))


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
    try:
        with Ledger(run_dir, create=True) as ledger:
            ledger.claim(plan.run_id, text, plan.suite, plan.suite_sha)
            try:
                return _resume(plan, config, ledger, jobs, retry, data_home, progress)
            finally:
                with suppress(sqlite3.OperationalError):  # a full disk: the claim of a dead process counts for nothing
                    ledger.release()
    except sqlite3.OperationalError as error:
        raise RuntimeError(
            f"{run_dir}: the ledger cannot be written ({error}). What was finished is kept; make room or mend the "
            "folder and give the same command again"
        ) from error


def _resume(
    plan: Plan,
    config: Config,
    ledger: Ledger,
    jobs: int,
    retry: set[str],
    data_home: str | None,
    progress: Callable[[dict[str, Any], int, int], None] | None,
) -> Summary:
    ledger.plan(plan.run_id, (cell.record() for cell in plan.cells))
    known = {row["cell_id"]: row for row in ledger.rows("SELECT * FROM cells")}
    done = [
        row
        for cell in plan.cells
        if (row := known.get(cell.cell_id)) and row["status"] not in retry and not _supported_now(cell, row)
    ]
    finished = {row["cell_id"] for row in done} - ledger.unreadable(done)
    todo = [cell for cell in plan.cells if cell.cell_id not in finished]
    summary = Summary(plan.run_id, len(plan.cells), len(finished))
    summary.absent = {cell.contestant.id: cell.contestant.missing for cell in plan.cells if cell.contestant.missing}
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
    summary.measured = measure_again(plan, config, ledger, data_home)
    summary.standing = summary.statuses + Counter(known[cell_id]["status"] for cell_id in finished)
    return summary


def _supported_now(cell: Cell, row: dict[str, Any]) -> bool:
    """A cell once declared too large, whose limit has been raised or lifted since; the limit is not in its identity."""
    if row["error_type"] != DECLARED:
        return False
    limits = ((cell.max_train_rows, row["n_train"]), (cell.max_features, row["d"]))
    return all(limit is None or have <= limit for limit, have in limits)


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
    waiting, running = list(reversed(cells)), dict[int, Running]()
    suspects: list[Cell] = []  # a detector that ends the fork server ends its neighbours: each gets a second try alone
    alone, watched = False, 0.0
    with fork_server(cells, config.limits.threads) as context:
        try:
            while waiting or running or suspects:
                if not (waiting or running):
                    waiting, suspects, alone = suspects, [], True
                while waiting and len(running) < (1 if alone else jobs):
                    cell = waiting.pop()
                    if cell.contestant.missing:
                        yield cell, _skipped(cell.contestant.missing)
                        continue
                    task = _task(cell, config, run_dir, data_home)
                    started = start(context, cell, task)
                    running[started.process.sentinel] = started
                if not running:
                    continue
                for sentinel in wait([*running], timeout=WATCH_S / 2):
                    ended = running.pop(cast(int, sentinel))
                    result = outcome(ended)
                    if not alone and result["status"] == "crash" and server_gone(ended):
                        suspects.append(ended.cell)
                    else:
                        yield ended.cell, result
                if time.monotonic() - watched > WATCH_S:
                    watched = time.monotonic()
                    watch(running.values())
        finally:
            for left in running.values():
                kill(left)


def _task(cell: Cell, config: Config, run_dir: Path, data_home: str | None) -> Task:
    return Task(
        cell_id=cell.cell_id, dataset=cell.dataset, protocol=cell.protocol.model_dump(), path=cell.contestant.path,
        params=cell.contestant.given, seed=cell.seed, seeded=cell.contestant.seeded,
        gpu=str(cell.contestant.params.get("device") or "cpu") != "cpu", metrics=config.metrics,
        max_train_rows=cell.max_train_rows, max_features=cell.max_features, data_home=data_home, run_dir=str(run_dir),
        timeout_s=config.limits.timeout_s, memory_mb=config.limits.memory_mb, threads=config.limits.threads,
    )  # fmt: skip


def _skipped(reason: str) -> dict[str, Any]:
    return {"status": "skipped", "error_type": "Missing", "error_tail": reason}
