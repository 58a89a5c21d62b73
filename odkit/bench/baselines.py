"""Detectors that know next to nothing. Whoever does not beat them has shown nothing."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from odkit.base import Detector

__all__ = ["Constant", "LastStep", "MaxAbsZ", "MovingZ", "Random", "RandomSteps"]


class Random(Detector):
    """A score drawn from the row's bytes: chance level, yet the same row scores the same in any batch.

    Notes
    -----
    **Score:** a number uniform on [0, 1), no unit.
    **Cost:** O(d) a row; no state.
    **Source:** none; the yardstick of every table.

    Examples
    --------
    >>> scores = Random(random_state=0).fit([[1.0], [2.0]]).score_samples([[1.0], [2.0], [1.0]])
    >>> scores[0] == scores[2], scores[0] == scores[1]
    (np.True_, np.False_)
    """

    def __init__(self, *, contamination: float = 0.1, random_state: int | None = None):
        self.contamination = contamination
        self.random_state = random_state

    def _fit(self, X: NDArray) -> None:
        self.key_ = str(self.random_state).encode()

    def _score(self, X: NDArray) -> NDArray:
        words = (blake2b(row.tobytes(), digest_size=8, key=self.key_).digest() for row in X)
        return np.frombuffer(b"".join(words), dtype=np.uint64) / 2.0**64


class _Untaught(Detector):
    """Base of those that learn nothing from their rows."""

    def __init__(self, *, contamination: float = 0.1):
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        pass


class RandomSteps(_Untaught):
    """For series: a number drawn for each step, whatever its value; `Random` would give a flat stretch one score.

    Notes
    -----
    **Score:** uniform on [0, 1), no unit; it depends on the position and the length of the series only.
    **Cost:** O(n).
    **Source:** none; the yardstick of event metrics, which reward long alarms even at random places.

    Examples
    --------
    >>> RandomSteps().fit([[1.0], [1.0]]).score_samples([[5.0], [5.0]]).round(3)
    array([0.262, 0.298])
    """

    def _score(self, X: NDArray) -> NDArray:
        return np.random.default_rng(len(X)).random(len(X))


class Constant(_Untaught):
    """The same score for every row: what ties are worth under a metric.

    Notes
    -----
    **Score:** 0.
    **Cost:** O(1).
    **Source:** none; a metric that is not at chance level here is order-dependent.

    Examples
    --------
    >>> Constant().fit([[1.0], [2.0]]).score_samples([[7.0], [8.0]])
    array([0., 0.])
    """

    def _score(self, X: NDArray) -> NDArray:
        return np.zeros(len(X))


class MaxAbsZ(Detector):
    """The largest |z| over the features, z by the training mean and standard deviation (0 counts as 1).

    Notes
    -----
    **Score:** minus the largest |z|, standard deviations.
    **Cost:** O(n d) fit, O(d) a row.
    **Source:** the three-sigma rule.

    Examples
    --------
    >>> MaxAbsZ().fit([[-1.0, 5.0], [1.0, 5.0]]).score_samples([[3.0, 5.0], [0.0, 7.0]])
    array([-3., -2.])
    """

    def __init__(self, *, contamination: float = 0.1):
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        self.location_ = X.mean(axis=0, dtype=np.float64)
        spread = X.std(axis=0, dtype=np.float64)
        self.scale_ = np.where(spread > 0, spread, 1.0)

    def _score(self, X: NDArray) -> NDArray:
        return -np.max(np.abs((X - self.location_) / self.scale_), axis=1)


class LastStep(Detector):
    """For series: the size of the last step, |x_t - x_{t-1}|, the largest over the channels after scaling.

    Notes
    -----
    **Score:** minus the step in units of the training steps' standard deviation (0 counts as 1); the first row 0.
    **Cost:** O(n d).
    **Source:** the simplest detector of jumps; it depends on the order of the rows by design.

    Examples
    --------
    >>> LastStep().fit([[0.0], [1.0], [0.0], [1.0]]).score_samples([[0.0], [5.0]]).round(2)
    array([-0. , -5.3])
    """

    def __init__(self, *, contamination: float = 0.1):
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        spread = np.diff(X, axis=0).std(axis=0, dtype=np.float64) if len(X) > 1 else np.ones(X.shape[1])
        self.scale_ = np.where(spread > 0, spread, 1.0)

    def _score(self, X: NDArray) -> NDArray:
        return -np.max(np.abs(np.diff(X, axis=0, prepend=X[:1])) / self.scale_, axis=1)


class MovingZ(Detector):
    """For series: |x_t - mean| / standard deviation of the `window` values before t, the largest over the channels.

    Notes
    -----
    **Score:** minus the largest |z|; the first row 0. The spread is at least a hundredth of the training spread, so
    that a flat stretch does not make the next rounding error an event.
    **Cost:** O(n d) by running sums.
    **Source:** the control chart; it depends on the order of the rows by design.

    Examples
    --------
    >>> X = [[0.0], [1.0], [0.0], [1.0], [9.0]]
    >>> MovingZ(window=4).fit(X[:4]).score_samples(X)[-1]
    np.float64(-17.0)
    """

    def __init__(self, *, window: int = 100, contamination: float = 0.1):
        self.window = window
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        self.location_ = X.mean(axis=0, dtype=np.float64)
        spread = X.std(axis=0, dtype=np.float64)
        self.scale_ = np.where(spread > 0, spread, 1.0)

    def _score(self, X: NDArray) -> NDArray:
        z = (X - self.location_) / self.scale_
        start = np.zeros((1, z.shape[1]))
        first, second = np.vstack([start, np.cumsum(z, axis=0)]), np.vstack([start, np.cumsum(z * z, axis=0)])
        stop = np.arange(1, len(z))
        begin = np.maximum(0, stop - self.window)
        count = (stop - begin)[:, None]
        mean = (first[stop] - first[begin]) / count
        spread = np.sqrt(np.maximum((second[stop] - second[begin]) / count - mean**2, 1e-4))
        return -np.append(0.0, np.max(np.abs(z[1:] - mean) / spread, axis=1))
