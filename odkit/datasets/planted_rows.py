"""Normal rows with outliers planted in known columns, or of known severity."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.datasets.counts import check_counts

__all__ = ["GradedRows", "PlantedRows", "make_graded_rows", "make_planted_rows"]


class PlantedRows(NamedTuple):
    """`X` (n, d), `is_outlier` (n,), `kinds` (n,): "inlier", "marginal" or "broken"; `planted` (n, d): which values."""

    X: NDArray[np.float64]
    is_outlier: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    planted: NDArray[np.bool_]


class GradedRows(NamedTuple):
    """`X` (n, d) and `severity` (n,): 0 = normal, then 1, 2, ..."""

    X: NDArray[np.float64]
    severity: NDArray[np.int64]


def make_planted_rows(
    n_rows: int = 500,
    n_features: int = 6,
    *,
    n_marginal: int = 10,
    n_broken: int = 10,
    magnitude: float = 6.0,
    correlation: float = 0.95,
    random_state: int | np.random.Generator = 0,
) -> PlantedRows:
    """Standard normal rows whose columns are correlated in pairs (0 with 1, 2 with 3, ...), with two kinds of outliers.

    A marginal outlier has one or two values at `magnitude` or `-magnitude`: any detector should find it. A broken one
    has a pair of opposite values of 1.5 to 2 standard deviations where the pair should agree: each value is ordinary,
    only a detector that knows the correlation can find it.

    Parameters
    ----------
    n_rows : int, default=500
    n_features : int, default=6
        At least 2; with an odd number the last column stands alone.
    n_marginal, n_broken : int, default=10
        Together at most `n_rows`; they are the last rows, marginal ones first.
    magnitude : float, default=6.0
        In standard deviations.
    correlation : float, default=0.95
        Within a pair, between 0 and 1.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_planted_rows
    >>> rows = make_planted_rows(random_state=3)
    >>> rows.X.shape, int(rows.is_outlier.sum()), rows.planted[-1].nonzero()[0].tolist()
    ((500, 6), 20, [0, 1])
    """
    check_counts(
        "make_planted_rows",
        n_marginal=(n_marginal, 0),
        n_broken=(n_broken, 0),
        n_rows=(n_rows, max(1, n_marginal + n_broken)),
        n_features=(n_features, 2),
    )
    if not 0 <= correlation < 1:
        raise ValueError(f"make_planted_rows: correlation is {correlation}; 0 <= correlation < 1 is allowed")
    rng = np.random.default_rng(random_state)
    X = _in_pairs(rng.normal(size=(n_rows, n_features)), correlation)
    planted = np.zeros(X.shape, bool)
    first, second = n_rows - n_marginal - n_broken, n_rows - n_broken
    for row in range(first, second):
        columns = rng.choice(n_features, size=rng.integers(1, 3), replace=False)
        X[row, columns] = magnitude * rng.choice([-1.0, 1.0], size=len(columns))
        planted[row, columns] = True
    for row in range(second, n_rows):
        left = 2 * rng.integers(n_features // 2)
        value = rng.uniform(1.5, 2) * rng.choice([-1.0, 1.0])
        X[row, left], X[row, left + 1] = value, -value
        planted[row, left : left + 2] = True
    kinds = np.array(["inlier"] * first + ["marginal"] * n_marginal + ["broken"] * n_broken)
    return PlantedRows(X, kinds != "inlier", kinds, planted)


def make_graded_rows(
    n_rows: int = 600,
    n_features: int = 6,
    *,
    n_levels: int = 3,
    n_per_level: int = 40,
    step: float = 1.5,
    random_state: int | np.random.Generator = 0,
) -> GradedRows:
    """Normal rows and outliers of growing severity: level k is moved by `k * step + 1` in a direction of its own.

    The directions are uniform over the sphere after the columns' correlation is taken out, so the expected squared
    Mahalanobis distance of level k is `n_features + (k * step + 1)**2`.

    Parameters
    ----------
    n_rows : int, default=600
        In all; the graded rows are the last, in order of their level.
    n_features : int, default=6
        At least 2.
    n_levels : int, default=3
        Levels above 0.
    n_per_level : int, default=40
    step : float, default=1.5
        In standard deviations.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_graded_rows
    >>> X, severity = make_graded_rows()
    >>> X.shape, np.bincount(severity).tolist()
    ((600, 6), [480, 40, 40, 40])
    """
    check_counts(
        "make_graded_rows",
        n_levels=(n_levels, 1),
        n_per_level=(n_per_level, 1),
        n_rows=(n_rows, 1 + n_levels * n_per_level),
        n_features=(n_features, 2),
    )
    rng = np.random.default_rng(random_state)
    severity = np.zeros(n_rows, np.int64)
    severity[n_rows - n_levels * n_per_level :] = np.repeat(np.arange(1, n_levels + 1), n_per_level)
    direction = rng.normal(size=(n_rows, n_features))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = np.where(severity > 0, severity * step + 1, 0.0)
    white = rng.normal(size=(n_rows, n_features)) + distance[:, None] * direction
    return GradedRows(_in_pairs(white, 0.7), severity)


def _in_pairs(white: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """Uncorrelated unit-variance columns made to correlate in pairs."""
    X = white.copy()
    right = X[:, 1::2]
    right *= np.sqrt(1 - correlation**2)
    right += correlation * X[:, 0 : 2 * right.shape[1] : 2]
    return X
