"""The contract of a series detector: rows are time steps, one score per step, n in and n out, the clock comes back.

It is `odkit.base.Detector` with three differences. A row's score depends on its neighbours in time, so the order of
rows matters. `contamination="auto"` puts the offset four standard deviations above the mean anomaly score of the
training series. Time stamps of a frame must be even, and come back with the intervals of `detect`.
"""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit._sklearn import check_is_fitted
from odkit.base import Detector
from odkit.scores import last_step
from odkit.series import intervals
from odkit.series.clock import clock_of, fill_missing, follows, labels_of, like, step_of
from odkit.series.windows import holding, unroll

__all__ = ["SeriesDetector", "check_clock", "is_series"]

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
    step_ : float, str or None
        Seconds between time stamps of the training frame, or the name of its calendar step ("MS", "B"); None without
        stamps.
    """

    _advice_on_gaps = (
        "Do not drop rows of a series: fill them (odkit.series.fill_missing), or mark them (detect(X, missing=mask))."
    )

    def detect(self, X: ArrayLike, *, threshold: Any = None, missing: ArrayLike | None = None) -> Any:
        """Anomalous intervals of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels)
        threshold : float, or object with find(anomaly_score) -> list of Interval, optional
            A number: runs of steps whose anomaly score (-score_samples) exceeds it. An object: for instance
            `DynamicThreshold()`, which takes anomaly scores >= 0. None: runs of steps with `predict(X) == -1`.
        missing : array-like of shape (n_samples,), bool, optional
            Steps that were not measured; NaN is allowed there. They and every step whose score looks at one of them
            (for most detectors those less than a window away) are no evidence: their score is the median of the
            others', and intervals end where evidence ends. To trust filled values, fill them
            (`odkit.series.fill_missing`) and leave them unmarked.

        Returns
        -------
        list of Interval, or for a pandas X a frame with columns start, end, peak (labels of X's index, both ends
        included), severity and channels: up to three names, the most deviating first, where the detector explains
        its score; empty where it does not.
        """
        cut = self._checked(threshold)
        index = labels_of(X)
        mask = None if missing is None else np.asarray(missing)
        if mask is not None:
            X = self._filled(X, mask)
        anomaly = -self.score_samples(X)
        found = _found(anomaly, cut) if mask is None else self._found_on_evidence(anomaly, cut, mask)
        if found and hasattr(self, "explain"):
            names = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
            found = intervals.name_channels(found, self.explain(X), names, CHANNELS_NAMED)
        return found if index is None else intervals.to_frame(found, index)

    def _checked(self, threshold: Any) -> Any:
        """A number or an object with `find`."""
        check_is_fitted(self)
        if threshold is None:
            return -self.offset_
        if isinstance(threshold, Real) and not isinstance(threshold, bool) and np.isfinite(float(threshold)):
            return float(threshold)
        if not hasattr(threshold, "find") or isinstance(threshold, str | type):
            raise TypeError(
                f"{type(self).__name__}: threshold={threshold!r}; a finite number, an object with find(anomaly_score) "
                "such as DynamicThreshold(), or None for the detector's own offset_ are allowed"
            )
        return threshold

    def _found_on_evidence(self, anomaly: NDArray, cut: Any, missing: NDArray) -> list[intervals.Interval]:
        """What is found where no score looks at a missing step."""
        blind = self._looks_at(missing)
        if blind.all():
            raise ValueError(
                f"{type(self).__name__}: every score looks at one of the {int(missing.sum())} steps that `missing` "
                "marks, so nothing can be said. Fill short gaps (odkit.series.fill_missing) and mark the long ones "
                "only, or take a shorter window"
            )
        usual = float(np.median(anomaly[~blind]))
        if isinstance(cut, float):
            usual = min(usual, cut)  # also where most of the series is anomalous
        return intervals.outside(_found(np.where(blind, usual, anomaly), cut), blind)

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        """True where a score depends on the value of one of the marked `steps`, (n,) in and out."""
        touched = holding(steps, self.window_)
        return np.asarray(unroll(touched, len(steps), self.window_, how="max") > 0)

    def _filled(self, X: Any, missing: NDArray) -> Any:
        values, filled = fill_missing(X, missing)
        unmarked = np.flatnonzero(filled & ~missing)
        if len(unmarked):
            raise ValueError(
                f"{type(self).__name__}: X contains NaN at step {unmarked[0]}, which `missing` does not mark; "
                "mark it, or fill it (odkit.series.fill_missing)"
            )
        return like(X, values) if hasattr(X, "iloc") else values

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
        if np.ma.isMaskedArray(X) and np.ma.is_masked(X):
            raise ValueError(
                f"{type(self).__name__}: X is a masked array with {np.ma.count_masked(X)} masked cells, whose mask "
                "nothing here reads. Fill them (odkit.series.fill_missing(X) reads the mask), or mark the steps: "
                "detect(X.data, missing=mask)"
            )
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
        index = clock_of(X, type(self).__name__)
        step = None if index is None else step_of(index, type(self).__name__)
        if reset:
            self.step_ = step
        elif index is not None and self.step_ is not None and not follows(index, self.step_):
            every = f"'{self.step_:g}s'" if isinstance(self.step_, float) else f"'{self.step_}'"
            raise ValueError(
                f"{type(self).__name__}: time stamps of X are {_in_words(step)} apart, those of the training series "
                f"were {_in_words(self.step_)} apart. Use odkit.series.resample(X, every={every})"
            )

    def _check_length(self, X: NDArray, least: int, why: str) -> None:
        if len(X) < least:
            raise ValueError(
                f"{type(self).__name__}: X has n_samples = {len(X)} time steps; {why} needs at least {least}. "
                "Give a longer series or set a smaller value"
            )


def _found(anomaly: NDArray, cut: Any) -> list[intervals.Interval]:
    return intervals.above(anomaly, cut) if isinstance(cut, float) else cut.find(anomaly)


def _in_words(step: float | str | None) -> str:
    return f"{step:g} s" if isinstance(step, float) else f"calendar steps ({step or 'without a name'})"


def _is_flat(X: Any) -> bool:
    if isinstance(X, list | tuple):
        return len(X) > 0 and np.isscalar(X[0])
    return len(getattr(X, "shape", ())) == 1


def is_series(detector: Any) -> bool:
    """Whether rows are time steps to a detector or pipeline: they mean nothing without their neighbours."""
    return isinstance(last_step(detector), SeriesDetector)


def check_clock(detector: Any, X: Any) -> None:
    """Refuse time stamps that `detector` would, also in front of a pipeline, whose steps hand on arrays without any."""
    if is_series(detector):
        last_step(detector)._check_stamps(X, reset=False)
