"""Affiliation: precision and recall of detections by their distance from the events (Huet et al., 2022)."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from odkit.metrics.spans import Span, ends_of

__all__ = ["affiliation"]


def affiliation(true: Iterable[Span], found: Iterable[Span], span: Sequence[float]) -> tuple[float, float]:
    """Precision and recall by distance, against a random place in each event's zone (Huet et al., 2022).

    The zone of an event reaches to the midpoints between it and its neighbours. A predicted point counts as the
    probability that a random point of the zone lies farther from the event; a point of the event counts as the
    probability that a random prediction lies farther from it than the nearest one. Integrals are exact.

    Parameters
    ----------
    true : iterable of Interval or (start, stop), at least one, disjoint
    found : iterable of Interval or (start, stop)
    span : (start, stop) of the series, which holds all of `true`

    Returns
    -------
    precision, recall : float
        Means over the events; zones without prediction are left out of the precision (nan where all are).

    Examples
    --------
    >>> affiliation([(40, 60)], [(30, 40)], span=(0, 100))
    (0.7, 0.8)
    """
    events = ends_of(true, "true")
    events = events[np.argsort(events[:, 0])]
    begin, end = float(span[0]), float(span[1])
    if len(events) == 0 or (events[1:, 0] < events[:-1, 1]).any():
        raise ValueError(f"affiliation: true must hold disjoint intervals, at least one; given {events.tolist()}")
    if events[0, 0] < begin or events[-1, 1] > end:
        raise ValueError(f"affiliation: true intervals must lie in span = ({begin}, {end}); given {events.tolist()}")
    predicted = _union(ends_of(found, "found"))
    middles = (events[:-1, 1] + events[1:, 0]) / 2
    zones = np.column_stack([np.append(begin, middles), np.append(middles, end)])
    precision, recall = [], []
    for (a, b), (low, high) in zip(events, zones, strict=True):
        inside = np.clip(predicted, low, high)
        inside = inside[inside[:, 0] < inside[:, 1]]
        if len(inside):
            precision.append(_affiliation_precision(inside, a, b, low, high))
        recall.append(_affiliation_recall(inside, a, b, low, high))
    return float(np.mean(precision)) if precision else float("nan"), float(np.mean(recall))


def _affiliation_precision(inside: NDArray, a: float, b: float, low: float, high: float) -> float:
    def farther(x: NDArray) -> NDArray:
        d = np.maximum(np.maximum(a - x, x - b), 0.0)
        return (np.maximum(a - d - low, 0) + np.maximum(high - b - d, 0)) / (high - low)

    # kinks where one side of the zone is used up: d = a - low or d = high - b
    kinks = np.array([a, b, a - (high - b), b + (a - low)])
    total = 0.0
    for start, stop in inside:
        total += max(min(stop, b) - max(start, a), 0.0)  # inside the event the probability is 1
        for s, e in ((start, min(stop, a)), (max(start, b), stop)):
            total += _integral(farther, s, e, kinks) if s < e else 0.0
    return total / (inside[:, 1] - inside[:, 0]).sum()


def _affiliation_recall(inside: NDArray, a: float, b: float, low: float, high: float) -> float:
    if len(inside) == 0:
        return 0.0

    def farther(y: NDArray) -> NDArray:
        d = np.maximum(np.maximum(inside[:, :1] - y, y - inside[:, 1:]), 0.0).min(axis=0)
        return 1 - (np.minimum(y + d, high) - np.maximum(y - d, low)) / (high - low)

    ends = inside.ravel()
    kinks = np.concatenate([ends, (inside[:-1, 1] + inside[1:, 0]) / 2, (ends + low) / 2, (ends + high) / 2])
    return _integral(farther, a, b, kinks) / (b - a)


def _integral(f: Callable[[NDArray], NDArray], start: float, stop: float, kinks: NDArray) -> float:
    """Exact integral of a function that is linear between the kinks."""
    x = np.unique(np.concatenate([[start], kinks[(kinks > start) & (kinks < stop)], [stop]]))
    return float(np.trapezoid(f(x), x))


def _union(ends: NDArray) -> NDArray:
    """Sorted disjoint intervals that cover the same points."""
    merged: list[list[float]] = []
    for start, stop in ends[np.argsort(ends[:, 0])]:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)
