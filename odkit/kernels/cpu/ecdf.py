"""Tail probabilities of single features from their training columns (Li et al., ECOD, 2022, Algorithm 1).

For a value x of feature j with n training values, L = #{train <= x} and R = #{train >= x}, both clipped to [1, n]:

    left = log(n / L)     right = log(n / R)      natural log, in [0, log n]

Beyond the training range the side in question grows by the excess in units of the feature's tail scale, at most by
`cap`. No logarithm is taken while scoring: `costs[t] = log(n / t)` is a table that every path shares, so that numpy,
numba and every chunk size give the same bits.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.kernels.cpu.chunks import over_items, over_rows
from odkit.kernels.cpu.jit import compiled

__all__ = [
    "TABLED",
    "TAIL_ROWS",
    "TailTable",
    "centred",
    "check_table",
    "columns_of",
    "feature_means",
    "log_odds",
    "medians",
    "merge_columns",
    "place_costs",
    "skewness_sign",
    "sorted_columns",
    "tail_max",
    "tail_scale",
    "tail_sums",
    "tail_terms",
    "third_moment_sign",
]

_JIT = "odkit.kernels.cpu.ecdf_jit"
BLOCK = 4  # features sorted at once while fitting: 32 bytes of scratch a row
TABLED = -2  # in `count_offsets`: the costs stand at the keys and in the gaps between them
TAIL_ROWS = 1023  # most extremes that a tail scale is read from: 1024 kept values give it exactly


class TailTable(NamedTuple):
    """The training columns in the form that scoring reads. All arrays are read-only.

    Attributes
    ----------
    values : (sum of keys,) float32 or float64
        Keys of all features one after the other, each ascending, in one of three forms: the sorted column; its distinct
        values, where those are few enough to take no more memory; *tabled*, the steps of a `staircase.py`.
    offsets : (d + 1,) int64
        Feature j owns `values[offsets[j]:offsets[j + 1]]`.
    counts : (sum of keys + 1,) int32 or int64
        For features kept as distinct values: cumulative counts, `counts[i]` training values among the first i keys.
    count_offsets : (d,) int64
        Where the feature's counts start, -1 for a feature kept as a sorted column, -2 for a tabled one.
    costs : float64
        Tables log(n / t), t = 0..n (t = 0 as t = 1), one per distinct number of training values. For tabled features
        with m keys: m + 1 left costs by #{keys <= x}, then m + 1 right costs by #{keys >= x}.
    cost_offsets : (d,) int64
        Where the feature's table starts.
    sizes : (d,) int64
        Training values of each feature: n, less where values were missing.
    scales : (2, d) float64
        Tail scale below and above, in the feature's unit.
    """

    values: NDArray
    offsets: NDArray
    counts: NDArray
    count_offsets: NDArray
    costs: NDArray
    cost_offsets: NDArray
    sizes: NDArray
    scales: NDArray


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
            starts, _ = _runs(ordered)
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


def _runs(ordered: NDArray) -> tuple[NDArray, NDArray]:
    """Start and stop of every run of equal values of a sorted column."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: ordered.size]
    return starts, np.append(starts[1:], ordered.size)[: starts.size]


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
    block = max(BLOCK, n_jobs)
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
            starts, stops = _runs(ordered)
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
                means = _mean_costs(*_runs(ordered), _cost_table(ordered.size))
                absent = np.isnan(X[:, j])
                for term, mean in zip(scratch[f], means[:2] if split else means[2:], strict=True):
                    term[absent] = mean
            packer.add(ordered, n_runs, scale)
            left, right = scratch[f][0], scratch[f][-1]
            for total, term in zip(sums, (left, right, left if sign < 0 else right) if split else (left,), strict=True):
                total += term
    return packer.table(), signs, sums


def _mean_costs(starts: NDArray, stops: NDArray, costs: NDArray) -> tuple[float, float, float]:
    """Mean left, right and larger cost of a feature's training values."""
    if starts.size == 0:
        return 0.0, 0.0, 0.0
    n = int(stops[-1])
    weights = (stops - starts) / n
    left, right = costs[stops], costs[n - starts]
    return tuple(float((weights * cost).sum()) for cost in (left, right, np.maximum(left, right)))  # type: ignore[return-value]


def _feature(table: TailTable, j: int) -> tuple[NDArray, NDArray | None, NDArray]:
    """Keys, cumulative counts (None for a sorted column) and costs of feature j."""
    keys = table.values[table.offsets[j] : table.offsets[j + 1]]
    at = table.count_offsets[j]
    counts = None if at < 0 else table.counts[at : at + keys.size + 1]
    start = table.cost_offsets[j]
    size = table.sizes[j] + 1 if at != TABLED else 2 * keys.size + 2
    return keys, counts, table.costs[start : start + size]


