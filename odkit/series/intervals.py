"""Intervals of time steps: from masks and scores, merged, padded, dropped, and as time stamps.

Half open everywhere: `Interval(start, stop)` holds the steps start, ..., stop - 1, as a slice does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "above",
    "drop_shorter",
    "from_mask",
    "from_timestamps",
    "merge",
    "name_channels",
    "outside",
    "pad",
    "tidy",
    "to_frame",
    "to_mask",
    "to_timestamps",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """Steps start, ..., stop - 1 of a series.

    Attributes
    ----------
    start, stop : int
        Half open, start < stop.
    severity : float
        How far the highest score lies above the threshold, in units of mean plus standard deviation of the scores;
        nan where no score was involved.
    peak : int or None
        Step of the highest score.
    channels : tuple
        Most deviating channels, the first one leading; empty where unknown.
    """

    start: int
    stop: int
    severity: float = float("nan")
    peak: int | None = None
    channels: tuple = ()

    def __post_init__(self) -> None:
        if not self.start < self.stop:
            raise ValueError(f"Interval: start {self.start} must lie before stop {self.stop}; intervals are half open")

    def __len__(self) -> int:
        return self.stop - self.start


def from_mask(mask: ArrayLike) -> list[Interval]:
    """Runs of True.

    >>> from_mask([False, True, True, False, True])
    [Interval(start=1, stop=3, severity=nan, peak=None, channels=()), Interval(start=4, stop=5, ...)]
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 1:
        raise ValueError(f"from_mask: the mask has shape {mask.shape}; one value per time step is needed")
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [Interval(int(a), int(b)) for a, b in zip(begin, end, strict=True)]


def to_mask(intervals: Iterable[Interval], n: int) -> NDArray[np.bool_]:
    """Bool array of shape (n,): True inside the intervals, all of which must lie in 0..n.

    >>> to_mask([Interval(1, 3)], n=4)
    array([False,  True,  True, False])
    """
    mask = np.zeros(n, dtype=bool)
    for each in intervals:
        if each.start < 0 or each.stop > n:
            raise ValueError(f"to_mask: steps {each.start} to {each.stop} lie outside the {n} steps of the series")
        mask[each.start : each.stop] = True
    return mask


def above(anomaly_score: ArrayLike, threshold: float) -> list[Interval]:
    """Runs of steps whose score exceeds a fixed threshold, with peak and severity.

    >>> [found] = above([0.0, 1.0, 3.0, 2.0, 0.0], threshold=1.5)
    >>> found.start, found.stop, found.peak, round(found.severity, 3)
    (2, 4, 2, 0.634)
    """
    e = np.asarray(anomaly_score, dtype=np.float64)
    unit = np.abs(e).mean() + e.std() if len(e) else 1.0
    found = []
    for run in from_mask(e > threshold):
        peak = run.start + int(np.argmax(e[run.start : run.stop]))
        found.append(replace(run, peak=peak, severity=float((e[peak] - threshold) / unit)))
    return found


def merge(intervals: Iterable[Interval], gap: int = 0) -> list[Interval]:
    """Intervals that overlap, touch, or lie at most `gap` steps apart become one.

    The severity of a merged interval is the mean of its parts weighted by their steps less one (the plain mean where
    all parts are single steps); peak and channels are those of its most severe part.

    >>> merge([Interval(5, 8), Interval(0, 3), Interval(3, 4)], gap=0)
    [Interval(start=0, stop=4, ...), Interval(start=5, stop=8, ...)]
    """
    groups: list[list[Interval]] = []
    stop = 0
    for each in sorted(intervals, key=lambda i: (i.start, i.stop)):
        if groups and each.start <= stop + gap:
            groups[-1].append(each)
            stop = max(stop, each.stop)
        else:
            groups.append([each])
            stop = each.stop
    return [_united(group) for group in groups]


def _united(group: list[Interval]) -> Interval:
    if len(group) == 1:
        return group[0]
    severity = np.array([each.severity for each in group])
    weights = np.array([len(each) - 1 for each in group])
    worst = group[0] if np.isnan(severity).all() else group[int(np.nanargmax(severity))]
    mean = float(np.average(severity, weights=weights if weights.any() else None))
    return replace(worst, start=group[0].start, stop=max(each.stop for each in group), severity=mean)


