"""Seconds of fit and scoring, side by side: interleaved, warm, repeated; the ratio to the first contestant counts.

Never read from accuracy runs: there cells share the machine, and the first call of compiled code is inside the clock.
"""

import gc
import os
import platform
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from odkit.bench.config import Config
from odkit.bench.contestants import Contestant, build, canonical_json, resolve

__all__ = ["SCORED_ROWS", "measure_speed"]

SCORED_ROWS = (1, 100, 10_000)
WARM_ROWS = 64

PEAK = """
import json, sys
import numpy as np
from odkit.bench.memory import peak_mb, reset_peak
from odkit.bench.contestants import build
path, params, n, d = json.loads(sys.argv[1])
X = np.random.default_rng(0).normal(size=(n, d))
detector = build(path, params, 0)
build(path, params, 0).fit(X[:64])
before = reset_peak()
detector.fit(X)
print(peak_mb(before))
"""


def measure_speed(
    config: Config, *, shape: tuple[int, int] = (10_000, 10), repeats: int = 3, threads: int = 1
) -> list[dict[str, Any]]:
    """Time every contestant on normal rows of one shape.

    Parameters
    ----------
    config : Config
        Its detectors are timed; its data sets are not read.
    shape : (n, d) of the training rows
    repeats : int, at least 3
        Rounds over all contestants; the order is the same in each, so that a slow minute hits all of them.
    threads : int
        BLAS and OpenMP threads.

    Returns
    -------
    list of dict
        One per contestant: median, smallest and largest seconds of the fit, median milliseconds of scoring 1, 100 and
        10 000 rows, peak memory of a fit in a process of its own (MB), and `x fit`, `x 1`, ...: its median divided by
        that of the first contestant. "reason" where it could not run.
    """
    if repeats < 3:
        raise ValueError(f"repeats must be at least 3, got {repeats}: a median of fewer is the accident of one")
    n, d = shape
    rng = np.random.default_rng(0)
    train, scored = rng.normal(size=shape), rng.normal(size=(max(SCORED_ROWS), d))
    usable: list[Contestant] = []
    rows: list[dict[str, Any]] = []
    for entry in config.detectors:
        contestant = resolve(entry)
        if contestant.missing:
            rows.append({"detector": entry.id, "reason": contestant.missing})
            continue
        usable.append(contestant)
        warm = build(contestant.path, contestant.params, 0).fit(train[:WARM_ROWS])  # compiled code is loaded here
        warm.score_samples(scored[:WARM_ROWS])
    times: dict[tuple[str, str], list[float]] = {}
    with threadpool_limits(threads):
        for _ in range(repeats):
            for contestant in usable:
                for what, seconds in _round(contestant, train, scored).items():
                    times.setdefault((contestant.id, what), []).append(seconds)
    first = usable[0].id if usable else ""
    for contestant in usable:
        middle = {what: float(np.median(times[contestant.id, what])) for what in ("fit", *map(str, SCORED_ROWS))}
        base = {what: float(np.median(times[first, what])) for what in middle}
        fit = times[contestant.id, "fit"]
        rows.append(
            {"detector": contestant.id, "n x d": f"{n} x {d}", "threads": threads, "fit s": middle["fit"],
             "fit min": min(fit), "fit max": max(fit), "x fit": middle["fit"] / base["fit"],
             **{f"{m} rows ms": 1e3 * middle[str(m)] for m in SCORED_ROWS},
             **{f"x {m}": middle[str(m)] / base[str(m)] for m in SCORED_ROWS},
             "peak MB": _peak(contestant, shape)}
        )  # fmt: skip
    return rows


def _round(contestant: Contestant, train: NDArray, scored: NDArray) -> dict[str, float]:
    detector = build(contestant.path, contestant.params, 0)
    gc.collect()
    start = time.perf_counter()
    detector.fit(train)
    seconds = {"fit": time.perf_counter() - start}
    for m in SCORED_ROWS:
        start = time.perf_counter()
        detector.score_samples(scored[:m])
        seconds[str(m)] = time.perf_counter() - start
    return seconds


def _peak(contestant: Contestant, shape: tuple[int, int]) -> float:
    """Peak resident memory of a fit above what the process held before, in a fresh process."""
    if platform.system() != "Linux":
        return float("nan")
    argument = canonical_json([contestant.path, contestant.params, *shape])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, argument], capture_output=True, text=True, env=environment, check=True
    )
    return float(done.stdout.split()[-1])
