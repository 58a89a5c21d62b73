"""MovingEnergy: root mean square of the standardised series in a window; PCA on windows with all components is this."""

from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.series.base import SeriesDetector
from odkit.series.streams import EnergyStream, warmed
from odkit.series.windows import causal, centre, estimate_period, holding

__all__ = ["MovingEnergy"]

CLIP = 10.0  # of "auto" with several channels: one channel must not drown the others
SCALE_FLOOR = 1e-8


class MovingEnergy(SeriesDetector):
    """How far a stretch of the series lies from the training mean, in training standard deviations.

    The baseline to beat: PCA on standardised windows with all components ranks windows as this does.

    Assumes that normal data have one level and one spread. It fails on anomalies of shape (a changed pattern at the
    usual level), on trends, and on dips towards the mean; `Discord` and `Autoregression` see those.

    Parameters
    ----------
    window : int or "auto", default=100
        Steps per window, at least 1; "auto": `estimate_period` of the training series.
    placement : {"centre", "causal"}, default="centre"
        Step that gets a window's value: its middle (looks ahead) or its last (for live use and `stream`).
    clip : float, None or "auto", default="auto"
        Largest |z| of a single value; "auto" means none for one channel and 10 for several, so that a channel that
        was constant in training and moves now cannot drown the others.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.
    device : str, optional
        Where the kernel runs: None or "cpu", "cuda", "mps".

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_channels,)
        Training mean and population standard deviation + 1e-8 (times the largest absolute value, where that is < 1).
    window_ : int
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** -sqrt(mean of z^2 over the window's steps and channels), z = (x - mean_) / scale_; no unit, <= 0, about
    -1 on normal data.
    **Cost:** fit and score O(n C), memory O(n C); `stream` O(C) per step.
    **Source:** the reading of TSB-AD's PCA baseline as a norm (measured: Spearman .997 to 1.000 with it).

    Examples
    --------
    >>> train = np.tile([-1.0, 1.0], 50)
    >>> test = np.zeros(12)
    >>> test[5] = 3.0
    >>> -MovingEnergy(window=4).fit(train).score_samples(test)
    array([0. , 0. , 0. , 0. , 1.5, 1.5, 1.5, 1.5, 0. , 0. , 0. , 0. ])
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "window": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "placement": [StrOptions({"centre", "causal"})],
        "clip": [Interval(Real, 0, None, closed="neither"), None, StrOptions({"auto"})],
        "device": [str, None],
    }

    def __init__(
        self,
        *,
        window: int | Literal["auto"] = 100,
        placement: Literal["centre", "causal"] = "centre",
        clip: float | Literal["auto"] | None = "auto",
        contamination: float | Literal["auto"] = "auto",
        device: str | None = None,
    ) -> None:
        self.window = window
        self.placement = placement
        self.clip = clip
        self.contamination = contamination
        self.device = device

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Share of each channel in the anomaly score, shape (n_samples, n_channels); the shares add up to it."""
        squares = self._squares(self._validate(X, reset=False))
        energy = np.sqrt(squares.mean(axis=1, keepdims=True))
        return np.divide(squares / squares.shape[1], energy, out=np.zeros_like(squares), where=energy > 0)

    def stream(self, history: ArrayLike | None = None) -> EnergyStream:
        """A stream of live scores, each that of the window ending at its step; `history` (n, C) warms it up."""
        check_is_fitted(self)
        return warmed(EnergyStream(self, self._cut()), history, self)

    def _fit(self, X: NDArray) -> None:
        self.window_ = estimate_period(X) if self.window == "auto" else int(self.window)
        self._check_length(X, self.window_, f"window = {self.window_}")
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        largest = np.abs(X).max(axis=0).astype(np.float64)
        floor = SCALE_FLOOR * np.where(
            largest > 0, np.minimum(largest, 1.0), 1.0
        )  # a channel in picoamperes counts too
        self.scale_ = X.std(axis=0, dtype=np.float64) + floor

    def _score(self, X: NDArray) -> NDArray:
        return -np.sqrt(self._squares(X).mean(axis=1))

    def _squares(self, X: NDArray) -> NDArray:
        """Mean square of z per step and channel, placed on the time axis."""
        self._check_length(X, self.window_, f"window = {self.window_}")
        k = kernels.on(self.device)
        squares = k.numpy(
            k.energy.moving_energy(k.array(X), k.array(self.mean_), k.array(self.scale_), self.window_, self._cut())
        )
        return self._placed(squares, len(X))

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        return self._placed(holding(steps, self.window_), len(steps))

    def _placed(self, values: NDArray, n: int) -> NDArray:
        return (centre if self.placement == "centre" else causal)(values, n, self.window_)

    def _cut(self) -> float | None:
        if self.clip == "auto":
            return CLIP if self.n_features_in_ > 1 else None
        return self.clip
