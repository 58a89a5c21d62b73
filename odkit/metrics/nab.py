"""The score of the Numenta Anomaly Benchmark: early detections earn more."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.metrics.spans import Span, ends_of

__all__ = ["nab_score"]

PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}  # cost of a false alarm, of a miss
PROBATION = 0.15
PROBATION_ROWS = 750


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
    windows : iterable of Interval or (start, stop), the labelled windows in rows, disjoint
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
    if profile not in PROFILES:
        raise ValueError(f"nab_score: profile={profile!r} is unknown; {', '.join(PROFILES)} exist")
    cost_false, cost_missed = PROFILES[profile]
    ends = ends_of(windows, "windows")
    ends = ends[np.argsort(ends[:, 0])]
    if len(ends) == 0:
        raise ValueError("nab_score: no window; the score of a file without anomalies is not defined")
    if ends[0, 0] < 0 or ends[-1, 1] > n or (ends[1:, 0] < ends[:-1, 1]).any():
        raise ValueError(f"nab_score: windows must be disjoint and lie in rows 0 to {n}; given {ends.tolist()}")
    skipped = min(int(PROBATION * n), PROBATION_ROWS)
    rows = _rows(detections, n)
    rows = rows[rows >= skipped]
    best = np.full(len(ends), -np.inf)
    total = 0.0
    for row in rows:
        before = int(np.searchsorted(ends[:, 0], row, side="right")) - 1
        if before >= 0 and row < ends[before, 1]:
            start, stop = ends[before]
            best[before] = max(best[before], _sigmoid(-(stop - row) / (stop - start)) / _sigmoid(-1.0))
        elif before >= 0:
            start, stop = ends[before]
            total += cost_false * _sigmoid((row - (stop - 1)) / max(stop - start - 1, 1))
        else:
            total -= cost_false
    judged = ends[:, 1] > skipped
    total += np.where(np.isneginf(best), -cost_missed, best)[judged].sum()
    null = -cost_missed * judged.sum()
    return float(100 * (total - null) / (len(ends) - null))


def _rows(detections: ArrayLike, n: int) -> NDArray[np.int64]:
    """Sorted rows with an alarm; a mask or fractions would silently become other rows."""
    given = np.asarray(detections)
    if given.ndim != 1 or (given.size and (given.dtype.kind not in "iuf" or (given != np.floor(given)).any())):
        raise ValueError(
            f"nab_score: detections have dtype {given.dtype} and shape {given.shape}; whole row numbers are needed, "
            "of a mask numpy.flatnonzero(mask)"
        )
    rows = np.unique(given.astype(np.int64))
    if len(rows) and (rows[0] < 0 or rows[-1] >= n):
        raise ValueError(f"nab_score: detections must be rows 0..{n - 1}; given {rows[0]} to {rows[-1]}")
    return rows


def _sigmoid(position: float) -> float:
    return -1.0 if position > 3.0 else 2 / (1 + np.exp(5 * position)) - 1
