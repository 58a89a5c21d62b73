"""Windows of a series and the way back: views on the data, values of windows as values of time steps, the period."""

from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array

from odkit import kernels
from odkit._sklearn import Interval, check_is_fitted, fit_context

__all__ = ["SlidingWindows", "causal", "centre", "estimate_period", "holding", "trailing", "unroll", "window_starts"]

NO_PERIOD = 125  # what estimate_period answers where the autocorrelation has no peak
PERIOD_STEPS = 20_000
SHORTEST_LAG, LONGEST_LAG = 4, 399


def window_starts(n: int, window: int, stride: int = 1, cover_tail: bool = True) -> NDArray[np.intp]:
    """First steps of the windows: 0, s, 2s, ... <= n - window, and n - window where the stride leaves a tail.

    >>> window_starts(10, window=4, stride=4)
    array([0, 4, 6])
    """
    if min(window, stride) < 1 or any(not isinstance(value, Integral) for value in (n, window, stride)):
        raise ValueError(
            f"window_starts: n={n}, window={window}, stride={stride}; whole numbers, window and stride at least 1, are "
            "needed"
        )
    if window > n:
        raise ValueError(
            f"window_starts: a window of {window} steps does not fit into a series of n_samples = {n} steps; "
            f"give at least {window} steps or a shorter window"
        )
    starts = np.arange(0, n - window + 1, stride)
    return np.append(starts, n - window) if cover_tail and starts[-1] < n - window else starts


def unroll(
    values: ArrayLike, n: int, window: int, stride: int = 1, how: Literal["mean", "median", "max"] = "mean"
) -> NDArray[np.float64]:
    """Values of windows as values of time steps: at t the mean, median or maximum over the windows that cover t.

    Parameters
    ----------
    values : array-like of shape (n_windows,) or (n_windows, window)
        One value per window, or one per step of each window.
    n : int
        Number of time steps. The first and last `window - 1` are covered by fewer windows; none is dropped.
    window, stride : int
        As the windows were cut, with `cover_tail=True`.
    how : {"mean", "median", "max"}

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> unroll([1, 2, 4, 8], n=6, window=3).round(2)
    array([1.  , 1.5 , 2.33, 4.67, 6.  , 8.  ])
    >>> unroll([1, 2, 4, 8], n=6, window=3, how="max")
    array([1., 2., 4., 8., 8., 8.])
    """
    values = np.asarray(values, dtype=np.float64)
    if how not in ("mean", "median", "max"):
        raise ValueError(f"unroll: how={how!r} is unknown; 'mean', 'median' and 'max' exist")
    if stride > window:
        raise ValueError(f"unroll: stride {stride} > window {window} leaves steps that no window covers")
    starts = window_starts(n, window, stride)
    if values.shape not in ((len(starts),), (len(starts), window)):
        raise ValueError(
            f"unroll: values have shape {values.shape}; {n} steps in windows of {window} with stride {stride} need "
            f"({len(starts)},) or ({len(starts)}, {window})"
        )
    return kernels.on().windows.unroll(values, starts, n, window, how)


def holding(steps: NDArray, window: int) -> NDArray[np.bool_]:
    """Which windows, one at every step, hold a marked step, (n - window + 1,).

    >>> holding(np.array([False, False, True, False, False]), window=2)
    array([False,  True,  True, False])
    """
    count = np.concatenate([[0], np.cumsum(steps)])
    return np.asarray(count[window:] > count[:-window])


def trailing(steps: NDArray, window: int) -> NDArray[np.bool_]:
    """At which steps one of the last `window` ones, the step itself among them, is marked, (n,).

    >>> trailing(np.array([True, False, False, False]), window=3)
    array([ True,  True,  True, False])
    """
    return holding(np.concatenate([np.zeros(window - 1, dtype=bool), steps]), window)


