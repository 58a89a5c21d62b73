"""The contract of a series detector: rows are time steps, one score per step, n in and n out, the clock comes back.

It is `odkit.base.Detector` with three differences. A row's score depends on its neighbours in time, so the order of
rows matters. `contamination="auto"` puts the offset four standard deviations above the mean anomaly score of the
training series. Time stamps of a frame must be even, and come back with the intervals of `detect`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.base import Detector
from odkit.scores import last_step
from odkit.series import intervals
from odkit.series.clock import clock_of, fill_missing, labels_of, like, step_of

__all__ = ["SeriesDetector", "is_series"]

AUTO_SD = 4.0
CHANNELS_NAMED = 3
LARGEST = 1e140  # beyond it, and below 1 / LARGEST, squares leave float64 and every step would look alike


class SeriesDetector(Detector):
    """Base of the series detectors: X is (n_timesteps, n_channels) in time order, a 1-D X is one channel.

    A subclass gives `_fit` and `_score` as for `Detector`; `_score` returns one number per time step. All statistics
    of scale come from `_fit`: the scored series never moves them.

    Attributes
    ----------
    offset_ : float
        "auto": mean - 4 standard deviations of the training scores; a float: that quantile of them.
    step_ : float or None
        Seconds between time stamps of the training frame; None without stamps or with calendar steps.
    """

    _advice_on_gaps = (
        "Do not drop rows of a series: fill them (odkit.series.fill_missing), or mark them (detect(X, missing=mask))."
    )

    def detect(self, X: ArrayLike, *, threshold: Any = None, missing: ArrayLike | None = None) -> Any:
        """Anomalous intervals of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels)
        threshold : object with find(anomaly_score) -> list of Interval, optional
            For instance `DynamicThreshold()`. None: runs of steps with `predict(X) == -1`.
        missing : array-like of shape (n_samples,), bool, optional
            Steps that were not measured. Their values (NaN is allowed there) are replaced by a straight line between
            their neighbours, and their score by the median score of the measured steps: they are no evidence.

        Returns
        -------
        list of Interval, or for a pandas X a frame with columns start, end, peak (labels of X's index, both ends
        included), severity and channels: up to three names, the most deviating first, where the detector explains
        its score.
        """
        index = labels_of(X)
        unmeasured = None if missing is None else np.asarray(missing)
        if unmeasured is not None:
            X = self._filled(X, unmeasured)
        anomaly = -self.score_samples(X)
        if unmeasured is not None:
            anomaly[unmeasured] = np.median(anomaly[~unmeasured])
        found = intervals.above(anomaly, -self.offset_) if threshold is None else threshold.find(anomaly)
        if found and hasattr(self, "explain"):
            names = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
            found = intervals.name_channels(found, self.explain(X), names, CHANNELS_NAMED)
        return found if index is None else intervals.to_frame(found, index)

    def _filled(self, X: Any, missing: NDArray) -> Any:
        values, filled = fill_missing(X, missing)
        unmarked = np.flatnonzero(filled & ~missing)
        if len(unmarked):
            raise ValueError(
                f"{type(self).__name__}: X contains NaN at step {unmarked[0]}, which `missing` does not mark; "
                "mark it, or fill it (odkit.series.fill_missing)"
            )
        return like(X, values) if hasattr(X, "iloc") else values

    def _fit_and_score(self, X: NDArray) -> NDArray:
        """`fit` for a detector inside another one: the training scores come back instead of being computed again."""
        self._validate_params()
        X = self._validate(X, reset=True)
        scores = self._fit_score(X)
        self.offset_ = self._quantile(scores)
        return scores

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Normality of each time step of X, shape (n_samples,): higher = more normal, in the detector's own unit."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = super().score_samples(X)
        if not np.isfinite(scores).all():
            step = int(np.argmin(np.isfinite(scores)))
            raise ValueError(
                f"{type(self).__name__}: the score of step {step} is {scores[step]}: measured by the training series "
                "its values leave float64. Rescale the training series, or cut such values off"
            )
        return scores

    def _quantile(self, scores: NDArray) -> float:
        if self.contamination == "auto":
            return float(scores.mean() - AUTO_SD * scores.std())
        return super()._quantile(scores)

    def _validate(self, X: ArrayLike, *, reset: bool) -> NDArray:
        self._check_stamps(X, reset=reset)
        if _is_flat(X) and (reset or self.n_features_in_ == 1):
            X = X.to_frame() if hasattr(X, "to_frame") else np.reshape(np.asarray(X), (-1, 1))
        X = super()._validate(X, reset=reset)
        self._check_size(X, reset=reset)
        return X

    def _check_size(self, X: NDArray, *, reset: bool) -> None:
        """Refuse numbers whose squares overflow, and training channels whose squares all vanish."""
        largest = np.maximum(X.max(axis=0), -X.min(axis=0)).astype(np.float64)
        wrong = largest > LARGEST
        if reset:
            wrong |= (largest > 0) & (largest < 1 / LARGEST)
        if wrong.any():
            channel = int(np.argmax(wrong))
            name = getattr(self, "feature_names_in_", np.arange(X.shape[1]))[channel]
            raise ValueError(
                f"{type(self).__name__}: the largest number in channel {name!s} is {largest[channel]:.3g}; squares of "
                f"numbers outside of {1 / LARGEST:g} to {LARGEST:g} leave float64. Change the unit of the channel, or "
                "mark such steps: detect(X, missing=mask)"
            )

    def _check_stamps(self, X: Any, *, reset: bool) -> None:
        index = clock_of(X)
        step = None if index is None else step_of(index, type(self).__name__)
        if reset:
            self.step_ = step
        elif step is not None and self.step_ is not None and step != self.step_:
            raise ValueError(
                f"{type(self).__name__}: time stamps of X are {step:g} s apart, those of the training series were "
                f"{self.step_:g} s apart. Use odkit.series.resample(X, every='{self.step_:g}s')"
            )

    def _check_length(self, X: NDArray, least: int, why: str) -> None:
        if len(X) < least:
            raise ValueError(
                f"{type(self).__name__}: X has n_samples = {len(X)} time steps; {why} needs at least {least}. "
                "Give a longer series or set a smaller value"
            )


def _is_flat(X: Any) -> bool:
    if isinstance(X, list | tuple):
        return len(X) > 0 and np.isscalar(X[0])
    return len(getattr(X, "shape", ())) == 1


def is_series(detector: Any) -> bool:
    """Whether rows are time steps to a detector or pipeline: they mean nothing without their neighbours."""
    return isinstance(last_step(detector), SeriesDetector)
