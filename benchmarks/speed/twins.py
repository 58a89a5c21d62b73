"""Throughput of the kernels on every device that is here, in GB/s of rows, beside the device's memory bandwidth.

Run: python -m benchmarks.speed.twins [--rows 1000000] [--columns 50] [--repeats 5] [--device cpu --device cuda ...]

Devices are "cpu" (numpy and numba, one thread), "torch" (torch's own cpu device, which runs the twins) and "cuda" where
there is one. Rows lie on the device before the clock starts, and results stay there. GB/s counts the bytes of the rows
once, what a score must read at least (KNN: the training rows). The bandwidth is that of copying the rows, what is read
and what is written taken together: a kernel that does nothing but read would reach it, if the rows do not fit into a
cache. KNN on "cpu" is the numpy form of its kernel; the detector searches with scikit-learn there.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.timing import machine
from odkit import ECOD, GMM, KNN, Mahalanobis, kernels
from odkit.kernels.cpu import em
from odkit.kernels.cpu.tail_table import TailTable

TRAINING_ROWS = 100_000
QUERIES = 2_000  # of KNN: brute force takes n m d multiplications
CAP = 50.0


def devices() -> list[str]:
    try:
        import torch
    except ModuleNotFoundError:
        return ["cpu"]
    return ["cpu", "torch", *(["cuda"] if torch.cuda.is_available() else [])]


def waiter(k: kernels.Backend) -> Callable[[], object]:
    """What ends when all work given to the device has ended."""
    if not k.device.startswith("cuda"):
        return lambda: None
    import torch

    return torch.cuda.synchronize


def seconds(run: Callable[[], object], wait: Callable[[], object], repeats: int) -> float:
    """Median wall seconds after one uncounted run."""
    times = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def contests(k: kernels.Backend, X: np.ndarray) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Name, bytes of the rows that are read, and the kernel call of every detector."""
    train = X[: min(TRAINING_ROWS, len(X))]
    rows: Any = k.array(X)

    ecod = ECOD().fit(train)
    table, missing = TailTable(*map(k.state, ecod._table)), k.array(np.zeros((3, X.shape[1])))
    yield "ECOD tail_max", X.nbytes, lambda: k.ecdf.tail_max(rows, table, CAP, missing)

    gaussian = Mahalanobis(contamination=0.1).fit(train)
    location, whitener = k.array(gaussian.location_), k.array(gaussian.whitener_)
    yield "Mahalanobis mahalanobis_sq", X.nbytes, lambda: k.gaussian.mahalanobis_sq(rows, location, whitener)

    mixture = GMM(8, max_iter=5, tol=0, random_state=0).fit(train)
    arguments = [k.array(part) for part in em.kernel_arguments(mixture._mixture())]
    yield "GMM log_prob, K = 8", X.nbytes, lambda: k.mixture.log_prob(rows, *arguments)
    yield "GMM em_sums, K = 8", X.nbytes, lambda: k.mixture.em_sums(rows, *arguments)

    stored, queries = k.array(KNN().fit(train).rows_), k.array(X[:QUERIES])
    place = k.neighbors.place_of(stored)

    def nearest() -> object:
        found = k.neighbors.candidates(queries, stored, 6 + k.neighbors.SPARE, place)
        return k.neighbors.settle(queries, stored, *found, 6, place)

    yield f"KNN of {min(QUERIES, len(X))} rows, k = 5", train.nbytes, nearest


def measure(device: str, X: np.ndarray, repeats: int) -> None:
    k = kernels.on(device)
    wait, rows = waiter(k), k.array(X)
    copy = rows.copy if k.name == "cpu" else rows.clone
    bandwidth = 2 * X.nbytes / seconds(copy, wait, repeats)
    print(f"\n{device}: {X.shape[0]} x {X.shape[1]} {X.dtype}; copying moves {bandwidth / 1e9:.1f} GB/s")
    for name, size, run in contests(k, X):
        taken = seconds(run, wait, repeats)
        rate = size / taken
        print(f"  {name:28} {1e3 * taken:10.2f} ms  {rate / 1e9:8.2f} GB/s  {rate / bandwidth:7.1%} of it")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", action="append", help="again for each device; all that are here by default")
    given = parser.parse_args()
    print(machine())
    for dtype in (np.float64, np.float32):
        X = np.random.default_rng(0).standard_normal((given.rows, given.columns)).astype(dtype)
        for device in given.device or devices():
            measure(device, X, given.repeats)
