"""Scores of pixels: the top of a map, and counts above every threshold that matters, those where a wanted one enters.

Between two wanted scores only unwanted ones enter, so the whole curve is known from its corners at wanted scores. The
unwanted scores (most pixels of a map) are sorted as bare values, which is several times faster than an argsort.
"""

from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "region_curve", "top_mean"]


class Curve(NamedTuple):
    """What has entered when the threshold has fallen to each distinct wanted score, highest first; all shapes (m,).

    Attributes
    ----------
    threshold : dtype of the scores
        The distinct wanted scores, descending.
    gained : float64
        Weight of the wanted scores >= threshold.
    hits : int64
        Number of the wanted scores >= threshold.
    false_above, false_upto : int64
        Number of unwanted scores > threshold and >= threshold.
    """

    threshold: NDArray
    gained: NDArray
    hits: NDArray
    false_above: NDArray
    false_upto: NDArray


def region_curve(wanted: NDArray, weight: NDArray, unwanted: NDArray) -> Curve:
    """The corners of the curve; ties enter together.

    Parameters
    ----------
    wanted : ndarray of shape (p,), float32 or float64
        Scores of defect pixels.
    weight : ndarray of shape (p,), float64
    unwanted : ndarray of shape (n,), dtype of `wanted`
        Scores of normal pixels.

    Notes
    -----
    O(p log p + n log n), two sorts; memory n + 5 p numbers. Writes to nothing it is given, safe in threads.
    """
    order = np.argsort(-wanted)
    ordered = wanted[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))[: ordered.size]
    threshold = ordered[last]
    ascending = np.sort(unwanted)
    return Curve(
        threshold,
        np.cumsum(weight[order])[last],
        last + 1,
        unwanted.size - np.searchsorted(ascending, threshold, side="right"),
        unwanted.size - np.searchsorted(ascending, threshold, side="left"),
    )


def top_mean(maps: NDArray, share: float) -> NDArray[np.float64]:
    """Mean of the largest `share` in [0, 1] of the pixels of each map (n, ...), at least of one pixel: shape (n,)."""
    flat = maps.reshape(len(maps), -1)
    n_top = max(1, int(share * flat.shape[1]))
    return np.partition(flat, flat.shape[1] - n_top, axis=1)[:, -n_top:].mean(axis=1, dtype=np.float64)


def top_share(rule: object, who: str) -> float:
    """The `share` of `top_mean` that a rule says: "max" (0), "mean" (1) or ("top", share)."""
    match rule:
        case "max":
            return 0.0
        case "mean":
            return 1.0
        case ("top", Real() as share) if 0 < float(share) <= 1:
            return float(share)
    raise ValueError(f"{who}: {rule!r} is no rule; 'max', 'mean' or ('top', share) with a share in (0, 1] is allowed")