def check_table(table: TailTable, n_features: int) -> None:
    """Raise ValueError unless every index that a kernel follows stays inside its array."""

    def require(fine: Any, what: str) -> None:
        if not fine:
            raise ValueError(f"ECOD: the stored {what}; the state is damaged, fit again")

    d = n_features
    shapes = {"offsets": (d + 1,), "count_offsets": (d,), "cost_offsets": (d,), "sizes": (d,), "scales": (2, d)}
    for name, shape in shapes.items():
        array = getattr(table, name)
        require(array.shape == shape, f"{name} has shape {array.shape}, not {shape}")
        require(array.dtype == (np.float64 if name == "scales" else np.int64), f"{name} has dtype {array.dtype}")
    require(table.values.dtype in (np.float32, np.float64) and table.values.ndim == 1, "values are no float vector")
    require(table.costs.dtype == np.float64 and table.costs.ndim == 1, "costs are no float64 vector")
    require(table.counts.dtype in (np.int32, np.int64) and table.counts.ndim == 1, "counts are no integer vector")
    require(table.offsets[0] == 0 and table.offsets[-1] == table.values.size, "offsets miss the ends of the values")
    require((np.diff(table.offsets) >= 0).all() and (table.sizes >= 0).all(), "offsets or sizes descend")
    require(np.isfinite(table.costs).all() and (table.scales >= 0).all(), "costs or scales are not finite")
    for j in range(d):
        keys, counts, costs = _feature(table, j)
        tabled = table.count_offsets[j] == TABLED
        size = 2 * keys.size + 2 if tabled else table.sizes[j] + 1
        require(table.cost_offsets[j] >= 0 and costs.size == size, f"costs of feature {j} are cut")
        require(np.isfinite(keys).all() and (keys[1:] >= keys[:-1]).all(), f"keys of feature {j} do not ascend")
        if tabled:
            require((keys[1:] > keys[:-1]).all() and keys.size <= table.sizes[j], f"keys of feature {j} repeat")
        elif counts is None:
            require(keys.size == table.sizes[j], f"keys of feature {j} are not as many as its training values")
        else:
            require(counts.size == keys.size + 1 and counts[0] == 0, f"counts of feature {j} are cut")
            require(
                counts[-1] == table.sizes[j] and (np.diff(counts) > 0).all(), f"counts of feature {j} do not ascend"
            )


def columns_of(table: TailTable) -> list[NDArray]:
    """The sorted training column of every feature."""
    columns = []
    for j in range(table.sizes.size):
        keys, counts, _ = _feature(table, j)
        columns.append(keys if counts is None else np.repeat(keys, np.diff(counts)))
    return columns


