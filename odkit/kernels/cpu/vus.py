"""Counts behind the volume under the surface: alarms against events with soft borders (Paparrizos et al., 2022).

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["vus_counts"]


def vus_counts(
    is_outlier: NDArray, anomaly_score: NDArray, max_window: int, n_thresholds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts behind the volume under the surface, for every border length l = 0..L and threshold k.

    Thresholds are the scores at positions int(linspace(0, n-1, K)) in descending order, a step is alarmed where
    score >= threshold. The soft label of a step outside the events is the sum over events of sqrt(1 - d/l) for
    distances d <= l//2, capped at 1. Every step is put once into the bin of the first threshold it reaches, so that
    each l costs one pass over the steps near an event instead of one over all steps and thresholds.

    Parameters
    ----------
    is_outlier : bool array of shape (n,), with both classes
    anomaly_score : float64 array of shape (n,)
    max_window, n_thresholds : int, L and K

    Returns
    -------
    alarmed : (K,) steps alarmed
    inside : (K,) alarmed steps inside events
    outside : (L + 1, K) soft labels of alarmed steps outside events
    touched : (L + 1, K) share of the widened and merged events that contain an alarmed step
    """
    n = len(anomaly_score)
    thresholds = -np.sort(-anomaly_score)[np.linspace(0, n - 1, n_thresholds).astype(np.int64)]
    bins = np.searchsorted(-thresholds, -anomaly_score, side="left")  # < K: the last threshold is the minimum
    alarmed = np.cumsum(np.bincount(bins, minlength=n_thresholds)).astype(np.float64)
    inside = np.cumsum(np.bincount(bins[is_outlier], minlength=n_thresholds)).astype(np.float64)
    edges = np.diff(np.concatenate([[False], is_outlier, [False]]).astype(np.int8))
    begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)  # half open
    reach = np.arange(1, max_window // 2 + 1)
    near = np.concatenate([(begin[:, None] - reach).ravel(), (end[:, None] + reach - 1).ravel()])
    distance = np.tile(reach, 2 * len(begin))
    free = (near >= 0) & (near < n)
    free[free] = ~is_outlier[near[free]]
    steps, place = np.unique(near[free], return_inverse=True)
    distance = distance[free]
    outside = np.zeros((max_window + 1, n_thresholds))
    touched = np.empty((max_window + 1, n_thresholds))
    for length in range(max_window + 1):
        half = length // 2
        if length % 2 == 0:  # the widened events depend on half alone
            share = _touched(bins, begin, end, half, n_thresholds)
        touched[length] = share
        if half:
            close = distance <= half
            soft = np.bincount(place[close], np.sqrt(1 - distance[close] / length), minlength=len(steps))
            weights = np.minimum(soft, 1.0)
            outside[length] = np.cumsum(np.bincount(bins[steps], weights, minlength=n_thresholds))
    return alarmed, inside, outside, touched


def _touched(bins: NDArray, begin: NDArray, end: NDArray, half: int, n_thresholds: int) -> NDArray[np.float64]:
    """Share of the events, widened by `half` and merged where they meet, alarmed at each threshold."""
    apart = begin[1:] - half > end[:-1] - 1 + half
    first = np.maximum(begin[np.append(True, apart)] - half, 0)
    last = np.minimum(end[np.append(apart, True)] + half, len(bins))
    earliest = np.minimum.reduceat(np.append(bins, n_thresholds), np.column_stack([first, last]).ravel())[::2]
    return np.cumsum(np.bincount(earliest, minlength=n_thresholds)) / len(first)
