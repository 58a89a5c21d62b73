"""The training columns of ECOD in the form that scoring reads, and what can be read off them.

`sorting.py` and `staircase.py` make such tables, `ecdf.py` and its torch twin score with them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TABLED",
    "TailTable",
    "check_table",
    "columns_of",
    "feature_means",
    "feature_of",
    "log_odds",
    "mean_costs",
    "medians",
    "place_costs",
    "runs_of",
]

TABLED = -2  # in `count_offsets`: the costs stand at the keys and in the gaps between them


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


def feature_of(table: TailTable, j: int) -> tuple[NDArray, NDArray | None, NDArray]:
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
        keys, counts, costs = feature_of(table, j)
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
        keys, counts, _ = feature_of(table, j)
        columns.append(keys if counts is None else np.repeat(keys, np.diff(counts)))
    return columns


def place_costs(table: TailTable, j: int) -> tuple[NDArray, NDArray[np.float64], NDArray[np.float64]]:
    """Distinct keys (m,) of feature j, and its left and right costs (2 m + 1,) by #{keys < x} + #{keys <= x}."""
    keys, counts, costs = feature_of(table, j)
    if counts is None and table.count_offsets[j] != TABLED:
        starts, _ = runs_of(keys)
        keys, counts = keys[starts], np.append(starts, keys.size)
    place = np.arange(2 * keys.size + 1)
    if counts is None:
        return keys, costs[(place + 1) // 2], costs[2 * keys.size + 1 - place // 2]
    return keys, costs[counts[(place + 1) // 2]], costs[table.sizes[j] - counts[place // 2]]


def feature_means(table: TailTable) -> NDArray[np.float64]:
    """(3, d): mean left, right and larger cost of every feature over its training values; what a missing cell gets."""
    means = []
    for j in range(table.sizes.size):
        keys, counts, costs = feature_of(table, j)
        runs = runs_of(keys) if counts is None else (counts[:-1], counts[1:])
        means.append(mean_costs(runs[0].astype(np.int64), runs[1].astype(np.int64), costs))
    return np.array(means).T.reshape(3, -1)


def log_odds(table: TailTable, j: int) -> tuple[NDArray, NDArray[np.float64]]:
    """Distinct training values of feature j, ascending, and their right minus left cost, ascending too."""
    keys, counts, costs = feature_of(table, j)
    starts, stops = runs_of(keys) if counts is None else (counts[:-1], counts[1:])
    return keys[starts] if counts is None else keys, costs[table.sizes[j] - starts] - costs[stops]


def medians(table: TailTable) -> NDArray[np.float64]:
    """(d,): the smallest training value of each feature with at least half of them at or below it; NaN without any."""
    values = np.full(table.sizes.size, np.nan)
    for j, n in enumerate(table.sizes):
        keys, counts, costs = feature_of(table, j)
        if n and table.count_offsets[j] == TABLED:
            values[j] = keys[np.searchsorted(-costs[1 : keys.size + 1], -np.log(2))]
        elif n:
            half = (int(n) - 1) // 2
            values[j] = keys[half if counts is None else np.searchsorted(counts[1:], half, side="right")]
    return values


def runs_of(ordered: NDArray) -> tuple[NDArray, NDArray]:
    """Start and stop of every run of equal values of a sorted column."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))[: ordered.size]
    return starts, np.append(starts[1:], ordered.size)[: starts.size]


def mean_costs(starts: NDArray, stops: NDArray, costs: NDArray) -> tuple[float, float, float]:
    """Mean left, right and larger cost of a feature's training values."""
    if starts.size == 0:
        return 0.0, 0.0, 0.0
    n = int(stops[-1])
    weights = (stops - starts) / n
    left, right = costs[stops], costs[n - starts]
    return tuple(float((weights * cost).sum()) for cost in (left, right, np.maximum(left, right)))  # type: ignore[return-value]
