"""Detectors simple enough to check by hand, for tests of what is built around a detector."""

import numpy as np

from odkit.base import Detector


class Deviation(Detector):
    """Anomaly score: sum over features of the absolute distance from the training mean."""

    def __init__(self, *, contamination=0.1, scale=1.0, label=None):
        self.contamination = contamination
        self.scale = scale
        self.label = label

    def _fit(self, X):
        self.mean_ = X.mean(axis=0, dtype=np.float64)

    def _score(self, X):
        return -self.scale * np.abs(X - self.mean_).sum(axis=1)

    def explain(self, X):
        return self.scale * np.abs(self._validate(X, reset=False) - self.mean_)

    def _check_state(self):
        if self.mean_.shape != (self.n_features_in_,) or not np.isfinite(self.mean_).all():
            raise ValueError(f"mean_ must be {self.n_features_in_} finite numbers")
