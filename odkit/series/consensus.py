"""SeriesConsensus: several series detectors as one, each measured in units of its own usual score."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from odkit._sklearn import Interval, StrOptions
from odkit.series.autoregression import Autoregression
from odkit.series.base import SeriesDetector
from odkit.series.discord import Discord
from odkit.series.energy import MovingEnergy
from odkit.series.polynomial import PolynomialResidual

__all__ = ["SeriesConsensus"]

USUAL_FLOOR = 1e-8


def _explains(self: "SeriesConsensus") -> bool:
    return self.how == "mean" and all(hasattr(each, "explain") for each in self._members())


class SeriesConsensus(SeriesDetector):
    """The mean of several detectors' scores, each divided by its mean on the training series.

    Level, prediction, curve and shape fail on different anomalies; on the five development groups their mean leads
    every member in VUS-PR (.572 against .500 for the best), the mean of their *ranks* does not (.420): ranks flatten
    the few steps on which one member is very sure. It has the best alarms of all detectors under a fixed threshold.
    To start with, take `Windowed(KNN())`, which ranks better (.619) and keeps its lead as a member (.603 for the five).

    Assumes that the members' anomaly scores are distances or errors (>= 0) and that the training series is mostly
    normal. It fails where one member's training score is almost 0 (a constant training series, a perfectly repeated
    one): that member then decides alone.

    Parameters
    ----------
    detectors : sequence of series detectors, optional
        None: `MovingEnergy`, `Autoregression`, `PolynomialResidual` and `Discord` with their defaults and `window`.
        `Discord` costs O(n^2): leave it out for series of more than some 50,000 steps.
        With `Windowed(KNN())` and `HypAD(n_critic=0)` as fifth and sixth VUS-PR is .648, for a second of training.
    window : int, default=100
        Window of the default members; ignored where `detectors` is given.
    how : {"mean", "rank"}, default="mean"
        "mean": mean of score / training mean. "rank": mean over members of the rank of a step within the scored
        series, from 0 to 1; bounded, so that only a share `contamination` can be cut off, anomalies or not.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores, which
        ranks never reach ("rank" needs a share).
    n_jobs : int, optional
        Threads of the default `Discord`.

    Attributes
    ----------
    detectors_ : list of fitted clones
    usual_ : ndarray of shape (n_detectors,)
        Mean anomaly score of each member on the training series + 1e-8.
    window_ : int
        Longest window of the members.
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** -(mean over members of anomaly score / `usual_`); about -1 on normal data. "rank": -(mean rank).
    **Cost:** the sum of the members' costs.
    **Channels:** `detect` names the most deviating ones where every member explains; else its `channels` are empty.
    **Source:** the choice of the mean over ranks, z-scores, medians and products is measured
    (docs/decisions/062-consensus-of-baselines.md).

    Examples
    --------
    >>> t = np.arange(400)
    >>> x = np.sin(t / 5)
    >>> x[200:210] = 2.0
    >>> detector = SeriesConsensus(window=30).fit(np.sin(t / 5))
    >>> [(each.start, each.stop, each.peak) for each in detector.detect(x)]
    [(186, 272, 209)]
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "detectors": [list, tuple, None],
        "window": [Interval(Integral, 3, None, closed="left")],
        "how": [StrOptions({"mean", "rank"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        detectors: Sequence[Any] | None = None,
        window: int = 100,
        how: Literal["mean", "rank"] = "mean",
        contamination: float | Literal["auto"] = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.detectors = detectors
        self.window = window
        self.how = how
        self.contamination = contamination
        self.n_jobs = n_jobs

    @available_if(_explains)
    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, shape (n_samples, n_channels); the parts add up to it."""
        X = self._validate(X, reset=False)
        parts = [each.explain(X) / usual for each, usual in zip(self.detectors_, self.usual_, strict=True)]
        return np.mean(parts, axis=0)

    def _members(self) -> list[Any]:
        if self.detectors is not None:
            return list(self.detectors)
        w = self.window
        return [
            MovingEnergy(window=w),
            Autoregression(),
            PolynomialResidual(window=w),
            Discord(window=w, n_jobs=self.n_jobs),
        ]

    def _fit(self, X: NDArray) -> None:
        self._fit_score(X)

    def _fit_score(self, X: NDArray) -> NDArray:
        members = self._members()
        if not members:
            raise ValueError("SeriesConsensus: detectors is empty; give at least one, or None for the four baselines")
        rows = next((each for each in members if not isinstance(each, SeriesDetector)), None)
        if rows is not None:
            raise TypeError(
                f"SeriesConsensus: {rows!r} in detectors is no series detector; members are fresh series detectors, "
                "and a detector of rows becomes one as Windowed(detector, window=...)"
            )
        if self.how == "rank" and self.contamination == "auto":
            raise ValueError(
                "SeriesConsensus: contamination='auto' cuts 4 standard deviations above the mean, which ranks never "
                "reach; with how='rank' give a share in (0, 0.5]"
            )
        self.detectors_ = [clone(each) for each in members]
        for each in self.detectors_:
            each._validate_params()
        anomaly = np.stack([-each._fit_and_score(X) for each in self.detectors_])
        if self.how == "mean" and (anomaly < 0).any():
            at = int(np.argmax((anomaly < 0).any(axis=1)))
            raise ValueError(
                f"SeriesConsensus: {type(members[at]).__name__} has negative anomaly scores (down to "
                f"{anomaly[at].min():.3g}), which have no usual size; use how='rank' or leave it out"
            )
        self.usual_ = anomaly.mean(axis=1) + USUAL_FLOOR
        self.window_ = max(each.window_ for each in self.detectors_)
        return self._joined(anomaly)

    def _score(self, X: NDArray) -> NDArray:
        return self._joined(np.stack([-each.score_samples(X) for each in self.detectors_]))

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        return np.any([each._looks_at(steps) for each in self.detectors_], axis=0)

    def _joined(self, anomaly: NDArray) -> NDArray:
        if self.how == "rank":
            return -rankdata(anomaly, axis=1).mean(axis=0) / anomaly.shape[1]
        return -(anomaly / self.usual_[:, None]).mean(axis=0)
