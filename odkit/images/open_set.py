"""Known class or none of them: what the open-set detectors share."""

import os
from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d

from odkit._sklearn import Interval, check_is_fitted, fit_context
from odkit.base import Detector
from odkit.false_alarms import warn_of_few
from odkit.images.labels import known_classes
from odkit.images.reading import find_images
from odkit.kernels import level
from odkit.kernels.cpu import quantiles

__all__ = ["OpenSet", "take"]


class OpenSet(Detector):
    """Base of the detectors that learn known classes and reject what belongs to none.

    A subclass fits in `_fit_classes(Z, numbers)`, scores rows in `_score(Z)`, and names the nearest class of each row
    in `_nearest(Z)`. The rows that `offset_` is read from are drawn from every class and take no part in the fit:
    a threshold on rows that were fitted would reject far too much.
    """

    shrinkage: Any
    reject_label: Any
    classes_: NDArray
    means_: NDArray[np.float64]
    _parameter_constraints: dict = {
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "reject_label": "no_validation",
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn the known classes y (n_samples,) of X; without y all rows are one class."""
        self._forget()  # a fit that fails leaves no model, rather than parts of two
        who = type(self).__name__
        level.check_options(who, self.shrinkage, None)
        X = self._samples(_listed(X), reset=True)
        y = np.zeros(len(X), np.int64) if y is None else column_or_1d(y, warn=False)
        if len(y) != len(X):
            raise ValueError(f"{who}: X has {len(X)} samples and y {len(y)}; give one label each")
        self.classes_, numbers = known_classes(y, who)
        if np.ndim(self.reject_label) > 0 or self.reject_label in self.classes_.tolist():
            raise ValueError(
                f"{who}: reject_label={self.reject_label!r} must be one value and none of the classes "
                f"{', '.join(map(repr, self.classes_.tolist()[:5]))}, or nobody could tell rejected rows"
            )
        fitted, held_out = self._split(numbers)
        self._fit_encoder(take(X, fitted), y[fitted])
        Z = self._one_each(self._encoded(X, reset=True), X)
        self._fit_classes(Z[fitted], numbers[fitted])
        few = "Raise fpr, calibration_fraction, or give more rows."
        warn_of_few(who, len(held_out), "held-out rows", self.fpr, few)
        scores = self._score(self._calibration(X, Z, held_out))
        offset = -quantiles.conformal_quantile(-scores, self.fpr)
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{who}: scores of held-out rows are not finite, so that the threshold would be {offset}; rescale "
                "columns of huge or tiny numbers"
            )
        self.offset_ = offset
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """How well each row fits the known classes, shape (n_samples,): higher = more like one of them."""
        check_is_fitted(self)
        return np.asarray(self._score(self._rows(X)), dtype=np.float64)

    def predict_class(self, X: Any) -> NDArray:
        """The known class of each row, or `reject_label` where `predict` says -1, shape (n_samples,)."""
        check_is_fitted(self)
        Z = self._rows(X)
        known = self.classes_[self._nearest(Z)]
        if isinstance(self.reject_label, str) != (known.dtype.kind == "U"):
            known = known.astype(object)  # a number among words
        return np.where(self._score(Z) < self.offset_, self.reject_label, known)

    def _samples(self, X: Any, *, reset: bool) -> Any:
        """What can be cut into parts: here validated rows."""
        return self._validate(X, reset=reset).astype(np.float64, copy=False)

    def _fit_encoder(self, X: Any, y: NDArray) -> None:
        """Train what turns samples into rows; here samples are rows."""

    def _encoded(self, X: Any, *, reset: bool) -> NDArray:
        return X

    def _check_means(self, n_means: int) -> None:
        """Refuse a stored state whose classes and means do not fit the columns."""
        shape = (n_means, self.n_features_in_)
        if np.ndim(self.classes_) != 1 or self.means_.shape != shape or not np.isfinite(self.means_).all():
            raise ValueError(f"{type(self).__name__}: means_ must be finite and of shape {shape}")

    def _rows(self, X: Any) -> NDArray:
        X = self._samples(_listed(X), reset=False)
        return self._one_each(self._encoded(X, reset=False), X)

    def _beside(self, levels: Any, *, reset: bool) -> NDArray[np.float64]:
        """The levels of an extractor as one validated matrix."""
        if isinstance(levels, list) and any(np.ndim(part) > 2 for part in levels):
            raise ValueError(f"{type(self).__name__}: maps were given and rows are needed; pool the levels, pool='avg'")
        rows = np.concatenate(levels, axis=1) if isinstance(levels, list) else levels
        return OpenSet._samples(self, rows, reset=reset)

    def _one_each(self, Z: NDArray, X: Any) -> NDArray:
        if len(Z) != len(X):
            raise ValueError(f"{type(self).__name__}: {len(Z)} rows came out of {len(X)} samples; give one row each")
        return Z

    def _calibration(self, X: Any, Z: NDArray, held_out: NDArray) -> NDArray:
        """The held-out rows as `_rows` gives them; Z holds those of all samples."""
        return Z[held_out]

    def _fit_classes(self, Z: NDArray, numbers: NDArray) -> None:
        raise NotImplementedError

    def _nearest(self, Z: NDArray) -> NDArray[np.intp]:
        raise NotImplementedError

    def _split(self, numbers: NDArray) -> tuple[NDArray, NDArray]:
        """Rows to fit and rows held out, a fraction of every class but never all of it."""
        random = check_random_state(self.random_state)
        held = []
        for number in range(len(self.classes_)):
            rows = np.flatnonzero(numbers == number)
            n_held = min(round(self.calibration_fraction * len(rows)), len(rows) - 1)
            held.append(random.permutation(rows)[:n_held])
        held_out = np.sort(np.concatenate(held))
        fitted = np.setdiff1d(np.arange(len(numbers)), held_out)
        if len(held_out) == 0 or len(fitted) < 2:
            raise ValueError(
                f"{type(self).__name__}: n_samples={len(numbers)} in {len(self.classes_)} class(es) leave "
                f"{len(held_out)} rows for the threshold and {len(fitted)} to fit with "
                f"calibration_fraction={self.calibration_fraction:g}; 1 and 2 are needed, give more rows"
            )
        return fitted, held_out


def _listed(X: Any) -> Any:
    """A folder as its images, anything else as it is."""
    return find_images(X) if isinstance(X, str | os.PathLike) else X


def take(X: Any, rows: NDArray) -> Any:
    """Samples by number, of an array, a frame or a list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, Sequence) and not isinstance(X, np.ndarray):
        return [X[row] for row in rows]
    return X[rows]
