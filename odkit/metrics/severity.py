"""Does a worse outlier get a higher score? Metrics over graded truth: level 0 is normal, 1 < 2 < ... ever worse.

Read `c_index_outliers` beside `c_index`: with level 0 inside, plain detection dominates the second.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from odkit.metrics.ranking import roc_auc

__all__ = ["adjacent_auc", "auc_against_normal", "c_index", "c_index_outliers", "severity_auc_min", "tau_b"]


def _pair(level: ArrayLike, anomaly_score: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    given, score = np.asarray(level), np.asarray(anomaly_score, dtype=np.float64)
    if given.ndim != 1 or score.shape != given.shape:
        raise ValueError(f"level and anomaly_score must be vectors of one length, got {given.shape} and {score.shape}")
    if not np.issubdtype(given.dtype, np.integer) or (given.size and given.min() < 0):
        raise ValueError(f"level must hold integers >= 0 (0 = normal), got {given.dtype}")
    if not np.isfinite(score).all():
        raise ValueError(f"anomaly_score has {np.sum(~np.isfinite(score))} non-finite values; scores must be finite")
    if np.unique(given).size < 2:
        raise ValueError(f"level has one value only ({np.unique(given).tolist()}); an order needs two levels")
    return given.astype(np.int64), score


def c_index(level: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Share of the pairs of different level whose scores are in the right order, tied scores counting half.

    Parameters
    ----------
    level : array-like of int, shape (n,), 0 = normal, higher = worse
    anomaly_score : array-like, shape (n,), higher = more anomalous

    Returns
    -------
    float in [0, 1]; .5 is chance, and with two levels it is the ROC area. O(k n log n) for k levels.

    Examples
    --------
    >>> c_index([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])  # 15.5 of 18 pairs
    0.861111
    """
    level_, score = _pair(level, anomaly_score)
    ordered = pairs = 0.0
    for k in np.unique(level_)[1:]:
        worse = level_[level_ <= k] == k
        n_worse, n_better = int(worse.sum()), int((~worse).sum())
        # Mann-Whitney from average ranks: sum of the ranks of the worse rows less the smallest it can be
        ordered += rankdata(score[level_ <= k])[worse].sum() - n_worse * (n_worse + 1) / 2
        pairs += n_worse * n_better
    return float(ordered / pairs)


def c_index_outliers(level: ArrayLike, anomaly_score: ArrayLike) -> float:
    """`c_index` among the outliers (level >= 1) only: does the score grade, given that it detects?

    Examples
    --------
    >>> c_index_outliers([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])  # 6 of 8 pairs
    0.75
    """
    level_, score = _pair(level, anomaly_score)
    return c_index(level_[level_ >= 1], score[level_ >= 1])


def tau_b(level: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Kendall's tau-b between level and score, in [-1, 1]; ties on either side are corrected for.

    Examples
    --------
    >>> round(tau_b([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8]), 4)
    0.6852
    """
    level_, score = _pair(level, anomaly_score)
    if np.ptp(score) == 0:
        return 0.0  # no order among the scores at all; the formula is 0/0 there
    return float(kendalltau(level_, score).statistic)


def _auc_between(level: NDArray[np.int64], score: NDArray[np.float64], low: int, high: int) -> float:
    two = (level == low) | (level == high)
    return roc_auc(level[two] == high, score[two])


def adjacent_auc(level: ArrayLike, anomaly_score: ArrayLike) -> dict[int, float]:
    """ROC area of each level against the next one that occurs, keyed by the lower level.

    Examples
    --------
    >>> adjacent_auc([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])
    {0: 0.875, 1: 0.75, 2: 0.5}
    """
    level_, score = _pair(level, anomaly_score)
    steps = np.unique(level_).tolist()
    return {low: _auc_between(level_, score, low, high) for low, high in pairwise(steps)}


def severity_auc_min(level: ArrayLike, anomaly_score: ArrayLike) -> float:
    """The weakest of the adjacent ROC areas: one step of the scale that the score cannot see shows here.

    Examples
    --------
    >>> severity_auc_min([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])
    0.5
    """
    return min(adjacent_auc(level, anomaly_score).values())


def auc_against_normal(level: ArrayLike, anomaly_score: ArrayLike) -> dict[int, float]:
    """ROC area of the normal rows (level 0) against each level, keyed by the level.

    Examples
    --------
    >>> auc_against_normal([0, 0, 1, 1, 2, 2, 3], [0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])
    {1: 0.875, 2: 1.0, 3: 1.0}
    """
    level_, score = _pair(level, anomaly_score)
    if not (level_ == 0).any():
        raise ValueError(f"level has no normal rows (0), got {np.unique(level_).tolist()}")
    return {k: _auc_between(level_, score, 0, k) for k in np.unique(level_[level_ > 0]).tolist()}
