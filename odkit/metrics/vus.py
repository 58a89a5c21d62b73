"""Volumes under the surfaces of ROC and precision-recall: ranking of steps under soft borders."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from odkit import kernels
from odkit.metrics.spans import checked_labels

__all__ = ["vus"]


def vus(
    is_outlier: ArrayLike, anomaly_score: ArrayLike, *, max_window: int = 100, n_thresholds: int = 250
) -> tuple[float, float]:
    """Volumes under the surfaces of ROC and precision-recall over border lengths 0..max_window (Paparrizos, 2022).

    Steps near an event count in part, and finding some step of every event counts as well as finding many. Random
    scores do not get .5, because of the soft borders: compare with a random score on the same labels.

    Parameters
    ----------
    is_outlier : array-like of shape (n,), bool, with both classes
    anomaly_score : array-like of shape (n,)
    max_window : int, default=100
        Longest border in steps, both sides together, at least 0.
    n_thresholds : int, default=250
        Scores at which the curves are computed, at least 2.

    Returns
    -------
    roc, pr : float

    Notes
    -----
    **Cost:** O(n log n + L m), m the steps within L/2 of an event.
    **Source:** TSB-AD's definition, with soft labels sqrt(1 - d/l) on both sides at distances d = 1..l//2; labels of
    one class are an error instead of an empty answer.

    Examples
    --------
    >>> truth = np.arange(100) // 10 == 5
    >>> vus(truth, truth + 0.0, max_window=0)
    (1.0, 1.0)
    """
    for name, value, least in (("max_window", max_window, 0), ("n_thresholds", n_thresholds, 2)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"vus: {name}={value!r}; a whole number of at least {least} is needed")
    truth = checked_labels(is_outlier, "is_outlier")
    if len(truth) == 0:
        raise ValueError("vus: is_outlier is empty; labels of both classes are needed")
    score = np.asarray(anomaly_score, dtype=np.float64)
    if score.shape != truth.shape or not np.isfinite(score).all():
        raise ValueError(
            f"vus: anomaly_score must be {len(truth)} finite numbers, one a label; its shape is {score.shape}"
        )
    if truth.all() or not truth.any():
        raise ValueError(f"vus: all {len(truth)} labels are {bool(truth.all())}; both classes must occur")
    n, positives = len(truth), float(truth.sum())
    alarmed, inside, outside, touched = kernels.on().vus.vus_counts(truth, score, max_window, n_thresholds)
    tp = inside + outside
    soft_positives = positives + outside / 2
    tpr = np.minimum(tp / soft_positives, 1) * touched
    fpr = (alarmed - tp) / (n - soft_positives)
    zero, one = np.zeros((len(tp), 1)), np.ones((len(tp), 1))
    roc = np.trapezoid(np.hstack([zero, tpr, one]), np.hstack([zero, fpr, one]), axis=1)
    pr = (np.diff(tpr, prepend=0.0, axis=1) * tp / alarmed).sum(axis=1)
    return float(roc.mean()), float(pr.mean())
