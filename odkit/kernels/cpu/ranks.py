"""How many training values lie below x, within a known relative error, from a few of the values.

A summary of a feature keeps some of its distinct values v with integer bounds on their ranks,

    a <= #{train < v} <= b     c <= #{train <= v} <= e,

and so bounds both counts for every x: at a kept value by its own bounds, between two of them by c of the lower and b of
the upper one. The estimate of a count known to lie in [lo, hi] is sqrt(lo hi), its error is at most log(hi / lo) / 2.

`thin` drops values so that this error stays within a budget for the count from below *and* for the count from above.
The gap it may leave grows with the rank, so all extremes survive and the size grows with the logarithm of n.
`merge_summaries` adds bounds: the error of a sum is not larger than the largest error of its terms. Every thinning of
a merge needs a larger budget than the one before, which is the caller's business (`tail_memory.py`).

All functions are pure and thread-safe.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled
from odkit.kernels.cpu.sizes import THIN_STEP

__all__ = ["Summary", "check_summary", "counts_at", "error", "merge_summaries", "steps", "summarise", "thin"]

_JIT = "odkit.kernels.cpu.ranks_jit"


class Summary(NamedTuple):
    """Kept values and bounds of all features, one after the other.

    Attributes
    ----------
    values : (sum of m,) float32 or float64
        Kept values, ascending within a feature, the smallest and the largest training value among them.
    offsets : (d + 1,) int64
        Feature j owns `values[offsets[j]:offsets[j + 1]]` and those columns of `bounds`.
    bounds : (4, sum of m) int32, or int64 where a feature has 2^31 training values
        a, b, c, e.
    sizes : (d,) int64
        Training values of each feature.
    """

    values: NDArray
    offsets: NDArray
    bounds: NDArray
    sizes: NDArray


def _packed(entries: Sequence[tuple[NDArray, NDArray]], sizes: NDArray) -> Summary:
    """The summary with these values and bounds per feature."""
    narrow = np.int32 if sizes.max(initial=0) < 2**31 else np.int64
    return Summary(
        values=np.concatenate([values for values, _ in entries]),
        offsets=np.cumsum([0, *(values.size for values, _ in entries)], dtype=np.int64),
        bounds=np.concatenate([bounds for _, bounds in entries], axis=1).astype(narrow),
        sizes=np.asarray(sizes, np.int64),
    )


def _entries(summary: Summary, j: int) -> tuple[NDArray, NDArray[np.int64]]:
    mine = slice(summary.offsets[j], summary.offsets[j + 1])
    return summary.values[mine], summary.bounds[:, mine].astype(np.int64)


def summarise(
    X: NDArray, budget: float = 0.0, *, visit: Callable[[int, NDArray], None] | None = None, n_jobs: int = 1
) -> Summary:
    """Summary of the rows of X (n, d), float32 or float64, NaN = missing; exact bounds, thinned to the budget.

    Parameters
    ----------
    budget : float >= 0
        Largest error of log counts that thinning may leave; 0 keeps every distinct value.
    visit : callable, optional
        Given j and the sorted column of feature j without its missing values, while it is at hand; called from the
        worker threads.
    n_jobs : int
        Threads; the result does not depend on it.
    """
    d = X.shape[1]
    jit = compiled(_JIT, THIN_STEP * X.size) if budget else None
    sizes = np.zeros(d, np.int64)
    entries: list = [None] * d

    def work(j: int) -> None:
        column = np.sort(X[:, j])
        column = column[: np.searchsorted(column, np.nan)]  # NaN sorts last
        if visit is not None:
            visit(j, column)
        starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))[: column.size]
        stops = np.append(starts[1:], column.size)[: starts.size]
        sizes[j] = column.size
        entries[j] = _thinned(column[starts], np.stack([starts, starts, stops, stops]), column.size, budget, jit)

    over_items(work, range(d), n_jobs)
    return _packed(entries, sizes)


def merge_summaries(summaries: Sequence[Summary], *, n_jobs: int = 1) -> Summary:
    """Summary of all training values together: every value that one of them keeps, bounds added."""
    sizes = np.sum([summary.sizes for summary in summaries], axis=0)
    entries: list = [None] * sizes.size

    def work(j: int) -> None:
        parts = [(*_entries(summary, j), summary.sizes[j]) for summary in summaries]
        entries[j] = _merged([part for part in parts if part[0].size] or parts[:1])

    over_items(work, range(sizes.size), n_jobs)
    return _packed(entries, sizes)


def _merged(parts: list[tuple[NDArray, NDArray, int]]) -> tuple[NDArray, NDArray]:
    """One feature of `merge_summaries`, by running sums over the sorted union instead of a search per summary.

    A summary that does not keep u adds [c before u, b after u] to both counts, and these two change only at its own
    values: c by its increment there, b by the step to the next value's b (n behind the last).
    """
    values = np.concatenate([values for values, _, _ in parts])
    order = np.argsort(values, kind="stable")  # merges ascending runs
    values = values[order]
    a, b, c, e = np.concatenate([bounds for _, bounds, _ in parts], axis=1)[:, order]
    c_before = np.concatenate([np.append(0, bounds[2, :-1])[: bounds.shape[1]] for _, bounds, _ in parts])[order]
    b_after = np.concatenate([np.append(bounds[1, 1:], n)[: bounds.shape[1]] for _, bounds, n in parts])[order]
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))[: values.size]
    if starts.size == 0:
        return values, np.empty((4, 0), np.int64)
    below = np.append(0, np.cumsum(c - c_before))[starts]
    above = sum(bounds[1, 0] for _, bounds, _ in parts) + np.append(0, np.cumsum(b_after - b))[starts]
    here = np.add.reduceat(np.stack([a - c_before, np.zeros_like(b), c - c_before, e - b]), starts, axis=1)
    return values[starts], np.stack([below, above, below, above]) + here


def thin(summary: Summary, budget: float, *, n_jobs: int = 1) -> Summary:
    """The summary with values dropped where the error stays within the budget without them; bounds are unchanged.

    `error(thin(s, budget)) <= max(error(s), budget)`, up to rounding.
    """
    jit = compiled(_JIT, THIN_STEP * summary.values.size)
    entries: list = [None] * summary.sizes.size

    def work(j: int) -> None:
        entries[j] = _thinned(*_entries(summary, j), int(summary.sizes[j]), budget, jit)

    over_items(work, range(summary.sizes.size), n_jobs)
    return _packed(entries, summary.sizes)


def _thinned(values: NDArray, bounds: NDArray, n: int, budget: float, jit: Any) -> tuple[NDArray, NDArray]:
    if budget == 0 or values.size < 3:
        return values, bounds
    below, upto = np.ascontiguousarray(bounds[1], np.int64), np.ascontiguousarray(bounds[2], np.int64)
    growth, last = float(np.exp(2 * budget)), values.size - 1
    if jit is not None:
        kept = np.empty(values.size, np.int64)
        kept = kept[: jit.thin_walk(below, upto, n, growth, kept)]
    else:
        walk, i = [0], 0
        while i < last:
            limit = np.floor(min(upto[i] * growth, n - (n - upto[i]) / growth))
            i = min(max(int(np.searchsorted(below, np.int64(limit), side="right")) - 1, i + 1), last)
            walk.append(i)
        kept = np.array(walk)
    return values[kept], bounds[:, kept]


def steps(summary: Summary, j: int) -> NDArray[np.int64]:
    """Bounds of both counts for every place that x can have among the m kept values of feature j.

    Returns
    -------
    (4, 2 m + 1) int64
        Lower and upper bound of #{train < x}, lower and upper bound of #{train <= x}. Column 2 i is the gap below
        value i (2 m: above the last), column 2 i + 1 is x = value i: the column of x is #{v < x} + #{v <= x}.
    """
    values, (a, b, c, e) = _entries(summary, j)
    found = np.zeros((4, 2 * values.size + 1), np.int64)
    found[0, 1::2], found[0, 2::2] = a, c
    found[1, :-1] = np.repeat(b, 2)
    found[2, 1:] = np.repeat(c, 2)
    found[3, :-1:2], found[3, 1::2] = b, e
    found[[1, 3], -1] = summary.sizes[j]
    return found


def counts_at(summary: Summary, j: int, x: NDArray) -> NDArray[np.int64]:
    """Lower and upper bound of #{train < x}, lower and upper bound of #{train <= x}: (4, m) for values x (m,)."""
    values, _ = _entries(summary, j)
    place = np.searchsorted(values, x, side="left") + np.searchsorted(values, x, side="right")
    return steps(summary, j)[:, place]


