"""Autoregression: each channel predicted from its own past by ridge regression; the smoothed error is the score."""

from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from odkit import kernels
from odkit._sklearn import Interval, check_is_fitted
from odkit.series.base import SeriesDetector
from odkit.series.streams import AutoregressionStream, warmed
from odkit.series.windows import trailing

__all__ = ["Autoregression"]

VARIANCE_FLOOR = 1e-3  # a channel constant in training then gets a moving average as its predictor
ERROR_FLOOR = 1e-8
MEMORY = 3  # spans after which a smoothed error has lost all but .3 % of its weight


class Autoregression(SeriesDetector):
    """How badly a linear prediction from the last `order` steps misses.

    Assumes that normal data follow their own past linearly, with an error of the same size everywhere. It fails on
    slow drifts and on level shifts after their first steps (the prediction adapts), on series whose normal error
    changes with the season, and on channels whose level is far from 0 beside their spread (pressures in Pa, degrees
    Kelvin): channels are divided by their largest value, and the penalty then leaves little but the level. Subtract
    the level first (a sine in which a sensor sticks: VUS-PR .98 about 0, .77 about 10, .02 about 1e4).

    Parameters
    ----------
    order : int, default=50
        Past steps in the prediction, at least 1.
    ridge : float, default=1e-2
        Penalty, relative to the number of equations times the variance of the channel (at least 1e-3).
    span : float or int, default=0.01
        Span of the exponential smoothing of the error: a float in (0, 1) is a share of the scored series' length, an
        int a number of steps; at least 2 either way.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.
    device : str, optional
        Where the kernel runs: None or "cpu", "cuda", "mps".

    Attributes
    ----------
    coef_ : ndarray of shape (n_channels, order + 1)
        Intercept, then the weights of x_{t-order}, ..., x_{t-1}.
    scale_ : ndarray of shape (n_channels,)
        Largest absolute training value (1 where that is 0), by which the channels are divided.
    error_ : ndarray of shape (n_channels,)
        Mean absolute training error, in units of `scale_`.
    span_ : int
        Steps of smoothing in a stream: `span`, or that share of the training series.
    window_ : int
        order + 1.
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** -(exponentially weighted mean of |x_t - prediction|), in units of `scale_`; several channels: the mean
    over channels of that value divided by `error_`. The first `order` steps get `error_`.
    **Cost:** fit O(n order + order^3) per channel without building the regression matrix, score O(n order), memory
    O(n); `stream` O(order) per step and channel.
    **Source:** linear prediction; smoothing and scaling as in Orion's ARIMA pipeline. Scaling by the largest value
    instead of the standard deviation, and the variance floor, are worth .14 F1 on SMAP, where 11 of 53 channels are
    constant in training; the training error for the first steps instead of the scored series' own mean another .08.

    Examples
    --------
    >>> t = np.arange(400)
    >>> train = np.sin(t / 5)
    >>> test = np.sin(t / 5)
    >>> test[300] = 2.0
    >>> detector = Autoregression(order=20, span=2).fit(train)
    >>> int(np.argmin(detector.score_samples(test)))
    300
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "order": [Interval(Integral, 1, None, closed="left")],
        "ridge": [Interval(Real, 0, None, closed="neither")],
        "span": [Interval(Real, 0, 1, closed="neither"), Interval(Integral, 2, None, closed="left")],
        "device": [str, None],
    }

    def __init__(
        self,
        *,
        order: int = 50,
        ridge: float = 1e-2,
        span: float = 0.01,
        contamination: float | Literal["auto"] = "auto",
        device: str | None = None,
    ) -> None:
        self.order = order
        self.ridge = ridge
        self.span = span
        self.contamination = contamination
        self.device = device

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, shape (n_samples, n_channels); the parts add up to it."""
        return self._errors(self._validate(X, reset=False)) / self.n_features_in_

    def stream(self, history: ArrayLike | None = None) -> AutoregressionStream:
        """A stream of live scores, smoothed over `span_` steps; `history` (n, C) warms it up."""
        check_is_fitted(self)
        return warmed(AutoregressionStream(self, ERROR_FLOOR), history, self)

    def _fit(self, X: NDArray) -> None:
        self.window_ = self.order + 1
        self._check_length(X, self.window_, f"order = {self.order}")
        X = X.astype(np.float64)
        largest = np.abs(X).max(axis=0)
        self.scale_ = np.where(largest > 0, largest, 1.0)
        scaled = X / self.scale_
        self.coef_ = np.stack([self._solve(np.ascontiguousarray(channel)) for channel in scaled.T])
        self.error_ = self._residual(scaled).mean(axis=0)
        self.span_ = self._steps(len(X))

    def _solve(self, x: NDArray) -> NDArray:
        k = kernels.on(self.device)
        gram, cross = map(k.numpy, k.autoregression.autoregression_moments(k.array(x), self.order))
        rows = len(x) - self.order
        penalty = self.ridge * rows * max(x[self.order :].var(), VARIANCE_FLOOR)
        return np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)

    def _residual(self, scaled: NDArray) -> NDArray:
        k = kernels.on(self.device)
        return k.numpy(k.autoregression.autoregression_residual(k.array(scaled), k.array(self.coef_)))

    def _score(self, X: NDArray) -> NDArray:
        return -self._errors(X).mean(axis=1)

    def _errors(self, X: NDArray) -> NDArray:
        """Smoothed error per step and channel; relative to the training error where there are several channels."""
        order = self.window_ - 1  # of the fit, whatever `set_params` has done since
        self._check_length(X, self.window_, f"order = {order}")
        residual = self._residual(X / self.scale_)
        residual = np.concatenate([np.tile(self.error_, (order, 1)), residual])
        smooth = smoothed(residual, self._steps(len(X)))
        return smooth / (self.error_ + ERROR_FLOOR) if self.n_features_in_ > 1 else smooth

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        """The predictions that see a marked step, and what follows while the smoothing remembers their error."""
        return trailing(steps, self.window_ + MEMORY * self._steps(len(steps)))

    def _steps(self, n: int) -> int:
        return self.span if isinstance(self.span, Integral) else max(2, int(self.span * n))


def smoothed(residual: NDArray, span: int) -> NDArray:
    """Exponentially weighted mean along time, s_t = sum_k q^k r_{t-k} / sum_k q^k with q = 1 - 2 / (span + 1).

    >>> smoothed(np.array([0.0, 0.0, 4.0, 0.0, 0.0]), span=3).round(6)
    array([0.      , 0.      , 2.285714, 1.066667, 0.516129])
    """
    keep = 1 - 2 / (span + 1)
    total = lfilter([1.0], [1.0, -keep], residual, axis=0)
    weight = (1 - keep ** np.arange(1, len(residual) + 1)) / (1 - keep)
    return total / (weight if residual.ndim == 1 else weight[:, None])
