"""Did anything leak? The same rows are transformed or scored again in other company; nothing may change."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.bench.config import Protocol
from odkit.bench.protocol import Prepared, scale

__all__ = [
    "BATCH_DEPENDENT", "NOT_PROBED", "SEEN_TEST", "TEST_REMEMBERED", "Probe", "batch_leak", "preprocessing_leak",
]  # fmt: skip

ROWS = 32  # rows of a probe
TOLERANCE = 1e-5  # of the spread of the scores
BATCH_DEPENDENT = "the scores depend on the batch"
SEEN_TEST = "preprocessing has looked at the test rows"
NOT_PROBED = "not probed"
TEST_REMEMBERED = "scoring the test rows has changed the scores of training rows"

Score = Callable[[NDArray], NDArray]


class Probe:
    """Training rows scored before the test batch, to be scored again after it.

    A probe never decides a cell: a detector may refuse the shifted rows that it is shown, and then the finding is
    "not probed". Series detectors look at neighbours in time by design, and images are no rows: neither is probed.
    """

    def __init__(self, detector: Any, prepared: Prepared):
        self.score: Score = lambda rows: -np.asarray(detector.score_samples(rows), dtype=np.float64)
        self.prepared = prepared
        self.fits = prepared.test is not None and not prepared.ordered and prepared.test.ndim == 2
        self.refused = ""
        self.before = self._of_training() if self.fits else None

    def _of_training(self) -> NDArray | None:
        try:
            return self.score(self.prepared.train[:ROWS].copy())
        except Exception as error:
            self.refused = f"{NOT_PROBED}: {type(error).__name__}"
            return None

    def findings(self, protocol: Protocol, anomaly_score: NDArray, seed: int) -> str:
        """What leaked, in words, or nothing."""
        train, test = self.prepared.train, self.prepared.test
        if not self.fits or test is None:
            return ""
        found = []
        if preprocessing_leak(lambda rows, other: scale(rows, other, protocol.scaler), train, test):
            found.append(SEEN_TEST)
        after = self._of_training()
        if self.before is not None and after is not None and _moved(after, self.before, anomaly_score):
            found.append(TEST_REMEMBERED)
        try:
            if batch_leak(self.score, test, anomaly_score, seed):
                found.append(BATCH_DEPENDENT)
        except Exception as error:
            self.refused = f"{NOT_PROBED}: {type(error).__name__}"
        return "; ".join(found + [self.refused] * bool(self.refused))


def _moved(again: NDArray, before: NDArray, anomaly_score: NDArray) -> bool:
    size = np.max(np.abs(before[np.isfinite(before)]), initial=0.0) + np.ptp(anomaly_score)
    return again.shape != before.shape or not np.allclose(again, before, rtol=0, atol=TOLERANCE * size, equal_nan=True)


def preprocessing_leak(
    transform: Callable[[NDArray, NDArray], tuple[NDArray, NDArray | None]], train: NDArray, test: NDArray
) -> bool:
    """Do transformed training rows move when the test rows are shifted? Then the transform has looked at the test."""
    other = test[::-1] * 3.0 + 7.0
    return not np.array_equal(transform(train, test)[0], transform(train, other)[0], equal_nan=True)


def batch_leak(score: Score, test: NDArray, anomaly_score: NDArray, seed: int = 0) -> bool:
    """Does a row's score change with its companions? A few rows are scored again among shifted copies of themselves."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(test))[:ROWS]
    shifted = test[rows] + 10.0 * (test.std(axis=0) + 1.0)
    again = np.asarray(score(np.concatenate([test[rows], shifted])), dtype=np.float64)[: rows.size]
    return _moved(again, anomaly_score[rows], anomaly_score)