def place_costs(table: TailTable, j: int) -> tuple[NDArray, NDArray[np.float64], NDArray[np.float64]]:
    """Distinct keys (m,) of feature j, and its left and right costs (2 m + 1,) by #{keys < x} + #{keys <= x}."""
    keys, counts, costs = _feature(table, j)
    if counts is None and table.count_offsets[j] != TABLED:
        starts, _ = _runs(keys)
        keys, counts = keys[starts], np.append(starts, keys.size)
    place = np.arange(2 * keys.size + 1)
    if counts is None:
        return keys, costs[(place + 1) // 2], costs[2 * keys.size + 1 - place // 2]
    return keys, costs[counts[(place + 1) // 2]], costs[table.sizes[j] - counts[place // 2]]


def merge_columns(a: TailTable, b: TailTable) -> tuple[TailTable, NDArray[np.int64]]:
    """The table and skewness signs of both training sets together; bit-equal to fitting their concatenation."""
    packer = _Packer(int(a.sizes.sum() + b.sizes.sum()), a.values.dtype)
    signs = []
    for pair in zip(columns_of(a), columns_of(b), strict=True):
        ordered = np.sort(np.concatenate(pair), kind="stable")  # merges two sorted runs in one pass
        signs.append(skewness_sign(ordered))
        packer.add(ordered, _runs(ordered)[0].size, tail_scale(ordered, ordered, ordered.size))
    return packer.table(), np.array(signs, np.int64)


def feature_means(table: TailTable) -> NDArray[np.float64]:
    """(3, d): mean left, right and larger cost of every feature over its training values; what a missing cell gets."""
    means = []
    for j in range(table.sizes.size):
        keys, counts, costs = _feature(table, j)
        runs = _runs(keys) if counts is None else (counts[:-1], counts[1:])
        means.append(_mean_costs(runs[0].astype(np.int64), runs[1].astype(np.int64), costs))
    return np.array(means).T.reshape(3, -1)


def log_odds(table: TailTable, j: int) -> tuple[NDArray, NDArray[np.float64]]:
    """Distinct training values of feature j, ascending, and their right minus left cost, ascending too."""
    keys, counts, costs = _feature(table, j)
    starts, stops = _runs(keys) if counts is None else (counts[:-1], counts[1:])
    return keys[starts] if counts is None else keys, costs[table.sizes[j] - starts] - costs[stops]


def medians(table: TailTable) -> NDArray[np.float64]:
    """(d,): the smallest training value of each feature with at least half of them at or below it; NaN without any."""
    values = np.full(table.sizes.size, np.nan)
    for j, n in enumerate(table.sizes):
        keys, counts, costs = _feature(table, j)
        if n and table.count_offsets[j] == TABLED:
            values[j] = keys[np.searchsorted(-costs[1 : keys.size + 1], -np.log(2))]
        elif n:
            half = (int(n) - 1) // 2
            values[j] = keys[half if counts is None else np.searchsorted(counts[1:], half, side="right")]
    return values


def _column_terms(x: NDArray, table: TailTable, j: int, cap: float) -> tuple[NDArray, NDArray]:
    """Left and right cost of the values x of feature j, in numpy."""
    keys, counts, costs = _feature(table, j)
    if keys.size == 0:
        return np.zeros(x.size), np.zeros(x.size)
    below, upto = np.searchsorted(keys, x, side="left"), np.searchsorted(keys, x, side="right")
    if counts is not None:
        below, upto = counts[below], counts[upto]
    left, right = (
        costs[upto],
        costs[(2 * keys.size + 1 if table.count_offsets[j] == TABLED else table.sizes[j]) - below],
    )
    if cap > 0:
        with np.errstate(over="ignore"):
            for side, outside, end, scale in (
                (right, x > keys[-1], keys[-1], table.scales[1, j]),
                (left, x < keys[0], keys[0], table.scales[0, j]),
            ):
                excess = np.abs(x[outside].astype(np.float64) - np.float64(end))
                far = excess >= cap * scale
                side[outside] += np.where(far, cap, excess / np.where(far, 1.0, scale))
    return left, right


def _walk(
    X: NDArray, table: TailTable, kind: int, signs: NDArray, cap: float, missing: NDArray, outs: tuple, n_jobs: int
) -> None:
    """Score all rows into outs: compiled where that pays, else column by column in numpy; the bits are the same."""
    n, d = X.shape
    jit = compiled(_JIT, n * d)
    if jit is not None:
        X = X.view()
        X.flags.writeable = False

        def task(rows: slice) -> None:
            a, b, c = (outs[min(i, len(outs) - 1)][rows] for i in range(3))
            jit.walk(X[rows], kind, signs, *table, cap, missing, a, b, c)

        over_rows(task, n, n_jobs)
        return
    for j in range(d):
        x = np.ascontiguousarray(X[:, j])
        left, right = _column_terms(x, table, j, cap)
        if kind == 2:
            outs[0][:, j], outs[1][:, j] = left, right
            continue
        there = x == x
        if kind == 0:
            outs[0][:, 0] += np.where(there, np.maximum(left, right), missing[2, j])
        else:
            lower, upper = np.where(there, left, missing[0, j]), np.where(there, right, missing[1, j])
            for out, term in zip(outs, (lower, upper, lower if signs[j] < 0 else upper), strict=True):
                out[:, 0] += term


def tail_max(X: NDArray, table: TailTable, cap: float, missing: NDArray, *, n_jobs: int = 1) -> NDArray[np.float64]:
    """(m,): sum over features of the larger of left and right cost.

    X (m, d) C-order in the table's dtype; cap in nats, 0 = no tail excess; missing (3, d) from `feature_means`, what a
    NaN cell costs. Thread-safe.
    """
    out = np.zeros((X.shape[0], 1))
    _walk(X, table, 0, table.sizes, cap, missing, (out,), n_jobs)
    return out[:, 0]


def tail_sums(
    X: NDArray, table: TailTable, signs: NDArray, cap: float, missing: NDArray, *, n_jobs: int = 1
) -> NDArray[np.float64]:
    """(3, m): sums over features of the left, right and auto cost; auto is left where signs < 0, else right."""
    outs = tuple(np.zeros((X.shape[0], 1)) for _ in range(3))
    _walk(X, table, 1, signs, cap, missing, outs, n_jobs)
    return np.concatenate(outs, axis=1).T


def tail_terms(
    X: NDArray, table: TailTable, cap: float, *, n_jobs: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right cost of every cell, (m, d) each; the cells of X are not missing."""
    outs = (np.empty(X.shape), np.empty(X.shape))
    _walk(X, table, 2, table.sizes, cap, np.zeros((3, X.shape[1])), outs, n_jobs)
    return outs
