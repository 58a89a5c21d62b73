"""PolynomialResidual: each block against a polynomial fitted to what surrounds it."""

from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import Interval, StrOptions
from odkit.series.base import SeriesDetector
from odkit.series.windows import estimate_period

__all__ = ["PolynomialResidual"]


class PolynomialResidual(SeriesDetector):
    """How far a block of steps lies from the smooth curve through its surroundings.

    Assumes that normal data vary slowly over ten windows, or have noise of one size. It fails where a season shorter
    than the neighbourhood makes every block miss the curve, on anomalies longer than a window (the curve follows
    them), and on a quiet stretch in noise. Scores are constant within a block: ends of intervals fall on its borders.

    Parameters
    ----------
    window : int or "auto", default=100
        Steps per block, at least 1; "auto": `estimate_period` of the training series.
    degree : int, default=4
        Degree of the polynomial, at least 0.
    neighbourhood : int, default=10
        Length of the surroundings in windows, the block included, at least 2; ends of the series use one side.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.
    device : str, optional
        Where the kernel runs: None or "cpu", "cuda", "mps".

    Attributes
    ----------
    min_, range_ : ndarray of shape (n_channels,)
        Training minimum and range (1 where the channel is constant), to which channels are scaled.
    window_ : int
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** -(root mean square residual of the block, and over channels), in units of the training range; <= 0.
    **Cost:** fit and score O(n neighbourhood degree C), all interior blocks in one matrix product; memory O(n C).
    **Source:** TSB-AD's POLY. Deviations: the fit is evaluated at the exact steps, and all blocks are scored, the
    first 500 steps included.

    Examples
    --------
    >>> t = np.linspace(-1, 1, 1000)
    >>> detector = PolynomialResidual(window=100).fit(t**3)
    >>> bumped = t**3
    >>> bumped[550] += np.ptp(t**3)
    >>> (-detector.score_samples(bumped)[[350, 450, 550]]).round(4)
    array([0.0023, 0.0044, 0.1   ])
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "window": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "degree": [Interval(Integral, 0, None, closed="left")],
        "neighbourhood": [Interval(Integral, 2, None, closed="left")],
        "device": [str, None],
    }

    def __init__(
        self,
        *,
        window: int | Literal["auto"] = 100,
        degree: int = 4,
        neighbourhood: int = 10,
        contamination: float | Literal["auto"] = "auto",
        device: str | None = None,
    ) -> None:
        self.window = window
        self.degree = degree
        self.neighbourhood = neighbourhood
        self.contamination = contamination
        self.device = device

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, shape (n_samples, n_channels); the parts add up to it."""
        squares = self._residual(self._validate(X, reset=False)) ** 2 / self.n_features_in_
        total = np.sqrt(squares.sum(axis=1, keepdims=True))
        return np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)

    def _fit(self, X: NDArray) -> None:
        self.window_ = estimate_period(X) if self.window == "auto" else int(self.window)
        self._check_length(X, self.window_, f"window = {self.window_}")
        self.min_ = X.min(axis=0).astype(np.float64)
        spread = X.max(axis=0) - self.min_
        self.range_ = np.where(spread > 0, spread, 1.0)

    def _score(self, X: NDArray) -> NDArray:
        return -np.sqrt((self._residual(X) ** 2).mean(axis=1))

    def _residual(self, X: NDArray) -> NDArray:
        self._check_length(X, self.window_, f"window = {self.window_}")
        k = kernels.on(self.device)
        scaled = k.array((X - self.min_) / self.range_)
        return k.numpy(k.polynomial.polynomial_residual(scaled, self.window_, self.degree, self.neighbourhood))
