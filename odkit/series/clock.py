"""The clock of a series: even time stamps, or an error; making them even and filling gaps, on request only."""

import re
import sys
import warnings
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["clock_of", "fill_missing", "follows", "labels_of", "like", "resample", "step_of"]

Fill = Literal["linear", "previous", "mean"]
TEXT_OF_A_STAMP = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")


def clock_of(X: Any, who: str) -> Any:
    """The time stamps of a pandas frame or series: instants, durations, starts of periods. None without stamps.

    Raises
    ------
    TypeError
        Where the labels are time stamps in disguise (text, or dates as objects), whose order nobody would check.
    """
    index = labels_of(X)
    if index is None or len(index) == 0:
        return None
    pandas = sys.modules["pandas"]  # whoever hands in a frame has loaded it
    if isinstance(index, pandas.PeriodIndex):
        return index.to_timestamp()
    if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
        return index
    if isinstance(index[0], date) or (isinstance(index[0], str) and TEXT_OF_A_STAMP.match(index[0])):
        raise TypeError(
            f"{who}: the row labels are time stamps of type {type(index[0]).__name__} ({index[0]!s}), whose order and "
            "distance are not checked; convert them (X.index = pandas.to_datetime(X.index)), or pass X.to_numpy() to "
            "count rows as steps"
        )
    return None


def labels_of(X: Any) -> Any:
    """The index of a pandas frame or series, None for everything else."""
    return X.index if hasattr(X, "iloc") else None


def step_of(index: Any, who: str) -> float | str | None:
    """Seconds from one stamp to the next, or the name of a calendar step (months, business days: "MS", "B").

    None for a single stamp, and for a calendar of the user's own, which has no name.

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
    calendar = _calendar(index)
    if calendar is not None or index.freq is not None:
        return calendar
    usual = int(np.median(gaps))
    i = int(np.flatnonzero(gaps != usual)[0]) + 1
    pandas = sys.modules["pandas"]
    raise ValueError(
        f"{who}: time stamps must be evenly spaced; most are {pandas.Timedelta(usual)} apart, but row {i} ({index[i]}) "
        f"comes {pandas.Timedelta(int(gaps[i - 1]))} after row {i - 1}. Use odkit.series.resample(X, every=...) to put "
        "the series on an even clock, or pass X.to_numpy() to count rows as steps"
    )


def _calendar(index: Any) -> str | None:
    with warnings.catch_warnings():  # pandas 3 announces that the type of the answer will change
        warnings.simplefilter("ignore")
        return None if len(index) < 3 or index.inferred_freq is None else str(index.inferred_freq)


def follows(index: Any, step: float | str) -> bool:
    """Whether the stamps of `index`, even in themselves, are `step` apart; a single stamp is."""
    if len(index) < 2:
        return True
    if isinstance(step, str):  # of July and August alone nobody can tell months from steps of 31 days
        pandas = sys.modules["pandas"]
        return isinstance(index, pandas.DatetimeIndex) and index.equals(
            pandas.date_range(index[0], periods=len(index), freq=step, unit=index.unit)
        )
    if getattr(index, "tz", None) is not None and step % 86400 == 0:
        index = index.tz_localize(None)  # a day is a day where the clocks change
    return bool((np.diff(index.as_unit("ns").asi8) / 1e9 == step).all())


def resample(X: Any, every: str, *, how: str = "mean", fill: Fill = "linear") -> tuple[Any, NDArray[np.bool_]]:
    """A frame on an even clock: rows of each bin aggregated, empty bins filled and reported.

    Parameters
    ----------
    X : pandas DataFrame or Series with a DatetimeIndex, in any order
    every : str
        Bin length, a fixed pandas offset ("10min", "1h"); bins count from the first stamp.
    how : str, default="mean"
        Aggregation of the rows of a bin, as pandas knows it ("mean", "median", "max", "sum", "last"). Bins without a
        measured value are missing, whatever the aggregation makes of nothing.
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
    index = labels_of(X)
    if index is None or not isinstance(index, sys.modules["pandas"].DatetimeIndex):
        raise TypeError(
            f"resample: X must be a pandas frame or series with a DatetimeIndex, given {type(X).__name__}"
            + ("" if index is None else f" with a {type(index).__name__}; put time stamps there")
        )
    if len(index) == 0 or index.hasnans:
        raise ValueError("resample: X has no rows, or NaT among its time stamps; drop those rows")
    bins = X.sort_index().resample(every, origin="start")
    binned = bins.agg(how).where(bins.count() > 0)  # a sum or count of nothing is 0, which nobody measured
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
        NaN and the masked cells of a numpy.ma array are holes.
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
    filled = np.ma.filled(np.ma.array(X, dtype=np.float64), np.nan) if np.ma.isMaskedArray(X) else X
    filled = np.array(filled, dtype=np.float64)
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
