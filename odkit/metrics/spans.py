"""Intervals and labels as arrays: what the metrics of series take.

Intervals are half open everywhere: an `Interval` or a pair (start, stop) holds start, ..., stop - 1. Times in seconds
work as well as steps; an inclusive pair of stamps (a, b) is (a, b + 1).
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.series.intervals import Interval, to_mask

__all__ = ["Span", "checked_labels", "ends_of", "mask_of"]

Span = Interval | Sequence[float]


def ends_of(spans: Iterable[Span], name: str) -> NDArray[np.float64]:
    """(k, 2) starts and stops."""
    pairs = [(s.start, s.stop) if isinstance(s, Interval) else tuple(s) for s in spans]
    ends = np.array(pairs, dtype=np.float64).reshape(len(pairs), -1) if pairs else np.empty((0, 2))
    if ends.shape[1] != 2 or not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError(f"{name} must hold intervals or pairs with start < stop (half open); given {pairs}")
    return ends


def mask_of(spans: Iterable[Span], n: int) -> NDArray[np.bool_]:
    return to_mask([Interval(int(a), int(b)) for a, b in ends_of(spans, "found")], n)


def checked_labels(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    labels = np.asarray(values)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"{name} must be one-dimensional and hold only True and False; its shape is {labels.shape}")
    return labels.astype(bool)
