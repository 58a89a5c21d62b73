"""Mahalanobis against the bare product X.T @ X and the passes a fit is made of, and against scikit-learn's covariances.

Run: python -m benchmarks.speed.mahalanobis     (CPU seconds, one BLAS thread)

The product is the limit of a covariance. A fit also reads the rows to find NaN, adds up the norms that Ledoit-Wolf
needs, and measures the distances its threshold is read from: of 10,000 rows, or of all with `contamination`.
"""

import time

import numpy as np
from scipy.linalg.blas import dtrmm
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from threadpoolctl import threadpool_limits

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import Mahalanobis
from odkit.kernels.cpu.moments import moments

COLUMNS_OFF_ZERO = 10.0  # deviations: such rows are copied block by block, to be summed about their mean


def table(what: str, runs: dict, unit: str, repeats: int = 7) -> None:
    times = interleaved(runs, repeats, time.process_time)
    for name in runs:
        print(f"  {what:6} {name:34} {seconds(times[name])}   {ratio(times[name], times[unit]):7.2f} x {unit}")


def compare(n: int, d: int) -> None:
    X = np.random.default_rng(0).standard_normal((n, d))
    off, flat = X + COLUMNS_OFF_ZERO, X.ravel()
    print(f"\n{n} x {d}")
    fits = {
        "X.T @ X": lambda: X.T @ X,
        "odkit": lambda: Mahalanobis().fit(X),
        "odkit, columns off zero": lambda: Mahalanobis().fit(off),
        "odkit, threshold='chi2'": lambda: Mahalanobis(threshold="chi2").fit(X),
        "odkit, contamination=0.1": lambda: Mahalanobis(contamination=0.1).fit(X),
        "EmpiricalCovariance": lambda: EmpiricalCovariance().fit(X),
        "LedoitWolf": lambda: LedoitWolf().fit(X),
    }
    table("fit", fits, "X.T @ X")
    ours, theirs = Mahalanobis().fit(X), LedoitWolf().fit(X)
    stats, square = moments(X), np.asfortranarray(np.eye(d))
    parts = {
        "X.T @ X": lambda: X.T @ X,
        "read once": lambda: np.dot(flat, flat),
        "product and norms": lambda: moments(X),
        "product and norms, off zero": lambda: moments(off),
        "spectrum, shrinkage": lambda: ours._fit_from_stats(stats),
        "distances of all rows": lambda: ours.score_samples(X),
    }
    table("part", parts, "X.T @ X")
    scores = {
        "triangular product": lambda: dtrmm(1.0, square, X.T),
        "odkit": lambda: ours.score_samples(X),
        "scikit-learn": lambda: theirs.mahalanobis(X),
    }
    table("score", scores, "triangular product")


if __name__ == "__main__":
    print(machine())
    with threadpool_limits(1):
        for n, d in ((10_000, 10), (100_000, 50), (1_000_000, 10), (20_000, 300)):
            compare(n, d)
