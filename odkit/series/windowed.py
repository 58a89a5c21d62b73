"""Windowed: any detector of rows as a detector of series, its rows being the windows."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from odkit._sklearn import HasMethods, Interval, StrOptions
from odkit.series.base import SeriesDetector
from odkit.series.windows import SlidingWindows, unroll

__all__ = ["Windowed"]

CHUNK_CELLS = 1 << 22  # numbers in the table of windows that are scored at once: 32 MiB


def _explains(self: "Windowed") -> bool:
    """Means of parts add up, medians and maxima do not; a pipeline's parts may belong to no channel."""
    return self.how == "mean" and hasattr(self.estimator, "explain") and not isinstance(self.estimator, Pipeline)


class Windowed(SeriesDetector):
    """A detector of rows on the windows of a series, its scores taken back to time steps.

    A window of `window` steps and C channels is one row of window * C numbers, step after step. `Windowed(KNN())` is
    the detector to start with: it ranks steps better than every other single one here that needs no network (VUS-PR
    .619 on the five development groups, docs/series.md).

    Assumes that normal windows fill a region that the row detector can learn. It fails where windows are longer than
    there is training data for (rows have window * C columns), and on detectors that look at columns singly (ECOD):
    every column of a window holds nearly the same values.

    Parameters
    ----------
    estimator : estimator with fit and score_samples
        Any outlier detector of odkit or scikit-learn, or a pipeline that ends in one. Cloned, never changed.
    window : int, default=100
        Steps per window.
    stride : int, default=1
        Steps from one window to the next, at most `window`, in fit and score; a last window always covers the end.
    how : {"mean", "median", "max"}, default="mean"
        A step's anomaly score from those of the windows that cover it.
    max_windows : int, optional
        Largest number of windows to fit on, drawn at random; None: all. With `KNN`, whose scores cost n_windows each,
        2,000 rank as all do.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores. The
        estimator's own contamination has no effect.
    random_state : int, RandomState or None, default=None
        Draws the windows, and seeds the estimator where it takes a `random_state`.

    Attributes
    ----------
    estimator_ : the fitted clone
    window_ : int
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** the estimator's score_samples, averaged over windows; its unit and range.
    **Cost:** that of the estimator on n / stride rows of window * C columns. Windows are views; the table that the
    estimator sees when scoring is built in chunks of 32 MiB, the table for fitting at once (n_windows * window * C
    numbers: bound it by `stride` or `max_windows`).
    **Channels:** `detect` names the most deviating ones where `explain` is there: with how="mean" and an estimator,
    no pipeline, that explains (`KNN`, `ECOD`, `Mahalanobis`, `GMM`); else its `channels` are empty.
    **Source:** none; the usual reduction of a series to rows.

    Examples
    --------
    >>> from odkit import KNN
    >>> t = np.arange(600)
    >>> x = np.sin(t / 4)
    >>> x[300:320] = x[300]
    >>> detector = Windowed(KNN(), window=20).fit(np.sin(t / 4))
    >>> 290 < int(np.argmin(detector.score_samples(x))) < 330
    True
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "estimator": [HasMethods(["fit", "score_samples"])],
        "window": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "how": [StrOptions({"mean", "median", "max"})],
        "max_windows": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        window: int = 100,
        stride: int = 1,
        how: Literal["mean", "median", "max"] = "mean",
        max_windows: int | None = None,
        contamination: float | Literal["auto"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.window = window
        self.stride = stride
        self.how = how
        self.max_windows = max_windows
        self.contamination = contamination
        self.random_state = random_state

    @available_if(_explains)
    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, shape (n_samples, n_channels).

        The estimator's own `explain`, summed over a channel's columns and averaged over windows like the scores: it
        adds up to what the estimator's adds up to. Only with how="mean" and an estimator that explains, no pipeline.
        """
        X = self._validate(X, reset=False)
        shape = -1, self.window_, X.shape[1]
        parts = self._of_windows(X, lambda rows: self.estimator_.explain(rows).reshape(shape).sum(axis=1))
        return np.column_stack([unroll(part, len(X), self.window_, self.stride) for part in parts.T])

    def _fit(self, X: NDArray) -> None:
        if self.stride > self.window:
            raise ValueError(f"Windowed: stride = {self.stride} > window = {self.window} leaves steps in no window")
        self.window_ = self.window
        random = check_random_state(self.random_state)
        windows = self._windows(X)
        if self.max_windows is not None and len(windows) > self.max_windows:
            windows = windows[np.sort(random.choice(len(windows), self.max_windows, replace=False))]
        self.estimator_ = clone(self.estimator)
        if self.random_state is not None and "random_state" in self.estimator_.get_params():
            self.estimator_.set_params(random_state=random.randint(np.iinfo(np.int32).max))
        self.estimator_.fit(windows.reshape(len(windows), -1))

    def _score(self, X: NDArray) -> NDArray:
        anomaly = self._of_windows(X, lambda rows: -self.estimator_.score_samples(rows))
        return -unroll(anomaly, len(X), self.window_, self.stride, self.how)

    def _of_windows(self, X: NDArray, value: Callable[[NDArray], NDArray]) -> NDArray:
        """`value` of the table of windows, some rows at a time."""
        windows = self._windows(X)
        chunk = max(CHUNK_CELLS // (windows.shape[1] * windows.shape[2]), 1)
        parts = (windows[i : i + chunk] for i in range(0, len(windows), chunk))
        return np.concatenate([value(part.reshape(len(part), -1)) for part in parts])

    def _windows(self, X: NDArray) -> NDArray:
        self._check_length(X, self.window_, f"window = {self.window_}")
        return SlidingWindows(window=self.window_, stride=self.stride).fit_transform(X)
