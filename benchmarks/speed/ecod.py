"""ECOD against PyOD: fit, 1, 100 and 10,000 rows scored, peak memory; and its scoring kernel against numpy.

Run: python -m benchmarks.speed.ecod [--large]     (--large adds n = 1e6; PyOD needs some 3 GB and minutes there)
     python -m benchmarks.speed.ecod --crossovers  (what the constants of odkit/kernels/cpu/sizes.py were chosen by)
"""

import functools
import subprocess
import sys
import time
import warnings

import numpy as np

from benchmarks.timing import interleaved, machine, peak_memory, ratio, seconds
from odkit import ECOD
from odkit.kernels.cpu import chunks, ecdf, sizes, sorting

LOADING = """
import time, numpy
from odkit.kernels.cpu import sorting
start = time.process_time()
from odkit.kernels.cpu import ecdf_jit
sorting.compiled = lambda *_: ecdf_jit
sorting.sorted_columns(numpy.eye(4))
print(time.process_time() - start)
"""


def table(d: int, n: int, small: int | None = None) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((small or n, d))


def fit_odkit(X):
    return ECOD().fit(X)


def fit_odkit_2(X):
    return ECOD(n_jobs=2).fit(X)


def fit_pyod(X):
    from pyod.models.ecod import ECOD as PyodECOD

    return PyodECOD().fit(X)


def against_pyod(n: int, d: int) -> None:
    what = f"{n:>9} x {d:<3}"
    compare_speed(what, table(d, n), repeats=5 if n < 1_000_000 else 3)
    make = functools.partial(table, d, n)  # by now this process holds none of the data
    for name, use in (("odkit, 1 thread", fit_odkit), ("odkit, 2 threads", fit_odkit_2), ("pyod", fit_pyod)):
        print(f"{what} peak memory of fit, {name:17} {peak_memory(make, use):6.2f} x the data")


def compare_speed(what: str, X: np.ndarray, repeats: int) -> None:
    fits = {"odkit, 1 thread": lambda: fit_odkit(X), "odkit, 2 threads": lambda: fit_odkit_2(X)}
    times = interleaved({**fits, "pyod": lambda: fit_pyod(X)}, repeats)
    for name in fits:
        print(
            f"{what} fit, {name:17} {seconds(times[name])}   pyod {seconds(times['pyod'])}"
            f"   {ratio(times['pyod'], times[name]):8.1f}x"
        )
    ours, theirs = fit_odkit(X), fit_pyod(X)
    Q = np.random.default_rng(1).standard_normal((10_000, X.shape[1]))
    for m in (1, 100, 10_000):
        pair = {
            "odkit": lambda rows=Q[:m]: ours.score_samples(rows),
            "pyod": lambda rows=Q[:m]: theirs.decision_function(rows),
        }
        times = interleaved(pair, 3)
        print(
            f"{what} score {m:>6} rows      {seconds(times['odkit'])}   pyod {seconds(times['pyod'])}"
            f"   {ratio(times['pyod'], times['odkit']):8.0f}x"
        )


def limits(n: int) -> None:
    """What the parts of a fit cost on one column: the sort is the limit."""
    x = np.random.default_rng(0).standard_normal(n)
    X = np.repeat(x[:, None], 10, axis=1)
    X = np.random.default_rng(2).permuted(X, axis=0)
    times = interleaved(
        {"argsort": lambda: [np.argsort(X[:, j]) for j in range(10)], "fit": lambda: fit_odkit(X), "copy": X.copy}, 5
    )
    print(
        f"limit: ten argsorts of {n} float64 {seconds(times['argsort'])}, fit {seconds(times['fit'])} = "
        f"{ratio(times['fit'], times['argsort']):.2f} of it; copying the data once {seconds(times['copy'])}"
    )


