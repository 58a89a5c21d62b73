"""MeanShift against scikit-learn's NearestNeighbors alone, which is one of the three searches a mean shift needs.

Run: python -m benchmarks.speed.mean_shift [--sizes 100000x3 100000x10 20000x100] [--repeats 2] [--device cpu]

CPU seconds on one thread, contestants in turn; with `--device cuda` ours runs there by its torch twin, scikit-learn
stays on the cpu, and the seconds are those of the wall. The limit of a search by distances is memory and arithmetic:
for many columns the matrix product of all pairs in float32 (`queries @ rows.T`) stands beside.
"""

import argparse
import functools
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks.timing import interleaved, machine, peak_memory, ratio, seconds
from odkit import MeanShift, kernels

K = 20


def table(n: int, d: int, small: int | None = None) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((small or n, d))


def clustered(n: int, d: int) -> np.ndarray:
    """Rows near 50 centres on a five-dimensional surface: what data look like more often than a normal cloud."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(50, 5)) * 2
    return np.tanh((centres[rng.integers(0, 50, n)] + 0.3 * rng.normal(size=(n, 5))) @ rng.normal(size=(5, d)))


def fit(X):
    return MeanShift(n_neighbors=K).fit(X)


def search(X):
    return NearestNeighbors(n_neighbors=K).fit(X).kneighbors(X, return_distance=False)


def products(X):
    X = X.astype(np.float32)
    for start in range(0, len(X), 256):
        for first in range(0, len(X), 2048):
            X[start : start + 256] @ X[first : first + 2048].T


def compare(name: str, X: np.ndarray, repeats: int, device: str) -> None:
    model, k = MeanShift(n_neighbors=K, scaling=None, device=device), kernels.on(device)
    clock = time.process_time if device == "cpu" else time.perf_counter

    def one_pass():
        rows = k.array(X)
        return k.numpy(k.mean_shift.shift(rows, rows, K))

    for warm in (model.fit, search):
        warm(X[:2000])
    contestants = {
        "MeanShift fit, 3 passes": lambda: model.fit(X),
        "one pass": one_pass,
        "scikit-learn, one search": lambda: search(X),
    }
    if X.shape[1] > 12:
        contestants["float32 products of all pairs"] = lambda: products(X)
    times = interleaved(contestants, repeats, clock)
    print(f"\n{name}: {len(X)} x {X.shape[1]}, k = {K}, ours on {device}")
    for contestant, taken in times.items():
        print(
            f"  {contestant:32} {seconds(taken)}   {ratio(taken, times['scikit-learn, one search']):6.2f} x one search"
        )
    one = interleaved({"score 1 row": lambda: model.score_samples(X[:1])}, 5, clock)
    print(f"  {'score 1 row':32} {seconds(one['score 1 row'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["100000x3", "100000x10", "20000x100"], help="rows x columns")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    options = parser.parse_args()
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes]
    print(machine())
    for n, d in sizes:
        compare("normal", table(n, d), options.repeats, options.device)
        compare("clustered", clustered(n, d), options.repeats, options.device)
    for n, d in sizes:
        peak = peak_memory(functools.partial(table, n, d), fit)
        print(f"\npeak memory of fit on the cpu, {n} x {d}: {peak * n * d * 8 / 1e6:.0f} MB, {peak:.1f} x the data")


if __name__ == "__main__":
    main()
