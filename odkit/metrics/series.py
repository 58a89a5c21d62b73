"""Metrics for anomalies of time series: events, ranges, volumes under soft borders. Point adjustment is not provided.

Intervals are half open everywhere: an `Interval` or a pair (start, stop) holds start, ..., stop - 1. Times in seconds
work as well as steps; an inclusive pair of stamps (a, b) is (a, b + 1).

Overlap counts are blind to the length of a detection: scores drawn at random reach an F1 of .6 to 1.0 under a lax
threshold. Print `alarmed_fraction` and `shift_null` beside every `pooled_f1`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit.series.intervals import Interval, from_mask, to_mask

__all__ = [
    "affiliation",
    "alarmed_fraction",
    "delay",
    "nab_score",
    "overlap_confusion",
    "pooled_f1",
    "range_precision_recall",
    "shift_null",
    "vus",
]

Span = Interval | Sequence[float]

NAB_PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
NAB_PROBATION = 0.15
NAB_PROBATION_ROWS = 750


class Confusion(NamedTuple):
    """Counts of events: true ones found, detections on nothing, true ones missed."""

    tp: int
    fp: int
    fn: int


def overlap_confusion(true: Iterable[Span], found: Iterable[Span]) -> Confusion:
    """Events of one series, as Orion counts them.

    A true interval is found if any detection overlaps it; a detection that overlaps no true interval is false; several
    detections on one true interval count once, one detection on several finds them all.

    Parameters
    ----------
    true, found : iterables of Interval or (start, stop), half open

    Returns
    -------
    Confusion(tp, fp, fn)

    Examples
    --------
    >>> overlap_confusion([(10, 21), (40, 51)], [(15, 17), (30, 32), (60, 62)])
    Confusion(tp=1, fp=2, fn=1)
    """
    a, b = _ends(true, "true"), _ends(found, "found")
    overlap = (a[:, :1] < b[:, 1]) & (b[:, 0] < a[:, 1:])
    hit = int(overlap.any(axis=1).sum())
    return Confusion(hit, int((~overlap.any(axis=0)).sum()), len(a) - hit)


def pooled_f1(confusions: Iterable[Sequence[float]]) -> float:
    """2 tp / (2 tp + fp + fn) of counts summed over series; 0 where nothing was found. No series is left out.

    >>> pooled_f1([(1, 2, 1), (0, 0, 1)])
    0.333...
    """
    counts = np.array(list(confusions), dtype=np.float64).reshape(-1, 3).sum(axis=0)
    return float(2 * counts[0] / (2 * counts[0] + counts[1] + counts[2])) if counts[0] else 0.0


def alarmed_fraction(found: Iterable[Span], n: int) -> float:
    """Share of the n steps that lie in some detection.

    >>> alarmed_fraction([(0, 5), (3, 10)], n=100)
    0.1
    """
    return float(_mask(found, n).mean())


def shift_null(
    true: Iterable[Span], found: Iterable[Span], n: int, *, repeats: int = 20, random_state: int | None = 0
) -> NDArray[np.int64]:
    """Counts of the same detections at random places: what overlap gives by chance at these lengths.

    The mask of the detections is rolled around the series by uniform offsets. Sum the counts over the series of a
    group, repeat by repeat, and compare the pooled F1 of the detector with the mean of theirs.

    Returns
    -------
    ndarray of shape (repeats, 3), columns tp, fp, fn

    Examples
    --------
    >>> counts = shift_null([(10, 20)], [(12, 14)], n=1000, repeats=500)
    >>> pooled_f1([(1, 0, 0)]), pooled_f1(counts)
    (1.0, 0.01)
    """
    rng = np.random.default_rng(random_state)
    mask, true = _mask(found, n), list(true)
    return np.array(
        [overlap_confusion(true, from_mask(np.roll(mask, rng.integers(n)))) for _ in range(repeats)], dtype=np.int64
    ).reshape(repeats, 3)


def delay(true: Iterable[Span], found: Iterable[Span]) -> NDArray[np.float64]:
    """Steps from the start of each true interval to the first alarm inside it; nan where there is none.

    >>> delay([(10, 20), (40, 50)], [(5, 12), (60, 70)])
    array([ 0., nan])
    """
    a, b = _ends(true, "true"), _ends(found, "found")
    late = np.where((a[:, :1] < b[:, 1]) & (b[:, 0] < a[:, 1:]), np.maximum(b[:, 0] - a[:, :1], 0.0), np.inf)
    first = late.min(axis=1, initial=np.inf)
    return np.where(np.isinf(first), np.nan, first)


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
    truth, alarm = _labels(is_outlier, "is_outlier"), _labels(is_alarm, "is_alarm")
    if len(truth) != len(alarm):
        raise ValueError(
            f"range_precision_recall: {len(truth)} labels and {len(alarm)} alarms; give one of each a step"
        )
    return _range_reward(alarm, truth, 0.0), _range_reward(truth, alarm, alpha)


def _range_reward(rows: NDArray, columns: NDArray, alpha: float) -> float:
    a, b = _ends(from_mask(rows), ""), _ends(from_mask(columns), "")
    if len(a) == 0:
        return float("nan")
    common = np.minimum(a[:, 1:], b[:, 1]) - np.maximum(a[:, :1], b[:, 0])
    touching = (common > 0).sum(axis=1)
    covered = np.maximum(common, 0).sum(axis=1) / (a[:, 1] - a[:, 0])
    return float(np.mean(alpha * (touching > 0) + (1 - alpha) * covered / np.maximum(touching, 1)))


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
        Longest border in steps, both sides together.
    n_thresholds : int, default=250

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
    truth = _labels(is_outlier, "is_outlier")
    score = np.asarray(anomaly_score, dtype=np.float64)
    if score.shape != truth.shape or not np.isfinite(score).all():
        raise ValueError(
            f"vus: anomaly_score must be {len(truth)} finite numbers, one a label; its shape is {score.shape}"
        )
    if truth.all() or not truth.any():
        raise ValueError(f"vus: all {len(truth)} labels are {bool(truth.all())}; both classes must occur")
    n, positives = len(truth), float(truth.sum())
    alarmed, inside, outside, touched = kernels.on().series.vus_counts(truth, score, max_window, n_thresholds)
    tp = inside + outside
    soft_positives = positives + outside / 2
    tpr = np.minimum(tp / soft_positives, 1) * touched
    fpr = (alarmed - tp) / (n - soft_positives)
    zero, one = np.zeros((len(tp), 1)), np.ones((len(tp), 1))
    roc = np.trapezoid(np.hstack([zero, tpr, one]), np.hstack([zero, fpr, one]), axis=1)
    pr = (np.diff(tpr, prepend=0.0, axis=1) * tp / alarmed).sum(axis=1)
    return float(roc.mean()), float(pr.mean())


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
    events = _ends(true, "true")
    events = events[np.argsort(events[:, 0])]
    begin, end = float(span[0]), float(span[1])
    if len(events) == 0 or (events[1:, 0] < events[:-1, 1]).any():
        raise ValueError(f"affiliation: true must hold disjoint intervals, at least one; given {events.tolist()}")
    if events[0, 0] < begin or events[-1, 1] > end:
        raise ValueError(f"affiliation: true intervals must lie in span = ({begin}, {end}); given {events.tolist()}")
    predicted = _union(_ends(found, "found"))
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


def nab_score(
    windows: Iterable[Span],
    detections: ArrayLike,
    n: int,
    *,
    profile: Literal["standard", "low_fp", "low_fn"] = "standard",
) -> float:
    """Score of the Numenta Anomaly Benchmark for one file: early detections in a window earn more, false ones cost.

    Parameters
    ----------
    windows : iterable of Interval or (start, stop), the labelled windows in rows
    detections : array-like of int, rows with an alarm
    n : int
        Rows of the file; the first min(floor(.15 n), 750) are not judged.
    profile : {"standard", "low_fp", "low_fn"}

    Returns
    -------
    float: 0 for no detection, 100 for every window found in its first row and nothing else; can be negative

    Notes
    -----
    **Source:** numenta/NAB. As in the authors' code, the perfect score counts all windows, the null score only those
    not wholly inside the skipped rows.

    Examples
    --------
    >>> nab_score([(40, 50)], [40], n=100), round(nab_score([(40, 50)], [45], n=100), 4)
    (100.0, 92.9896)
    """
    if profile not in NAB_PROFILES:
        raise ValueError(f"nab_score: profile={profile!r} is unknown; {', '.join(NAB_PROFILES)} exist")
    cost_false, cost_missed = NAB_PROFILES[profile]
    ends = _ends(windows, "windows")
    ends = ends[np.argsort(ends[:, 0])]
    if len(ends) == 0:
        raise ValueError("nab_score: no window; the score of a file without anomalies is not defined")
    skipped = min(int(NAB_PROBATION * n), NAB_PROBATION_ROWS)
    rows = np.unique(np.asarray(detections, dtype=np.int64))
    if len(rows) and (rows[0] < 0 or rows[-1] >= n):
        raise ValueError(f"nab_score: detections must be rows 0..{n - 1}; given {rows[0]} to {rows[-1]}")
    rows = rows[rows >= skipped]
    best = np.full(len(ends), -np.inf)
    total = 0.0
    for row in rows:
        before = int(np.searchsorted(ends[:, 0], row, side="right")) - 1
        if before >= 0 and row < ends[before, 1]:
            start, stop = ends[before]
            best[before] = max(best[before], _nab_sigmoid(-(stop - row) / (stop - start)) / _nab_sigmoid(-1.0))
        elif before >= 0:
            start, stop = ends[before]
            total += cost_false * _nab_sigmoid((row - (stop - 1)) / max(stop - start - 1, 1))
        else:
            total -= cost_false
    judged = ends[:, 1] > skipped
    total += np.where(np.isneginf(best), -cost_missed, best)[judged].sum()
    null = -cost_missed * judged.sum()
    return float(100 * (total - null) / (len(ends) - null))


def _nab_sigmoid(position: float) -> float:
    return -1.0 if position > 3.0 else 2 / (1 + np.exp(5 * position)) - 1


def _ends(spans: Iterable[Span], name: str) -> NDArray[np.float64]:
    """(k, 2) starts and stops."""
    pairs = [(s.start, s.stop) if isinstance(s, Interval) else tuple(s) for s in spans]
    ends = np.array(pairs, dtype=np.float64).reshape(len(pairs), -1) if pairs else np.empty((0, 2))
    if ends.shape[1] != 2 or not (ends[:, 0] < ends[:, 1]).all():
        raise ValueError(f"{name} must hold intervals or pairs with start < stop (half open); given {pairs}")
    return ends


def _mask(spans: Iterable[Span], n: int) -> NDArray[np.bool_]:
    return to_mask([Interval(int(a), int(b)) for a, b in _ends(spans, "found")], n)


def _union(ends: NDArray) -> NDArray:
    """Sorted disjoint intervals that cover the same points."""
    merged: list[list[float]] = []
    for start, stop in ends[np.argsort(ends[:, 0])]:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def _labels(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    labels = np.asarray(values)
    if labels.ndim != 1 or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"{name} must be one-dimensional and hold only True and False; its shape is {labels.shape}")
    return labels.astype(bool)