def centre(values: NDArray, n: int, window: int) -> NDArray:
    """The value of window i at its middle step i + window // 2; first and last value repeated to the ends.

    >>> centre(np.array([1.0, 2.0, 3.0]), n=6, window=4)
    array([1., 1., 1., 2., 3., 3.])
    """
    return _placed(values, n, window // 2)


def causal(values: NDArray, n: int, window: int) -> NDArray:
    """The value of window i at its last step i + window - 1; the first value repeated to the front.

    >>> causal(np.array([1.0, 2.0, 3.0]), n=6, window=4)
    array([1., 1., 1., 1., 2., 3.])
    """
    return _placed(values, n, window - 1)


def _placed(values: NDArray, n: int, first: int) -> NDArray:
    """values from step `first` on; the first value before them, the last one after."""
    last = n - first - len(values)
    return np.concatenate([np.repeat(values[:1], first, axis=0), values, np.repeat(values[-1:], last, axis=0)])


def estimate_period(X: ArrayLike) -> int:
    """Length of the season in steps: the highest local maximum of the autocorrelation at lags 4 to 399.

    Several channels add their autocorrelations. The first 20,000 steps are used. A series without such a maximum
    (constant, or no season below 400 steps) gives 125: a default, not an estimate.

    >>> estimate_period(np.sin(2 * np.pi * np.arange(1000) / 25))
    25
    >>> estimate_period(np.ones(1000))
    125
    """
    x = np.asarray(X, dtype=np.float64)
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError(
            f"estimate_period: X has shape {x.shape} and {int((~np.isfinite(x)).sum())} values that are NaN or "
            "infinite; a series of finite numbers is needed (odkit.series.fill_missing fills gaps)"
        )
    x = x.reshape(len(x), -1)[:PERIOD_STEPS]
    x = x[:, np.ptp(x, axis=0) > 0] if len(x) >= SHORTEST_LAG + 3 else x[:, :0]
    if x.size == 0:
        return NO_PERIOD
    x = x - x.mean(axis=0)
    size = 1 << (2 * len(x) - 1).bit_length()  # padded: the correlation must not wrap around
    spectrum = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    correlation = np.fft.irfft(spectrum, size, axis=0)[: min(LONGEST_LAG + 2, len(x))]
    total = (correlation / correlation[0]).sum(axis=1)
    inner = total[1:-1]
    peaks = 1 + np.flatnonzero((inner > total[:-2]) & (inner > total[2:]))
    peaks = peaks[peaks >= SHORTEST_LAG]
    return int(peaks[np.argmax(total[peaks])]) if len(peaks) else NO_PERIOD


class SlidingWindows(TransformerMixin, BaseEstimator):
    """Windows of a series as one array (n_windows, window, n_channels), without copying where the stride allows.

    Parameters
    ----------
    window : int, default=100
        Length in time steps, 1 to n_samples.
    stride : int, default=1
        Steps from one window to the next.
    cover_tail : bool, default=True
        Add a last window at n_samples - window where the stride does not reach it.

    Attributes
    ----------
    window_starts_ : ndarray of shape (n_windows,)
        First steps of the windows of the series given to `fit`.
    n_features_in_ : int
        Channels.

    Notes
    -----
    **Score:** none; `unroll` takes scores of windows back to time steps.
    **Cost:** O(1) for a read-only view, O(n_windows * window) for a copy where a tail window breaks the stride.
    **Source:** numpy's sliding window view, the window axis moved before the channels.

    Examples
    --------
    >>> SlidingWindows(window=3, stride=2).fit_transform([[0.0], [1], [2], [3], [4], [5]])[:, :, 0]
    array([[0., 1., 2.],
           [2., 3., 4.],
           [3., 4., 5.]])
    """

    _parameter_constraints: dict = {
        "window": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "cover_tail": ["boolean"],
    }

    def __init__(self, window: int = 100, *, stride: int = 1, cover_tail: bool = True) -> None:
        self.window = window
        self.stride = stride
        self.cover_tail = cover_tail

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check that the windows fit into X (n_samples, n_channels); nothing is learned."""
        X = self._series(X)
        self.window_starts_ = window_starts(len(X), self.window, self.stride, self.cover_tail)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Windows of X, shape (n_windows, window, n_channels)."""
        check_is_fitted(self)
        X = self._series(X)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"SlidingWindows: X has {X.shape[1]} channels; it was fitted with {self.n_features_in_}. "
                "Give the same channels."
            )
        starts = window_starts(len(X), self.window, self.stride, self.cover_tail)
        views = np.moveaxis(sliding_window_view(X, self.window, axis=0), -1, 1)
        regular = starts[-1] == (len(starts) - 1) * self.stride
        return views[:: self.stride] if regular else views[starts]

    def _series(self, X: ArrayLike) -> NDArray:
        X = X if np.ndim(X) != 1 else np.reshape(np.asarray(X), (-1, 1))
        return check_array(X, dtype=[np.float64, np.float32], input_name="X", estimator=self)
