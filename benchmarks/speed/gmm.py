"""GMM against scikit-learn's GaussianMixture: EM from the same start with the same tolerance, and scores.

Run: python -m benchmarks.speed.gmm [--large]     (--large adds n = 1e6)

One-thread figures are CPU seconds, which a loaded machine moves least; the others are wall seconds.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from benchmarks.timing import interleaved, machine, ratio, seconds
from odkit import GMM
from odkit.kernels.cpu import em, mixture

SPREAD = 0.8  # standard deviation of the groups' centres in each column, beside 1 to 1.5 within a group


def rows(n: int, d: int, k: int) -> np.ndarray:
    """k correlated Gaussians that overlap."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(n // k, d)) @ (np.eye(d) + 0.2 * rng.normal(size=(d, d))) for _ in range(k)]
    return np.concatenate([group + SPREAD * rng.normal(size=d) for group in groups])


def start(X: np.ndarray, k: int, kind: str) -> dict:
    d = X.shape[1]
    precisions = {"full": np.tile(np.eye(d), (k, 1, 1)), "diag": np.ones((k, d))}[kind]
    means = X[np.random.default_rng(1).choice(len(X), k, replace=False)]
    return {
        "n_components": k,
        "covariance_type": kind,
        "tol": 1e-3,
        "max_iter": 300,
        "weights_init": np.full(k, 1 / k),
        "means_init": means,
        "precisions_init": precisions,
    }


def cpu_seconds(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """As `interleaved`, in CPU seconds of this process on one BLAS thread."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    with threadpool_limits(1):
        for round_ in range(repeats + 1):  # the first is not counted
            for name, run in contestants.items():
                before = time.process_time()
                run()
                if round_:
                    times[name].append(time.process_time() - before)
    return times


def same_start(n: int, d: int, k: int, kind: str, repeats: int) -> None:
    X = rows(n, d, k)
    given = start(X, k, kind)

    def peer() -> GaussianMixture:
        return GaussianMixture(**given).fit(X)

    def ours(n_jobs: int | None = None) -> GMM:
        return GMM(**given, n_jobs=n_jobs).fit(X)

    one, other = ours(), peer()
    print(
        f"\n{n} x {d}, K = {k}, {kind}: {one.n_iter_} iterations (scikit-learn {other.n_iter_}), mean log-likelihood "
        f"{one.score_samples(X).mean():.9f} (scikit-learn {other.score_samples(X).mean():.9f})"
    )
    times = cpu_seconds({"odkit": ours, "peer": peer}, repeats)
    print(f"  fit, one thread, CPU   {lines(times)}")
    times = interleaved({"odkit": ours, "odkit, n_jobs=2": lambda: ours(2), "peer": peer}, repeats)
    print(f"  fit, default threads   {lines(times)}")
    two = {"odkit": times["odkit, n_jobs=2"], "peer": times["peer"]}
    print(f"  fit, n_jobs=2          {lines(two)}")
    times = cpu_seconds({"odkit": lambda: one.score_samples(X), "peer": lambda: other.score_samples(X)}, 5)
    print(f"  scores, one thread     {lines(times)}")


def lines(times: dict[str, list[float]]) -> str:
    gain = ratio(times["peer"], times["odkit"])
    return f"odkit {seconds(times['odkit'])}  scikit-learn {seconds(times['peer'])}  {gain:6.1f}x"


def limits(n: int = 100_000, d: int = 30, k: int = 8) -> None:
    """One EM pass beside the matrix products of its plain form, and beside what BLAS reaches on large matrices."""
    X = rows(n, d, k)
    mix = em.from_covariances("full", np.full(k, 1 / k), X[:k].copy(), np.tile(np.eye(d), (k, 1, 1)))
    arguments = em.kernel_arguments(mix)
    wide, square = np.random.default_rng(0).normal(size=(d, k * d)), np.random.default_rng(1).normal(size=(1500, 1500))

    def products() -> None:
        for block in range(0, n, 2048):
            x = X[block : block + 2048]
            x @ wide
            for _ in range(k):
                x.T @ x

    runs = {
        "pass": lambda: mixture.em_sums(X, *arguments),
        "products": products,
        "large": lambda: square @ square,
        "read": lambda: X.sum(),
    }
    times = {name: statistics.median(t) for name, t in cpu_seconds(runs, 5).items()}
    peak, plain, needed = 2 * 1500**3 / times["large"], 4 * n * k * d * d, 2 * n * k * d * (d + 1)
    print(
        f"""
limit, {n} x {d}, K = {k}, one thread, CPU: an EM pass takes {1e3 * times["pass"]:.0f} ms.
  The bare products of the matrix form ({plain / 1e9:.2f} GFLOP, blocks of 2048 rows): {1e3 * times["products"]:.0f} ms;
  at the {peak / 1e9:.0f} GFLOP/s of a 1500 x 1500 product they would take {1e3 * plain / peak:.0f} ms.
  The {needed / 1e9:.2f} GFLOP that symmetry leaves run at {needed / times["pass"] / 1e9:.0f} GFLOP/s, softmax included.
  Reading the rows once: {1e3 * times["read"]:.1f} ms."""
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(machine())
    limits()
    same_start(100_000, 30, 8, "full", 3)
    same_start(100_000, 10, 4, "full", 3)
    same_start(100_000, 30, 8, "diag", 3)
    same_start(20_000, 100, 4, "full", 3)
    if "--large" in sys.argv:
        same_start(1_000_000, 30, 8, "full", 1)
