"""Precision and recall of ranges (Tatbul et al., 2018)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.metrics.spans import checked_labels, ends_of
from odkit.series.intervals import from_mask

__all__ = ["range_precision_recall"]


def range_precision_recall(is_outlier: ArrayLike, is_alarm: ArrayLike, *, alpha: float = 0.2) -> tuple[float, float]:
    """Precision and recall of ranges (Tatbul et al., 2018): flat bias, reciprocal cardinality.

    recall = mean over true ranges of alpha [touched] + (1 - alpha) (share covered) / (number of predicted ranges that
    touch it); precision exchanges the roles and has alpha = 0.

    Parameters
    ----------
    is_outlier, is_alarm : array-like of shape (n,), bool
    alpha : float in [0, 1], default=0.2
        Weight of being found at all, against the share that is covered.

    Returns
    -------
    precision, recall : float
        nan where there is no predicted, or no true, range.

    Examples
    --------
    >>> range_precision_recall([0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1])
    (0.666..., 0.6)
    """
    truth, alarm = checked_labels(is_outlier, "is_outlier"), checked_labels(is_alarm, "is_alarm")
    if len(truth) != len(alarm):
        raise ValueError(
            f"range_precision_recall: {len(truth)} labels and {len(alarm)} alarms; give one of each a step"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"range_precision_recall: alpha={alpha!r}; a share from 0 to 1 is needed")
    return _range_reward(alarm, truth, 0.0), _range_reward(truth, alarm, alpha)


def _range_reward(rows: NDArray, columns: NDArray, alpha: float) -> float:
    a, b = ends_of(from_mask(rows), ""), ends_of(from_mask(columns), "")
    if len(a) == 0:
        return float("nan")
    common = np.minimum(a[:, 1:], b[:, 1]) - np.maximum(a[:, :1], b[:, 0])
    touching = (common > 0).sum(axis=1)
    covered = np.maximum(common, 0).sum(axis=1) / (a[:, 1] - a[:, 0])
    return float(np.mean(alpha * (touching > 0) + (1 - alpha) * covered / np.maximum(touching, 1)))
