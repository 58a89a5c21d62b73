"""Seconds of fit and scoring, side by side: interleaved, warm, repeated; the ratio to the first contestant counts.

Never read from accuracy runs: there cells share the machine, and the first call of compiled code is inside the clock.
"""

import gc
import os
import pickle
import platform
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from odkit.bench.config import Config
from odkit.bench.contestants import Contestant, build, resolve

__all__ = ["SCORED_ROWS", "measure_speed"]

SCORED_ROWS = (1, 100, 10_000)
WARM_ROWS = 64

PEAK = """
import pickle, sys
import numpy as np
from odkit.bench.memory import peak_mb, reset_peak
from odkit.bench.contestants import build
path, params, n, d = pickle.loads(bytes.fromhex(sys.argv[1]))
X = np.random.default_rng(0).normal(size=(n, d))
detector = build(path, params, 0)
build(path, params, 0).fit(X[:64])
before = reset_peak()
detector.fit(X)
print(peak_mb(before))
"""


def measure_speed(
    config: Config,
    *,
    shape: tuple[int, int] = (10_000, 10),
    repeats: int = 3,
    threads: tuple[int | None, ...] = (1, None),
) -> list[dict[str, Any]]:
    """Time every contestant on normal rows of one shape.

    Parameters
    ----------
    config : Config
        Its detectors are timed; its data sets are not read.
    shape : (n, d) of the training rows
    repeats : int, at least 3
        Rounds over all contestants; the order is the same in each, so that a slow minute hits all of them.
    threads : tuple of int or None
        BLAS and OpenMP threads, one table for each; None: as many as the libraries take by default.

    Returns
    -------
    list of dict
        One per number of threads and contestant: median, smallest and largest seconds of the fit, median milliseconds
        of scoring 1, 100 and 10 000 rows, peak memory of a fit in a process of its own (MB), and `x fit`, `x 1`, ...:
        the median over the rounds of its time divided by that of the first contestant in the same round. "reason"
        where it could not run; it stops nobody else.
    """
    if repeats < 3:
        raise ValueError(f"repeats must be at least 3, got {repeats}: a median of fewer is the accident of one")
    rng = np.random.default_rng(0)
    train, scored = rng.normal(size=shape), rng.normal(size=(max(SCORED_ROWS), shape[1]))
    usable: list[Contestant] = []
    rows: list[dict[str, Any]] = []
    for entry in config.detectors:
        contestant = resolve(entry)
        reason = contestant.missing or _refusal(contestant, train, scored)
        if reason:
            rows.append({"detector": entry.id, "reason": reason})
        else:
            usable.append(contestant)
    for count in threads:
        with threadpool_limits(count):
            rows += _table(usable, train, scored, repeats, "all" if count is None else str(count))
    return rows


def _refusal(contestant: Contestant, train: NDArray, scored: NDArray) -> str:
    """Fit and score a few rows, which loads compiled code; the reason if that fails."""
    try:
        warm = build(contestant.path, contestant.given, 0).fit(train[:WARM_ROWS])
        warm.score_samples(scored[:WARM_ROWS])
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _table(
    usable: list[Contestant], train: NDArray, scored: NDArray, repeats: int, threads: str
) -> list[dict[str, Any]]:
    times: dict[str, list[dict[str, float]]] = {contestant.id: [] for contestant in usable}
    reasons: dict[str, str] = {}
    for _ in range(repeats):
        for contestant in usable:
            if contestant.id in reasons:
                continue
            try:
                times[contestant.id].append(_round(contestant, train, scored))
            except Exception as error:
                reasons[contestant.id] = f"{type(error).__name__}: {error}"
    first = next((times[contestant.id] for contestant in usable if contestant.id not in reasons), [])
    rows: list[dict[str, Any]] = []
    for contestant in usable:
        if contestant.id in reasons:
            rows.append({"detector": contestant.id, "reason": reasons[contestant.id]})
            continue
        own = times[contestant.id]
        middle = {what: float(np.median([seconds[what] for seconds in own])) for what in own[0]}
        ratio = {
            what: float(np.median([mine[what] / theirs[what] for mine, theirs in zip(own, first, strict=True)]))
            for what in own[0]
        }
        fit = [seconds["fit"] for seconds in own]
        rows.append(
            {"detector": contestant.id, "n x d": "{} x {}".format(*train.shape), "threads": threads,
             "fit s": middle["fit"], "fit min": min(fit), "fit max": max(fit), "x fit": ratio["fit"],
             **{f"{m} rows ms": 1e3 * middle[str(m)] for m in SCORED_ROWS},
             **{f"x {m}": ratio[str(m)] for m in SCORED_ROWS}, "peak MB": _peak(contestant, train.shape)}
        )  # fmt: skip
    return rows


def _round(contestant: Contestant, train: NDArray, scored: NDArray) -> dict[str, float]:
    detector = build(contestant.path, contestant.given, 0)
    gc.collect()
    start = time.perf_counter()
    detector.fit(train)
    seconds = {"fit": time.perf_counter() - start}
    for m in SCORED_ROWS:
        start = time.perf_counter()
        detector.score_samples(scored[:m])
        seconds[str(m)] = time.perf_counter() - start
    return seconds


def _peak(contestant: Contestant, shape: tuple[int, ...]) -> float:
    """Peak resident memory of a fit above what the process held before, in a fresh process."""
    if platform.system() != "Linux":
        return float("nan")
    argument = pickle.dumps((contestant.path, contestant.given, *shape)).hex()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, argument], capture_output=True, text=True, env=environment, check=True
    )
    return float(done.stdout.split()[-1])
