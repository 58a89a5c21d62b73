"""The clock of a series: even time stamps, or an error; making them even and filling gaps, on request only."""

import sys
import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["clock_of", "fill_missing", "labels_of", "like", "resample", "step_of"]

Fill = Literal["linear", "previous", "mean"]


def clock_of(X: Any) -> Any:
    """The DatetimeIndex of a pandas frame or series, None for everything else."""
    pandas = sys.modules.get("pandas")  # whoever hands in a frame has loaded it
    index = labels_of(X)
    return index if pandas is not None and isinstance(index, pandas.DatetimeIndex) else None


def labels_of(X: Any) -> Any:
    """The index of a pandas frame or series, None for everything else."""
    return X.index if hasattr(X, "iloc") else None


def step_of(index: Any, who: str) -> float | None:
    """Seconds from one stamp to the next; None for calendar steps of changing length (months, business days).

    Raises
    ------
    ValueError
        Where stamps are missing, unsorted, repeated or unevenly spaced; the first such place is named.
    """
    if index.hasnans:
        raise ValueError(f"{who}: the time stamps contain NaT at row {int(np.argmax(index.isna()))}; drop these rows")
    if len(index) < 2:
        return None
    stamps = index.as_unit("ns").asi8
    gaps = np.diff(stamps)
    back = np.flatnonzero(gaps <= 0)
    if len(back):
        i = int(back[0]) + 1
        raise ValueError(
            f"{who}: time stamps must increase; row {i} has {index[i]} after {index[i - 1]}. Sort the frame "
            "(X.sort_index()), drop repeated stamps, or use odkit.series.resample(X, every=...)"
        )
    if (gaps == gaps[0]).all():
        return float(gaps[0] / 1e9)
    if index.freq is not None or _follows_a_calendar(index):
        return None
    usual = int(np.median(gaps))
    i = int(np.flatnonzero(gaps != usual)[0]) + 1
    pandas = sys.modules["pandas"]
    raise ValueError(
        f"{who}: time stamps must be evenly spaced; most are {pandas.Timedelta(usual)} apart, but row {i} ({index[i]}) "
        f"comes {pandas.Timedelta(int(gaps[i - 1]))} after row {i - 1}. Use odkit.series.resample(X, every=...) to put "
        "the series on an even clock, or pass X.to_numpy() to count rows as steps"
    )


def _follows_a_calendar(index: Any) -> bool:
    with warnings.catch_warnings():  # pandas 3 announces that the type of the answer will change
        warnings.simplefilter("ignore")
        return len(index) >= 3 and index.inferred_freq is not None


def resample(X: Any, every: str, *, how: str = "mean", fill: Fill = "linear") -> tuple[Any, NDArray[np.bool_]]:
    """A frame on an even clock: rows of each bin aggregated, empty bins filled and reported.

    Parameters
    ----------
    X : pandas DataFrame or Series with a DatetimeIndex, in any order
    every : str
        Bin length, a fixed pandas offset ("10min", "1h"); bins count from the first stamp.
    how : str, default="mean"
        Aggregation of the rows of a bin, as pandas knows it ("mean", "median", "max", "sum", "last").
    fill : {"linear", "previous", "mean"}
        Values of empty bins, as in `fill_missing`.

    Returns
    -------
    frame : pandas DataFrame or Series, index = first stamp of each bin
    missing : ndarray of shape (n_bins,), bool
        True where a bin was empty in some channel. `detect(X, missing=missing)` keeps such steps out of intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> stamps = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 00:04", "2024-01-01 00:20"])
    >>> frame, missing = resample(pd.DataFrame({"load": [1.0, 3.0, 6.0]}, index=stamps), every="10min")
    >>> frame["load"].tolist(), missing.tolist()
    ([2.0, 4.0, 6.0], [False, True, False])
    """
    index = clock_of(X)
    if index is None:
        raise TypeError(f"resample: X must be a pandas frame or series with a DatetimeIndex, given {type(X).__name__}")
    if len(index) == 0 or index.hasnans:
        raise ValueError("resample: X has no rows, or NaT among its time stamps; drop those rows")
    binned = X.sort_index().resample(every, origin="start").agg(how)
    values, missing = fill_missing(binned, fill=fill)
    return like(binned, values), missing


def like(X: Any, values: NDArray) -> Any:
    """A pandas frame or series with X's index and names and other values (n_samples, n_channels)."""
    if X.ndim == 1:
        return type(X)(values[:, 0], index=X.index, name=X.name)
    return type(X)(values, index=X.index, columns=X.columns)


def fill_missing(
    X: ArrayLike, missing: ArrayLike | None = None, *, fill: Fill = "linear"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """NaN replaced channel by channel, and the mask of the steps where a channel was replaced.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels) or (n_samples,)
    missing : array-like of shape (n_samples,), bool, optional
        Steps whose values do not count, in addition to NaN.
    fill : {"linear", "previous", "mean"}
        Straight line between the neighbours in time (ends: nearest value), the last value before (front: the first
        value), or the mean of the channel.

    Returns
    -------
    filled : ndarray of shape (n_samples, n_channels)
    missing : ndarray of shape (n_samples,), bool

    Examples
    --------
    >>> filled, missing = fill_missing([1.0, np.nan, 5.0])
    >>> filled[:, 0], missing
    (array([1., 3., 5.]), array([False,  True, False]))
    """
    filled = np.array(X, dtype=np.float64)
    filled = filled.reshape(len(filled), -1)
    holes = np.isnan(filled)
    if missing is not None:
        mask = np.asarray(missing)
        if mask.dtype != bool or mask.shape != (len(filled),):
            raise ValueError(
                f"fill_missing: missing has dtype {mask.dtype} and shape {mask.shape}; "
                f"a bool array of shape ({len(filled)},) is needed"
            )
        holes |= mask[:, None]
    if fill not in ("linear", "previous", "mean"):
        raise ValueError(f"fill_missing: fill={fill!r} is unknown; 'linear', 'previous' and 'mean' exist")
    steps = np.arange(len(filled))
    for c in np.flatnonzero(holes.any(axis=0)):
        known = steps[~holes[:, c]]
        if len(known) == 0:
            raise ValueError(f"fill_missing: channel {c} has no measured value; drop this channel")
        gaps = steps[holes[:, c]]
        if fill == "linear":
            filled[gaps, c] = np.interp(gaps, known, filled[known, c])
        elif fill == "previous":
            filled[gaps, c] = filled[known[np.maximum(np.searchsorted(known, gaps) - 1, 0)], c]
        else:
            filled[gaps, c] = filled[known, c].mean()
    return filled, np.asarray(holes.any(axis=1))
