"""How well anomaly scores order the outliers before the rest: pure functions `(is_outlier, anomaly_score) -> float`.

The truth is boolean and called `is_outlier`, so that no metric can be fed scikit-learn's -1/+1 (or a 0/1 label of
unknown meaning) and answer with its mirror image. Ties never depend on the order of the rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

__all__ = ["ap", "ap_norm", "f1", "flag_rate", "oracle_f1", "p_at_n", "precision", "recall", "roc_auc"]


def truth(is_outlier: ArrayLike) -> NDArray[np.bool_]:
    """The truth as a boolean vector, or an error that says which coding was given."""
    found = np.asarray(is_outlier)
    if found.dtype != bool:
        values = np.unique(found)[:4].tolist()
        raise TypeError(
            f"is_outlier must be boolean, got {found.dtype} with values {values}; "
            "compare the labels with the outliers' value first, e.g. labels == 1 or labels == -1"
        )
    if found.ndim != 1:
        raise ValueError(f"is_outlier must be one-dimensional, got shape {found.shape}")
    return found


def _pair(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Both vectors, checked: same length, finite scores, at least one row of each kind."""
    outlier, score = truth(is_outlier), np.asarray(anomaly_score, dtype=np.float64)
    if score.shape != outlier.shape:
        raise ValueError(f"anomaly_score has shape {score.shape}, is_outlier {outlier.shape}; they must be equal")
    if not np.isfinite(score).all():
        raise ValueError(f"anomaly_score has {np.sum(~np.isfinite(score))} non-finite values; scores must be finite")
    if outlier.all() or not outlier.any():
        raise ValueError(
            f"is_outlier has {outlier.sum()} outliers in {outlier.size} rows; a ranking needs outliers and inliers"
        )
    return outlier, score


def roc_auc(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Probability that a random outlier scores above a random inlier, ties counting half; range [0, 1].

    Examples
    --------
    >>> roc_auc([False, False, True, True], [0.1, 0.4, 0.4, 0.9])  # one of the four pairs is tied
    0.875
    """
    outlier, score = _pair(is_outlier, anomaly_score)
    return float(roc_auc_score(outlier, score))


def ap(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Average precision: precision at each outlier's threshold, averaged; chance level is the outlier rate.

    Step-wise, never the trapezoid area, which gives constant scores (1 + r)/2 at an outlier rate r.

    Examples
    --------
    >>> ap([True] + 19 * [False], 20 * [1.0])  # constant scores are worth the outlier rate
    0.05
    """
    outlier, score = _pair(is_outlier, anomaly_score)
    return float(average_precision_score(outlier, score))


def ap_norm(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Average precision on a scale where 0 is chance and 1 perfect: `(ap - r) / (1 - r)` with the outlier rate r.

    It may be averaged over data sets of different outlier rates, which `ap` may not.

    Examples
    --------
    >>> ap_norm([True] + 19 * [False], 20 * [1.0])
    0.0
    """
    outlier, _ = _pair(is_outlier, anomaly_score)
    rate = outlier.mean()
    return float((ap(outlier, anomaly_score) - rate) / (1 - rate))


def p_at_n(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Precision among the n highest scores, n the number of outliers; ties at the border give the expectation.

    Examples
    --------
    >>> p_at_n([True, True, False, False], [3.0, 2.0, 2.0, 1.0])  # the second place is drawn between two rows
    0.75
    """
    outlier, score = _pair(is_outlier, anomaly_score)
    n = int(outlier.sum())
    border = np.partition(score, score.size - n)[score.size - n]
    above, at = score > border, score == border
    drawn = (outlier & at).sum() * (n - above.sum()) / at.sum()
    return float(((outlier & above).sum() + drawn) / n)


def oracle_f1(is_outlier: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Best F1 over all thresholds, chosen with the labels: an upper bound nobody reaches. Never rank on it.

    Examples
    --------
    >>> round(oracle_f1([False, True, False, True], [1.0, 2.0, 3.0, 4.0]), 3)
    0.8
    """
    outlier, score = _pair(is_outlier, anomaly_score)
    order = np.argsort(-score, kind="stable")
    last_of_run = np.append(np.diff(score[order]) != 0, True)  # a threshold cannot separate equal scores
    hits = np.cumsum(outlier[order])[last_of_run]
    flagged = np.flatnonzero(last_of_run) + 1
    return float(np.max(2 * hits / (flagged + outlier.sum())))


def precision(is_outlier: ArrayLike, is_flagged: ArrayLike) -> float:
    """Share of true outliers among the flagged rows; 0 where nothing is flagged.

    Examples
    --------
    >>> precision([True, False, False], [True, True, False])
    0.5
    """
    outlier, flagged = truth(is_outlier), truth(is_flagged)
    return float((outlier & flagged).sum() / max(1, flagged.sum()))


def recall(is_outlier: ArrayLike, is_flagged: ArrayLike) -> float:
    """Share of the true outliers that are flagged; 0 where there are none.

    Examples
    --------
    >>> recall([True, True, False], [True, False, False])
    0.5
    """
    outlier, flagged = truth(is_outlier), truth(is_flagged)
    return float((outlier & flagged).sum() / max(1, outlier.sum()))


def f1(is_outlier: ArrayLike, is_flagged: ArrayLike) -> float:
    """Harmonic mean of `precision` and `recall`; 0 where both are.

    Examples
    --------
    >>> round(f1([True, True, False], [True, False, False]), 3)
    0.667
    """
    outlier, flagged = truth(is_outlier), truth(is_flagged)
    return float(2 * (outlier & flagged).sum() / max(1, outlier.sum() + flagged.sum()))


def flag_rate(is_outlier: ArrayLike, is_flagged: ArrayLike) -> float:
    """Share of all rows that are flagged: the workload behind a precision and a recall; the truth is not looked at.

    Examples
    --------
    >>> flag_rate([True, True, False, False], [True, False, False, False])
    0.25
    """
    return float(truth(is_flagged).mean())
