"""Mahalanobis against the bare product X.T @ X, and against scikit-learn's covariances.

Run: python -m benchmarks.speed.mahalanobis     (prefix OMP_NUM_THREADS=1 for one BLAS thread)

The product is the limit of a fit: every covariance needs it once. Scoring is one product with a (d, d) matrix.
"""

import numpy as np
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import Mahalanobis


def rows(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, d))


def compare(n: int, d: int) -> None:
    X = rows(n, d)
    fits = {
        "product X.T @ X": lambda: X.T @ X,
        "odkit, no shrinkage": lambda: Mahalanobis(shrinkage="empirical", contamination=0.1, threshold="chi2").fit(X),
        "odkit, Ledoit-Wolf": lambda: Mahalanobis(contamination=0.1).fit(X),
        "odkit, Ledoit-Wolf, statistics": lambda: Mahalanobis(contamination=0.1).partial_fit(X),
        "EmpiricalCovariance": lambda: EmpiricalCovariance().fit(X),
        "LedoitWolf": lambda: LedoitWolf().fit(X),
    }
    times = interleaved(fits, 5)
    print(f"\n{n} x {d}")
    for name in fits:
        gain = ratio(times[name], times["product X.T @ X"])
        print(f"  fit    {name:32} {seconds(times[name])}   {gain:7.2f} x the product")
    ours, theirs = Mahalanobis(contamination=0.1).fit(X), LedoitWolf().fit(X)
    square = np.eye(d)
    scores = {
        "product X @ W": lambda: X @ square,
        "odkit": lambda: ours.score_samples(X),
        "scikit-learn": lambda: theirs.mahalanobis(X),
    }
    times = interleaved(scores, 5)
    for name in scores:
        gain = ratio(times[name], times["product X @ W"])
        print(f"  score  {name:32} {seconds(times[name])}   {gain:7.2f} x the product")


if __name__ == "__main__":
    print(machine())
    for n, d in ((10_000, 10), (100_000, 50), (1_000_000, 10), (20_000, 300)):
        compare(n, d)
