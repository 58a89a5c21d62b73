"""What the harness itself costs: seconds to resume finished cells, and milliseconds per cell beyond the detector's own.

Run: python -m benchmarks.bench.overhead [--cells 1000] [--short 60] [--repeats 3]

Resuming: a run of --cells finished cells of a baseline is given again; everything counts but the imports, so planning,
the ledger and the hashes of all score files. Overhead: --short cells of the same baseline, one process at a time; the
wall clock of the whole run, the start of the fork server and the environment's record included, less the seconds that
the cells report for fitting and scoring. The start of a bare child: an empty function in a process of the same fork
server. Run it on an idle machine: all of it is process starts and small files.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import machine
from odkit.bench.config import Config
from odkit.bench.ledger import Ledger
from odkit.bench.plan import make_plan
from odkit.bench.processes import fork_server
from odkit.bench.run import run


def config(cells: int) -> Config:
    return Config.model_validate(
        {"datasets": ["samples/payments"], "protocol": {"mode": "contaminated", "split": "stratified"},
         "seeds": list(range(cells)), "metrics": ["roc_auc", "ap"],
         "detectors": [{"id": "max-abs-z", "class": "odkit.bench.baselines.MaxAbsZ"}]}
    )  # fmt: skip


def seconds_of(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def overhead(cells: int) -> tuple[float, float]:
    """Milliseconds a cell takes beyond fit and score: of the whole run, and of the cells' own wall clocks."""
    with tempfile.TemporaryDirectory() as folder:
        wall = seconds_of(lambda: run(config(cells), "", folder))
        with Ledger(folder) as ledger:
            (own,) = ledger.rows("SELECT SUM(fit_s + score_s) AS own, SUM(wall_s) AS cells FROM cells")
    return 1e3 * (wall - own["own"]) / cells, 1e3 * (own["cells"] - own["own"]) / cells


def empty() -> None:
    pass


def bare_start(starts: int) -> float:
    """Milliseconds to start an empty child and to see it end."""
    with fork_server(list(make_plan(config(1)).cells), 1) as context:
        times = []
        for _ in range(starts):
            child = context.Process(target=empty)
            begin = time.perf_counter()
            child.start()
            child.join()
            times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--short", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(machine())
    print(f"start of a bare child: {bare_start(30):.1f} ms")
    for _ in range(given.repeats):
        whole, each = overhead(given.short)
        print(
            f"overhead per cell: {each:.0f} ms in the cell, {whole:.0f} ms with planning, fork server and environment"
        )
    with tempfile.TemporaryDirectory() as folder:
        finished = config(given.cells)
        print(f"making {given.cells} cells ...", file=sys.stderr, flush=True)
        run(finished, "", folder, jobs=2)
        assert len(list(Path(folder).rglob("*.npy"))) == given.cells
        for _ in range(given.repeats):
            print(f"resuming {given.cells} finished cells: {seconds_of(lambda: run(finished, '', folder)):.2f} s")
