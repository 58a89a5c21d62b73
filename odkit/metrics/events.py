"""Events found, missed and made up; detections are compared with the same ones at random places.

Overlap counts are blind to the length of a detection: scores drawn at random reach an F1 of .6 to 1.0 under a lax
threshold. Print `alarmed_fraction` and `shift_null` beside every `pooled_f1`. Point adjustment is not provided.
Intervals are half open: (start, stop) holds start, ..., stop - 1, in steps or seconds.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.metrics.spans import Span, ends_of, mask_of
from odkit.series.intervals import from_mask

__all__ = ["Confusion", "alarmed_fraction", "delay", "overlap_confusion", "pooled_f1", "shift_null"]


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
    a, b = ends_of(true, "true"), ends_of(found, "found")
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
    if n < 1:
        raise ValueError(f"alarmed_fraction: n={n}; a series of at least one step is needed")
    return float(mask_of(found, n).mean())


def shift_null(
    true: Iterable[Span], found: Iterable[Span], n: int, *, repeats: int = 20, random_state: int | None = 0
) -> NDArray[np.int64]:
    """Counts of the same detections at random places: what overlap gives by chance at these lengths.

    The mask of the detections is rolled around the series by uniform offsets. Sum the counts over the series of a
    group, repeat by repeat, and compare the pooled F1 of the detector with the mean of theirs. `true` and `found` are
    steps of 0..n.

    Returns
    -------
    ndarray of shape (repeats, 3), columns tp, fp, fn

    Examples
    --------
    >>> counts = shift_null([(10, 20)], [(12, 14)], n=1000, repeats=500)
    >>> pooled_f1([(1, 0, 0)]), pooled_f1(counts)
    (1.0, 0.01)
    """
    true = list(true)
    ends = ends_of(true, "true")
    if n < 1 or (len(ends) and (ends.min() < 0 or ends.max() > n)):
        raise ValueError(f"shift_null: n={n} and true intervals {ends.tolist()}; they must lie in steps 0 to n")
    rng = np.random.default_rng(random_state)
    mask = mask_of(found, n)
    return np.array(
        [overlap_confusion(true, from_mask(np.roll(mask, rng.integers(n)))) for _ in range(repeats)], dtype=np.int64
    ).reshape(repeats, 3)


def delay(true: Iterable[Span], found: Iterable[Span]) -> NDArray[np.float64]:
    """Steps from the start of each true interval to the first alarm inside it; nan where there is none.

    >>> delay([(10, 20), (40, 50)], [(5, 12), (60, 70)])
    array([ 0., nan])
    """
    a, b = ends_of(true, "true"), ends_of(found, "found")
    late = np.where((a[:, :1] < b[:, 1]) & (b[:, 0] < a[:, 1:]), np.maximum(b[:, 0] - a[:, :1], 0.0), np.inf)
    first = late.min(axis=1, initial=np.inf)
    return np.where(np.isinf(first), np.nan, first)
