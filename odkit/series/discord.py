"""Discord: distance of every window to the window most like it, the matrix profile."""

from numbers import Integral
from typing import Literal

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import Interval, StrOptions
from odkit.series.base import SeriesDetector
from odkit.series.windows import centre, estimate_period, holding

__all__ = ["Discord"]

SHORTEST = 3  # of two values z-normalisation leaves a sign


class Discord(SeriesDetector):
    """How unlike all other windows a window's shape is, whatever its level and amplitude.

    Assumes that normal shapes repeat. It fails on anomalies that occur twice (they are each other's twins; use
    `reference="train"` with a clean training series), on changes of level or amplitude alone, and on noise without
    shape, where all windows are far from each other.

    Parameters
    ----------
    window : int or "auto", default=100
        Steps per window, at least 3; "auto": `estimate_period` of the training series.
    reference : {"self", "train"}, default="self"
        What windows are compared with: those of the scored series, neighbours within a quarter window left out, or
        those of the training series. The training series itself is always compared with itself.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.
    n_jobs : int, optional
        Threads; None: 1.
    device : str, optional
        Where the kernel runs: None or "cpu", "cuda", "mps".

    Attributes
    ----------
    reference_ : ndarray of shape (n_timesteps, n_channels) or None
        The training series, where it was fitted with reference="train".
    window_ : int
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** -(z-normalised Euclidean distance to the nearest window), between -2 sqrt(window) and 0, at the window's
    middle; several channels: mean over channels of their own profiles.
    **Cost:** score O(n^2 C) time (O(n n_train C) against the training series), O(n C) memory.
    **Source:** matrix profile (Yeh et al., 2016) by a recurrence along diagonals; equals stumpy.stump to 1e-11.

    Examples
    --------
    >>> x = np.sin(2 * np.pi * np.arange(1000) / 50)
    >>> x[500:520] += np.linspace(0, 1, 20)
    >>> detector = Discord(window=50).fit(x)
    >>> int(np.argmin(detector.score_samples(x)))
    540
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "window": [Interval(Integral, SHORTEST, None, closed="left"), StrOptions({"auto"})],
        "reference": [StrOptions({"self", "train"})],
        "n_jobs": [Integral, None],
        "device": [str, None],
    }

    def __init__(
        self,
        *,
        window: int | Literal["auto"] = 100,
        reference: Literal["self", "train"] = "self",
        contamination: float | Literal["auto"] = "auto",
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.window = window
        self.reference = reference
        self.contamination = contamination
        self.n_jobs = n_jobs
        self.device = device

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, shape (n_samples, n_channels); the parts add up to it."""
        return self._profiles(self._validate(X, reset=False), self.reference_) / self.n_features_in_

    def _fit(self, X: NDArray) -> None:
        self.window_ = estimate_period(X) if self.window == "auto" else int(self.window)
        self._check_length(X, self.window_, f"window = {self.window_}")
        self.reference_ = np.array(X, dtype=np.float64) if self.reference == "train" else None

    def _fit_score(self, X: NDArray) -> NDArray:
        self._fit(X)
        return -self._profiles(X, None).mean(axis=1)

    def _score(self, X: NDArray) -> NDArray:
        return -self._profiles(X, self.reference_).mean(axis=1)

    def _profiles(self, X: NDArray, reference: NDArray | None) -> NDArray:
        self._check_length(X, self.window_, f"window = {self.window_}")
        k, jobs = kernels.on(self.device), effective_n_jobs(self.n_jobs)
        out = np.empty(X.shape)
        for c in range(X.shape[1]):
            x = np.array(X[:, c], dtype=np.float64)
            other = None if reference is None else k.array(np.array(reference[:, c]))
            profile = k.numpy(k.matrix_profile.matrix_profile(k.array(x), self.window_, other, jobs))
            out[:, c] = centre(profile, len(x), self.window_)
        return out

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        return centre(holding(steps, self.window_), len(steps), self.window_)
