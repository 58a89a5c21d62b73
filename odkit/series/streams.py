"""Live scores, one time step after another: a fitted detector's model with a memory of the last steps.

`detector.stream()` gives a stream; each call of `update` takes one time step and returns its score at once, in the
sign and unit of `score_samples`. A detector can have any number of streams and is changed by none of them.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit.series.base import LARGEST

__all__ = ["AutoregressionStream", "EnergyStream", "SeriesStream", "warmed"]

Stream = TypeVar("Stream", bound="SeriesStream")


class SeriesStream:
    """Base of the streams: checks a step, then hands it to `_next`.

    Attributes
    ----------
    n_steps : int
        Steps seen so far, those of the history included.
    """

    def __init__(self, detector: Any) -> None:
        self._name = type(detector).__name__
        self._n_features = detector.n_features_in_
        self._names = getattr(detector, "feature_names_in_", None)
        self.n_steps = 0

    def update(self, x: ArrayLike) -> float:
        """Normality of the next time step x, shape (n_channels,) or a number for one channel.

        A row of a frame must have the names of the training frame, in their order.
        """
        self._check_names(x)
        step = np.asarray(x, dtype=np.float64).reshape(-1)
        if step.shape != (self._n_features,):
            raise ValueError(
                f"{self._name}: a step of {step.size} channels; the detector was fitted with {self._n_features}"
            )
        wrong = ~(np.abs(step) <= LARGEST)  # NaN too
        if wrong.any():
            raise ValueError(
                f"{self._name}: step {self.n_steps} holds {step[wrong][0]} in channel {int(np.argmax(wrong))}; hand in "
                "the last measured value, or leave the step out"
            )
        score = self._next(step)
        self.n_steps += 1
        return score

    def _check_names(self, x: Any) -> None:
        names = getattr(x, "columns", getattr(x, "index", None)) if hasattr(x, "iloc") else None
        if names is not None and self._names is not None and list(names) != list(self._names):
            raise ValueError(
                f"{self._name}: the step has the channels {list(names)}; the detector was fitted with "
                f"{self._names.tolist()}, in this order. Hand in x[detector.feature_names_in_]"
            )

    def _next(self, step: NDArray) -> float:
        raise NotImplementedError


def warmed(stream: Stream, history: ArrayLike | None, detector: Any) -> Stream:
    """The stream after the steps of a history (n, C), which must have the columns that the detector was fitted with."""
    for step in () if history is None else detector._validate(history, reset=False):
        stream.update(step)
    return stream


class EnergyStream(SeriesStream):
    """Energy of the window that ends at the step; of the steps seen so far while they are fewer than a window.

    The sum over the window is the end of one block of window length and the beginning of the next, as in the kernel:
    O(C) per step on average, one pass over a block per window, no rounding error that grows with time.
    """

    def __init__(self, detector: Any, clip: float | None) -> None:
        super().__init__(detector)
        self._mean, self._scale, self._clip = detector.mean_, detector.scale_, clip
        self._block = np.zeros((detector.window_, self._n_features))
        self._beginning = np.zeros(self._n_features)  # sum of the block that fills up
        self._ends = np.zeros((detector.window_ + 1, self._n_features))  # of the block before, from each place on

    def _next(self, step: NDArray) -> float:
        z = (step - self._mean) / self._scale
        if self._clip is not None:
            z = np.clip(z, -self._clip, self._clip)
        window = len(self._block)
        place = self.n_steps % window
        self._block[place] = z * z
        self._beginning = self._beginning + self._block[place] if place else self._block[0]
        total = self._ends[place + 1] + self._beginning
        if place == window - 1:
            self._ends[:window] = np.cumsum(self._block[::-1], axis=0)[::-1]
        return -float(np.sqrt(total.mean() / min(self.n_steps + 1, window)))


class AutoregressionStream(SeriesStream):
    """Smoothed prediction error of the step: O(order) per step and channel.

    Equals `score_samples` of the same steps where `span` is a number of steps; a share is one of the training series
    here (`span_`), and of the scored series there.
    """

    def __init__(self, detector: Any, floor: float) -> None:
        super().__init__(detector)
        self._scale, self._coef, self._error = detector.scale_, detector.coef_, detector.error_
        self._order = self._coef.shape[1] - 1
        self._unit = self._error + floor if self._n_features > 1 else np.ones(1)
        self._keep = 1 - 2 / (detector.span_ + 1)
        # every value is written twice, so that the last `order` values always lie side by side
        self._past = np.zeros((self._n_features, 2 * self._order))
        self._total, self._weight = np.zeros(self._n_features), 0.0

    def _next(self, step: NDArray) -> float:
        scaled = step / self._scale
        place = self.n_steps % self._order
        if self.n_steps < self._order:
            error = self._error
        else:
            past = self._past[:, place : place + self._order]
            error = np.abs(scaled - self._coef[:, 0] - (self._coef[:, 1:] * past).sum(axis=1))
        self._past[:, place] = self._past[:, place + self._order] = scaled
        self._total = self._keep * self._total + error
        self._weight = self._keep * self._weight + 1
        return -float((self._total / self._weight / self._unit).mean())
