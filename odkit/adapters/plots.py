"""Pictures of series with matplotlib: values, anomaly score, threshold, found and true intervals.

Figures are made without pyplot: no window opens and no global state changes. `figure.savefig("x.png")` writes one.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from odkit.series.intervals import Interval, from_timestamps

__all__ = ["plot_series"]

MOST_CHANNELS = 8
VALUE, SCORE, CUT, FOUND, TRUE = "#1f4e79", "#333333", "#b2182b", "#ef8a62", "#67a9cf"  # told apart without red-green


def plot_series(
    X: ArrayLike,
    anomaly_score: ArrayLike,
    *,
    found: Any = (),
    true: Any = (),
    threshold: ArrayLike | None = None,
    title: str | None = None,
) -> Figure:
    """One panel per channel and one for the score; found intervals shaded above the axis, true ones below.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels) or (n_samples,)
        At most 8 channels. The index of a pandas frame or series is the horizontal axis.
    anomaly_score : array-like of shape (n_samples,)
        Higher = more anomalous.
    found, true : iterables of Interval, or the frame that `detect` gives for a frame X
        Intervals are steps, half open; a step is drawn to where the next one begins.
    threshold : float or array-like of shape (n_windows, 3), optional
        A line across, or rows (first step, step after the last, cut) as `DynamicThreshold.thresholds` gives them.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> x = np.sin(np.arange(100) / 5)
    >>> figure = plot_series(x, np.abs(x), threshold=0.9, found=[Interval(30, 40)])
    >>> [axis.get_ylabel() for axis in figure.axes]
    ['0', 'anomaly score']
    """
    values = np.asarray(X, dtype=np.float64)
    values = values.reshape(len(values), -1)
    score = np.asarray(anomaly_score, dtype=np.float64)
    n, width = values.shape
    if score.shape != (n,):
        raise ValueError(
            f"plot_series: {n} time steps and anomaly scores of shape {score.shape}; give one score a step"
        )
    if width > MOST_CHANNELS:
        raise ValueError(
            f"plot_series: {width} channels; at most {MOST_CHANNELS} are readable. Hand in the columns to look at, "
            "for instance the `channels` of an interval"
        )
    clock, names = _axis(X, n, width)
    figure = Figure(figsize=(11, 1.4 + 1.5 * (width + 1)), layout="constrained")
    axes = figure.subplots(width + 1, 1, sharex=True, squeeze=False)[:, 0]
    for axis, column, name in zip(axes, values.T, names, strict=False):
        axis.plot(clock, column, color=VALUE, linewidth=0.8)
        axis.set_ylabel(name)
    axes[-1].plot(clock, score, color=SCORE, linewidth=0.8)
    axes[-1].set_ylabel("anomaly score")
    legend = []
    if threshold is not None:
        _draw_threshold(axes[-1], clock, threshold)
        legend.append(Patch(color=CUT, label="threshold"))
    borders = np.append(clock, clock[-1:] + (clock[-1] - clock[-2] if n > 1 else 0))
    for given, color, label, height in ((found, FOUND, "found", (0.5, 1.0)), (true, TRUE, "true", (0.0, 0.5))):
        spans = _steps(given, X, n, label)
        for each in spans:
            for axis in axes:
                axis.axvspan(borders[each.start], borders[each.stop], *height, color=color, alpha=0.45, linewidth=0)
        if spans:
            legend.append(Patch(color=color, alpha=0.45, label=f"{label} ({len(spans)})"))
    if legend:
        figure.legend(handles=legend, loc="outside lower right", ncols=len(legend), frameon=False)
    if title is not None:
        figure.suptitle(title)
    axes[-1].margins(x=0)
    return figure


def _steps(spans: Any, X: Any, n: int, name: str) -> list[Interval]:
    """Intervals inside the series; a frame of intervals has labels of X's index."""
    if hasattr(spans, "columns"):
        if not hasattr(X, "iloc"):
            raise ValueError(f"plot_series: {name} is a frame with labels; hand in the frame X that has them, too")
        spans = from_timestamps(spans[["start", "end"]].itertuples(index=False), X.index)
    spans = list(spans)
    for each in spans:
        if not isinstance(each, Interval):
            raise TypeError(
                f"plot_series: {name} holds {each!r}; Interval(start, stop), or the frame of detect, needed"
            )
        if each.start < 0 or each.stop > n:
            raise ValueError(f"plot_series: {name} has steps {each.start} to {each.stop} of {n}; they must lie inside")
    return spans


def _axis(X: Any, n: int, width: int) -> tuple[Any, list[str]]:
    """Horizontal positions and names of channels."""
    index = X.index if hasattr(X, "iloc") else np.arange(n)
    clock = np.asarray(index.to_timestamp() if hasattr(index, "to_timestamp") else index)
    if clock.dtype.kind not in "iufM":  # durations, text: matplotlib has no axis for them, or one without distances
        clock = np.arange(n)
    if hasattr(X, "columns"):
        return clock, [str(name) for name in X.columns]
    name = getattr(X, "name", None)
    return clock, [str(c) for c in range(width)] if name is None else [str(name)]


def _draw_threshold(axis: Any, clock: Any, threshold: ArrayLike) -> None:
    cut = np.asarray(threshold, dtype=np.float64)
    if cut.ndim == 0:
        axis.axhline(float(cut), color=CUT, linewidth=1)
        return
    if cut.ndim != 2 or cut.shape[1] != 3:
        raise ValueError(
            f"plot_series: threshold has shape {cut.shape}; a number or rows (start, stop, cut) are needed"
        )
    for start, stop, level in cut:
        axis.hlines(level, clock[int(start)], clock[int(stop) - 1], color=CUT, linewidth=0.8, alpha=0.6)