def kernel(n: int = 100_000, m: int = 100_000, d: int = 50) -> None:
    rng = np.random.default_rng(0)
    X, Q = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    columns, costs = np.sort(X, axis=0).T.copy(), np.log(n / np.maximum(np.arange(n + 1), 1))

    def numpy_form():
        total = np.zeros(m)
        for j in range(d):
            left = costs[np.searchsorted(columns[j], Q[:, j], side="right")]
            right = costs[n - np.searchsorted(columns[j], Q[:, j], side="left")]
            total += np.maximum(left, right)
        return total

    models = {
        "feature_max": ECOD(tail=None).fit(X),
        "paper": ECOD(tail=None, aggregation="paper").fit(X),
        "feature_max, tail": ECOD().fit(X),
        "feature_max, 2 threads": ECOD(tail=None, n_jobs=2).fit(X),
    }
    np.testing.assert_array_equal(-models["feature_max"].score_samples(Q), numpy_form())
    runs = {name: (lambda model=model: model.score_samples(Q)) for name, model in models.items()}
    narrow, narrow_rows = ECOD(tail=None).fit(X.astype(np.float32)), Q.astype(np.float32)
    runs["float32"] = lambda: narrow.score_samples(narrow_rows)
    times = interleaved({**runs, "numpy": numpy_form, "read": lambda: Q.sum()}, 5)
    print(
        f"\nscoring {m} rows x {d} against {n} training rows, validation included; numpy's two searches "
        f"{m / np.median(times['numpy']) / 1e3:.0f} krows/s"
    )
    for name in runs:
        gain = ratio(times["numpy"], times[name])
        print(f"  {name:24} {m / np.median(times[name]) / 1e3:8.0f} krows/s   {gain:5.1f}x numpy")
    print(
        f"  limit: reading the rows once takes {seconds(times['read'])}. One row needs {d} x {np.log2(n):.0f} probes "
        "of keys\n  that leave L1 and L2: what remains is cache latency, overlapped 64 rows at a time"
    )


def crossovers(n: int = 100_000, d: int = 50) -> None:
    """CPU seconds of the two forms of a look-up, and what cutting rows into chunks costs, beside the constants."""
    rng = np.random.default_rng(0)
    X, missing = rng.standard_normal((n, d)), np.zeros((3, d))
    table = sorting.sorted_columns(X)[0]
    words = [sys.executable, "-c", LOADING]
    loading = np.median([float(subprocess.run(words, capture_output=True, check=True).stdout) for _ in range(3)])
    compiled = ecdf.compiled
    print(f"loading numba and its first kernel from the disk cache: {loading:.2f} s of CPU")
    for m in (1_000, 10_000, 100_000):
        Q = rng.standard_normal((m, d))

        def numpy_form(Q=Q):
            ecdf.compiled = lambda *_: None
            ecdf.tail_max(Q, table, 50.0, missing)

        def numba_form(Q=Q):
            ecdf.compiled = lambda *_: compiled("odkit.kernels.cpu.ecdf_jit", np.inf)
            ecdf.tail_max(Q, table, 50.0, missing)

        times = interleaved({"numpy": numpy_form, "numba": numba_form}, 3, time.process_time)
        slow, fast = (np.median(times[name]) / Q.size for name in ("numpy", "numba"))
        pays = loading / max(slow - fast, 1e-12) / 1e6
        times_of_one = f"numpy {1e9 * slow:.1f}, numba {1e9 * fast:.1f} ns a cell"
        print(f"  {m:>7} rows x {d}: {times_of_one}; loading pays from {pays:.1f} M cells")
    print(f"  (NUMPY_CELLS {sizes.NUMPY_CELLS / 1e6:.1f} M: in wall time loading takes longer than its CPU)")
    ecdf.compiled = compiled
    Q, least = rng.standard_normal((400_000, d)), chunks.LEAST_ROWS
    runs = {}
    for step in (1_024, 4_096, 16_384, 65_536, 131_072, 400_000):

        def cut(step=step):
            chunks.LEAST_ROWS = chunks.MOST_ROWS = step
            ecdf.tail_max(Q, table, 50.0, missing)

        runs[step] = cut
    most = chunks.MOST_ROWS
    times = interleaved(runs, 3, time.process_time)
    chunks.LEAST_ROWS, chunks.MOST_ROWS = least, most
    best = min(np.median(taken) for taken in times.values())
    for step, taken in times.items():
        print(f"  chunks of {step:>7} rows: {np.median(taken) / best:5.2f} x the CPU of the best")
    print(f"  (LEAST_ROWS {least}, MOST_ROWS {most})")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(machine())
    if "--crossovers" in sys.argv:
        crossovers()
        sys.exit()
    kernel()
    print()
    for n in (10_000, 100_000, *((1_000_000,) if "--large" in sys.argv else ())):
        for d in (10, 50):
            against_pyod(n, d)
    limits(100_000)
    limits(1_000_000)
