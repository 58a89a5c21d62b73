"""Row detectors on series: every window is a row, a step's score is the mean over the windows that cover it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from odkit.bench.contestants import adapted
from odkit.series.base import SeriesDetector
from odkit.series.windows import SlidingWindows, unroll

__all__ = ["Windowed"]


class Windowed(SeriesDetector):
    """A row detector of any library on the windows of a series, as the benchmark lets it compete with series detectors.

    Parameters
    ----------
    detector : row detector, odkit's, scikit-learn's or one that an adapter knows
    window : int, default=100
        Steps of a window; the channels of a step stand side by side in its row.
    contamination : "auto" or float
        As in the series detectors.

    Notes
    -----
    **Score:** the mean of the detector's scores of the windows that cover a step.
    **Cost:** the detector's on n - window + 1 rows of window x channels columns.
    **Source:** the usual way; the mean is the benchmark's choice, the same for all.

    Examples
    --------
    >>> from odkit import KNN
    >>> series = np.sin(np.arange(300) / 4)
    >>> series[200:210] = 0
    >>> int(Windowed(KNN(), window=20).fit(series).score_samples(series).argmin()) in range(195, 215)
    True
    """

    def __init__(self, detector: Any, *, window: int = 100, contamination: float | str = "auto") -> None:
        self.detector = detector
        self.window = window
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        self.detector_ = adapted(clone(self.detector)).fit(self._rows(X))
        known = getattr(self.detector_, "training_scores_", None)
        if known is not None:
            self.training_scores_ = unroll(known, len(X), self.window)

    def _score(self, X: NDArray) -> NDArray:
        rows = self.detector_.score_samples(self._rows(X))
        return unroll(np.asarray(rows, dtype=np.float64), len(X), self.window)

    def _fit_score(self, X: NDArray) -> NDArray:
        self._fit(X)
        return self.training_scores_ if hasattr(self, "training_scores_") else self._score(X)

    def _rows(self, X: NDArray) -> NDArray:
        windows = SlidingWindows(self.window).fit(X).transform(X)
        return np.ascontiguousarray(windows.reshape(len(windows), -1))
