"""Training columns sorted into a `TailTable`, and what only sorting knows: training scores, tail scales, skewness."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled
from odkit.kernels.cpu.sizes import SORTED_FEATURES
from odkit.kernels.cpu.tail_table import TailTable, columns_of, mean_costs, runs_of

__all__ = [
    "TAIL_ROWS",
    "centred",
    "merge_columns",
    "skewness_sign",
    "sorted_columns",
    "tail_scale",
    "third_moment_sign",
]

_JIT = "odkit.kernels.cpu.ecdf_jit"
TAIL_ROWS = 1023  # most extremes that a tail scale is read from: 1024 kept values give it exactly


def sorted_columns(
    X: NDArray, *, split: bool = False, n_jobs: int = 1
) -> tuple[TailTable, NDArray[np.int64], NDArray[np.float64]]:
    """Fit all features and score the training rows on the way, from their ranks.

    Parameters
    ----------
    X : (n, d) C-order float32 or float64; NaN = missing
    split : bool
        False: one sum per row, of the larger cost of each feature. True: sums of the left, right and auto costs.
    n_jobs : int
        Threads; the result does not depend on it.

    Returns
    -------
    table : TailTable
    signs : (d,) int64
        Sign of each feature's skewness.
    sums : (1, n) or (3, n) float64
        Equal bit for bit to `tail_max` or `tail_sums` of the training rows.
    """
    n, d = X.shape
    jit = compiled(_JIT, n * d)
    packer = _Packer(n * d, X.dtype)
    whole = _cost_table(n)
    sums = np.zeros((3 if split else 1, n))
    signs = np.zeros(d, np.int64)
    block = max(SORTED_FEATURES, n_jobs)
    scratch = np.empty((block, 2 if split else 1, n))

    def sort_feature(column: NDArray, terms: NDArray) -> tuple:
        order = np.argsort(column)  # ties need no stable order; NaN comes last
        there = n - int(np.isnan(column[order[-1:]]).any() and np.isnan(column).sum())
        column[:] = column[order]
        ordered, order = column[:there], order[:there]
        costs = whole if there == n else _cost_table(there)
        if jit is not None:
            scatter = jit.scatter_run_costs if split else jit.scatter_run_max
            n_runs = scatter(ordered, order, costs, *terms)
        else:
            starts, stops = runs_of(ordered)
            left, right = costs[stops], costs[there - starts]
            n_runs = starts.size
            for term, cost in zip(terms, (left, right) if split else (np.maximum(left, right),), strict=True):
                term[order] = np.repeat(cost, stops - starts)
        return ordered, n_runs, tail_scale(ordered, ordered, ordered.size), skewness_sign(ordered)

    for first in range(0, d, block):
        width = min(block, d - first)
        columns = packer.room(width, n)
        columns[:] = X[:, first : first + width].T
        found: list = [None] * width

        def work(f: int, columns: NDArray = columns, found: list = found) -> None:
            found[f] = sort_feature(columns[f], scratch[f])

        over_items(work, range(width), n_jobs)
        for f, (ordered, n_runs, scale, sign) in enumerate(found):
            j = first + f
            signs[j] = sign
            if ordered.size < n:
                means = mean_costs(*runs_of(ordered), _cost_table(ordered.size))
                absent = np.isnan(X[:, j])
                for term, mean in zip(scratch[f], means[:2] if split else means[2:], strict=True):
                    term[absent] = mean
            packer.add(ordered, n_runs, scale)
            left, right = scratch[f][0], scratch[f][-1]
            for total, term in zip(sums, (left, right, left if sign < 0 else right) if split else (left,), strict=True):
                total += term
    return packer.table(), signs, sums


def merge_columns(a: TailTable, b: TailTable) -> tuple[TailTable, NDArray[np.int64]]:
    """The table and skewness signs of both training sets together; bit-equal to fitting their concatenation."""
    packer = _Packer(int(a.sizes.sum() + b.sizes.sum()), a.values.dtype)
    signs = []
    for pair in zip(columns_of(a), columns_of(b), strict=True):
        ordered = np.sort(np.concatenate(pair), kind="stable")  # merges two sorted runs in one pass
        signs.append(skewness_sign(ordered))
        packer.add(ordered, runs_of(ordered)[0].size, tail_scale(ordered, ordered, ordered.size))
    return packer.table(), np.array(signs, np.int64)


def tail_scale(low: NDArray, high: NDArray, n: int) -> tuple[float, float]:
    """Mean excess of the k smallest and of the k largest of n values over the next one.

    low starts with the smallest values, high ends with the largest, both ascending: the sorted column twice, or
    its ends of at least min(n, 1024) values.
    """
    k = min(max(5, int(np.sqrt(n))), n - 1, TAIL_ROWS)
    if k < 1:
        return 0.0, 0.0
    low, high = low[: k + 1].astype(np.float64), high[-k - 1 :].astype(np.float64)
    with np.errstate(over="ignore"):
        return float((low[k] - low[:k]).mean()), float((high[1:] - high[0]).mean())


def centred(ordered: NDArray) -> tuple[NDArray[np.float64], float, int]:
    """z, mean and exponent of a sorted column, with values = 2^exponent (mean + z): cubes of huge z stay finite."""
    largest = max(abs(float(ordered[0])), abs(float(ordered[-1]))) if ordered.size else 0.0
    exponent = int(np.frexp(largest)[1]) if largest else -2000  # of no weight beside another block's exponent
    z = np.ldexp(ordered.astype(np.float64), -exponent)  # powers of two are exact
    mean = 0.0
    for _ in range(2 * bool(z.size)):  # far from 0 the first mean is off by more than the cubes can bear
        rest = float(z.mean())
        z -= rest
        mean += rest
    return z, mean, exponent


def third_moment_sign(third: ArrayLike, n: ArrayLike, reach: ArrayLike) -> NDArray[np.int64]:
    """Sign of a sum of n cubes of deviations of at most `reach`, 0 within its rounding error."""
    noise = 4 * np.finfo(np.float64).eps * np.asarray(n) * np.asarray(reach) ** 3
    return np.where(np.abs(third) <= noise, 0, np.sign(third)).astype(np.int64)


def skewness_sign(ordered: NDArray) -> int:
    """Sign (-1, 0, 1) of the third central moment of a sorted column, two passes in float64; 0 within rounding."""
    if ordered.size == 0 or ordered[0] == ordered[-1]:
        return 0
    z, _, _ = centred(ordered)
    return int(third_moment_sign((z * z * z).sum(), z.size, max(-z[0], z[-1])))


class _Packer:
    """Fills a TailTable feature by feature in one buffer, so that fitting never holds the columns twice."""

    def __init__(self, capacity: int, dtype: np.dtype) -> None:
        self.values = np.empty(capacity, dtype)
        self.offsets: list[int] = [0]
        self.sizes: list[int] = []
        self.scales: list[tuple[float, float]] = []
        self.counts: list[NDArray] = []
        self.count_offsets: list[int] = []

    def room(self, width: int, n: int) -> NDArray:
        """Scratch (width, n) behind what is packed; `add` may write over it from its start on."""
        start = self.offsets[-1]
        return self.values[start : start + width * n].reshape(width, n)

    def add(self, ordered: NDArray, n_runs: int, scale: tuple[float, float]) -> None:
        """Take the next feature's sorted column, which has n_runs distinct values."""
        n, start = ordered.size, self.offsets[-1]
        self.sizes.append(n)
        self.scales.append(scale)
        count_type = np.dtype(np.int32 if n < 2**31 else np.int64)
        if n_runs * ordered.itemsize + (n_runs + 1) * count_type.itemsize <= n * ordered.itemsize:
            starts, _ = runs_of(ordered)
            ordered = ordered[starts]
            self.count_offsets.append(sum(c.size for c in self.counts))
            self.counts.append(np.append(starts, n).astype(count_type))
        else:
            self.count_offsets.append(-1)
        self.values[start : start + ordered.size] = ordered
        self.offsets.append(start + ordered.size)

    def table(self) -> TailTable:
        self.values.resize(self.offsets[-1], refcheck=False)
        sizes = np.array(self.sizes, np.int64)
        distinct, which = np.unique(sizes, return_inverse=True)
        starts = np.concatenate(([0], np.cumsum(distinct + 1)[:-1]))
        table = TailTable(
            values=self.values,
            offsets=np.array(self.offsets, np.int64),
            counts=np.concatenate(self.counts) if self.counts else np.empty(0, np.int32),
            count_offsets=np.array(self.count_offsets, np.int64),
            costs=np.concatenate([_cost_table(int(n)) for n in distinct]),
            cost_offsets=starts[which].astype(np.int64),
            sizes=sizes,
            scales=np.array(self.scales, np.float64).T.reshape(2, -1),
        )
        for array in table:
            array.flags.writeable = False
        return table


def _cost_table(n: int) -> NDArray[np.float64]:
    table = np.zeros(n + 1)
    table[1:] = np.log(n / np.arange(1, n + 1, dtype=np.float64))
    table[0] = table[min(n, 1)]
    return table