def drop_shorter(intervals: Iterable[Interval], length: int) -> list[Interval]:
    """The intervals of at least `length` steps."""
    return [each for each in intervals if len(each) >= length]


def pad(intervals: Iterable[Interval], before: int, after: int, n: int) -> list[Interval]:
    """Every interval longer by `before` steps at its start and `after` at its end, inside 0..n; not merged.

    >>> pad([Interval(1, 3), Interval(8, 9)], before=2, after=3, n=10)
    [Interval(start=0, stop=6, ...), Interval(start=6, stop=10, ...)]
    """
    return [replace(each, start=max(each.start - before, 0), stop=min(each.stop + after, n)) for each in intervals]


def outside(intervals: Iterable[Interval], steps: NDArray[np.bool_]) -> list[Interval]:
    """The intervals without the marked `steps`: of each, what is left around its peak; none where that is marked.

    >>> outside([Interval(2, 9, peak=7)], np.arange(10) == 4)
    [Interval(start=5, stop=9, severity=nan, peak=7, channels=())]
    """
    walls = np.concatenate([[-1], np.flatnonzero(steps), [len(steps)]])
    kept = []
    for each in intervals:
        free = each.start + np.flatnonzero(~steps[each.start : each.stop])
        peak = each.peak if each.peak is not None else int(free[0]) if len(free) else each.start
        if not steps[peak]:
            after = int(np.searchsorted(walls, peak))
            start, stop = max(each.start, int(walls[after - 1]) + 1), min(each.stop, int(walls[after]))
            kept.append(replace(each, start=start, stop=stop))
    return kept


def tidy(
    intervals: Iterable[Interval], n: int, *, gap: int = 0, shortest: int = 1, before: int = 0, after: int = 0
) -> list[Interval]:
    """The usual order of clean-up: merge over `gap`, drop shorter than `shortest`, pad, merge what now touches."""
    return merge(pad(drop_shorter(merge(intervals, gap), shortest), before, after, n))


def to_timestamps(intervals: Iterable[Interval], index: Any) -> list[tuple[Any, Any]]:
    """First and last label of each interval, both included.

    >>> to_timestamps([Interval(1, 3)], ["a", "b", "c"])
    [('b', 'c')]
    """
    return [(index[each.start], index[each.stop - 1]) for each in intervals]


def from_timestamps(stamps: Iterable[Sequence[Any]], index: Any) -> list[Interval]:
    """Intervals of the steps whose labels lie between first and last stamp, both included; `index` is sorted.

    Raises
    ------
    ValueError
        Where no step of the index lies in a pair.

    >>> import pandas as pd
    >>> from_timestamps([("2024-01-02", "2024-01-03")], pd.date_range("2024-01-01", periods=5))
    [Interval(start=1, stop=3, ...)]
    """
    found = []
    for first, last in stamps:
        start, stop = int(index.searchsorted(first, side="left")), int(index.searchsorted(last, side="right"))
        if start >= stop:
            raise ValueError(
                f"from_timestamps: no step of the index lies between {first} and {last}; "
                f"it runs from {index[0]} to {index[-1]}"
            )
        found.append(Interval(start, stop))
    return found


def name_channels(intervals: Iterable[Interval], parts: NDArray, names: Sequence[Any], most: int) -> list[Interval]:
    """Each interval with the names of its `most` highest columns of `parts` (n, C), by their mean over the interval."""
    named = []
    for each in intervals:
        mean = parts[each.start : each.stop].mean(axis=0)
        order = np.argsort(-mean, kind="stable")[:most]
        named.append(replace(each, channels=tuple(names[c] for c in order if mean[c] > 0)))
    return named


def to_frame(intervals: Iterable[Interval], index: Any) -> Any:
    """pandas frame with one row per interval: start, end and peak as labels of `index`, severity, channels."""
    import pandas as pd

    rows = [
        (index[i.start], index[i.stop - 1], None if i.peak is None else index[i.peak], i.severity, i.channels)
        for i in intervals
    ]
    frame = pd.DataFrame(rows, columns=["start", "end", "peak", "severity", "channels"])
    labels = dict.fromkeys(["start", "end", "peak"], index.dtype)
    return frame if rows else frame.astype({**labels, "severity": float})