def error(summary: Summary) -> float:
    """Largest error of log #{train <= x} or log #{train >= x} over all features and all x, counts below 1 as 1."""
    worst = 0.0
    for j in range(summary.sizes.size):
        bounds = steps(summary, j)
        bounds[:2] = summary.sizes[j] - bounds[1::-1]
        low, high = np.maximum(bounds[::2], 1), np.maximum(bounds[1::2], 1)
        worst = max(worst, float(np.log(high / low).max()) / 2)
    return worst


def check_summary(summary: Summary, n_features: int) -> None:
    """Raise ValueError unless the summary is one that the functions here could have made."""
    values, offsets, bounds, sizes = summary
    fine = bool(
        offsets.shape == (n_features + 1,)
        and sizes.shape == (n_features,)
        and bounds.shape == (4, values.size)
        and values.dtype in (np.float32, np.float64)
        and bounds.dtype in (np.int32, np.int64)
        and offsets.dtype == sizes.dtype == np.int64
        and offsets[0] == 0
        and offsets[-1] == values.size
        and (np.diff(offsets) >= 0).all()
        and np.isfinite(values).all()
    )
    for j in range(n_features if fine else 0):
        bounds, kept = steps(summary, j), _entries(summary, j)[0]
        fine = bool(
            fine
            and (kept[1:] > kept[:-1]).all()  # a difference of huge values would overflow
            and (np.diff(bounds, axis=1) >= 0).all()
            and (bounds[0] <= bounds[1]).all()
            and (bounds[2] <= bounds[3]).all()
            and (bounds[:, 0] == 0).all()
            and (bounds[:, -1] == sizes[j]).all()
        )
    if not fine:
        raise ValueError("ECOD: a stored rank summary is damaged; fit again")
