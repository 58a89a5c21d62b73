"""Known class or none of them: what the open-set detectors share, and Gaussians per known class."""

import math
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted, fit_context
from odkit.base import Detector
from odkit.kernels import level
from odkit.kernels.cpu import quantiles

__all__ = ["ClassConditionalGaussian", "OpenSet"]


class OpenSet(Detector):
    """Base of the detectors that learn known classes and reject what belongs to none.

    A subclass fits in `_fit_classes(Z, numbers)`, scores rows in `_score(Z)`, and names the nearest class of each row
    in `_nearest(Z)`. The rows that `offset_` is read from are drawn from every class and take no part in the fit:
    a threshold on rows that were fitted would reject far too much.
    """

    classes_: NDArray
    means_: NDArray[np.float64]
    _parameter_constraints: dict = {
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "reject_label": "no_validation",
        "device": [str, None],
        "random_state": ["random_state"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn the known classes y (n_samples,) of X; without y all rows are one class."""
        X = self._samples(X, reset=True)
        y = np.zeros(len(X), np.int64) if y is None else column_or_1d(y, warn=False)
        if len(y) != len(X):
            raise ValueError(f"{type(self).__name__}: X has {len(X)} samples and y {len(y)}; give one label each")
        self.classes_, numbers = np.unique(y, return_inverse=True)
        fitted, held_out = self._split(numbers)
        self._fit_encoder(_take(X, fitted), y[fitted])
        Z = self._encoded(X, reset=True)
        self._fit_classes(Z[fitted], numbers[fitted])
        needed = math.ceil(1 / self.fpr - 1 - 1e-9)
        if len(held_out) < needed:
            warnings.warn(
                f"{type(self).__name__}: {len(held_out)} held-out rows are too few for a threshold at "
                f"fpr={self.fpr:g}, which needs {needed}: known rows will be rejected more often. Raise fpr, "
                "calibration_fraction, or give more rows.",
                UserWarning,
                stacklevel=2,
            )
        self.offset_ = -quantiles.conformal_quantile(-self._score(Z[held_out]), self.fpr)
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
        return self._encoded(self._samples(X, reset=False), reset=False)

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


class ClassConditionalGaussian(OpenSet):
    """A Gaussian for every known class: a row is unknown when it is far from all of them.

    Assumes features in which each known class is one cloud, best of a network trained to tell the known classes apart.
    It fails where that network maps unknown things into a known cloud, and with "class" where classes have fewer rows
    than features and differ in shape only.

    Parameters
    ----------
    covariance : {"tied", "class", "relative"}, default="tied"
        One covariance for all classes, one for each, or the tied one less the distance to all rows together, which
        counts only what tells classes apart (two classes or more).
    n_blocks : int, default=1
        Cut the features into so many equal blocks with Gaussians of their own and take the mean of their squared
        distances.
    shrinkage : as in `Mahalanobis`, default="ledoit_wolf"
    normalize : {"l2"} or None, default=None
        Divide every row by its Euclidean norm first.
    fpr : float in (0, 1), default=0.01
        Share of further known rows that is rejected.
    calibration_fraction : float in (0, 1), default=0.3
        Share of every class that is held out of the fit, to read the threshold from.
    reject_label : object, default=-1
        What `predict_class` says of a rejected row.
    device : str or None, default=None
    random_state : int, RandomState or None, default=None
        Draws the rows that are held out.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    means_ : ndarray of shape (n_classes, n_features)
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** minus the smallest squared distance over the classes, at most 0; "relative" has both signs.
    **Cost:** fit as `Mahalanobis`; a score O(K d^2); memory O(d^2), O(K d^2) for "class".
    **Source:** "tied" Lee et al. (NeurIPS 2018) without input steps and without a regression on labelled outliers;
    "relative" Ren et al. (2021); blocks after HVCM (ICCV 2023), post hoc, with equal weights and without the factor
    1/2. Shrinkage, and thresholds from held-out rows, are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import ClassConditionalGaussian
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [8, 0]])
    >>> y = np.repeat(["left", "right"], 200)
    >>> detector = ClassConditionalGaussian(fpr=0.02, reject_label="unknown", random_state=0).fit(X, y)
    >>> detector.predict_class([[0.0, 0.0], [8.0, 1.0], [4.0, 0.0], [0.0, 9.0]]).tolist()
    ['left', 'right', 'unknown', 'unknown']
    """

    _parameter_constraints: dict = {
        **OpenSet._parameter_constraints,
        "covariance": [StrOptions({"tied", "class", "relative"})],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": [
            StrOptions({"ledoit_wolf", "oas", "empirical", "diag"}),
            Interval(Real, 0, 1, closed="both"),
            tuple,
        ],
        "normalize": [StrOptions({"l2"}), None],
    }

    def __init__(
        self,
        *,
        covariance: str = "tied",
        n_blocks: int = 1,
        shrinkage: str | float | tuple[str, float] = "ledoit_wolf",
        normalize: str | None = None,
        fpr: float = 0.01,
        calibration_fraction: float = 0.3,
        reject_label: Any = -1,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.covariance = covariance
        self.n_blocks = n_blocks
        self.shrinkage = shrinkage
        self.normalize = normalize
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.reject_label = reject_label
        self.device = device
        self.random_state = random_state

    def _samples(self, X: Any, *, reset: bool) -> NDArray:
        Z = super()._samples(X, reset=reset)
        if self.normalize is None:
            return Z
        if self.n_features_in_ == 1:
            raise ValueError("ClassConditionalGaussian: normalize='l2' leaves nothing but signs, n_features=1")
        norms = np.linalg.norm(Z, axis=1, keepdims=True)
        return Z / np.where(norms > 0, norms, 1.0)

    def _fit_classes(self, Z: NDArray, numbers: NDArray) -> None:
        counts = np.bincount(numbers, minlength=len(self.classes_))
        if Z.shape[1] % self.n_blocks:
            raise ValueError(
                f"ClassConditionalGaussian: n_features={Z.shape[1]} cannot be cut into n_blocks={self.n_blocks} equal "
                "blocks; give a divisor"
            )
        if self.covariance == "relative" and len(counts) < 2:
            raise ValueError(
                "ClassConditionalGaussian: covariance='relative' compares classes and there is 1 class; give y with "
                "two classes or more, or use 'tied'"
            )
        if self.covariance == "class" and counts.min() < 2:
            few = self.classes_[counts.argmin()]
            raise ValueError(
                f"ClassConditionalGaussian: class {few!r} has {counts.min()} row(s) to fit; covariance='class' needs 2 "
                "in each class beside those held out"
            )
        self.means_ = np.stack([Z[numbers == number].mean(axis=0) for number in range(len(counts))])
        blocks = np.split(np.arange(Z.shape[1]), self.n_blocks)
        self._levels = [self._fit_block(Z[:, block], numbers) for block in blocks]
        self._whole = [self._level(Z[:, block]) for block in blocks] if self.covariance == "relative" else []

    def _fit_block(self, Z: NDArray, numbers: NDArray) -> list[level.Level]:
        """One Gaussian per class, or the one that all classes share around 0."""
        n_classes = len(self.classes_)
        if self.covariance == "class":
            return [self._level(Z[numbers == number]) for number in range(n_classes)]
        means = np.stack([Z[numbers == number].mean(axis=0) for number in range(n_classes)])
        return [self._level(Z - means[numbers])]

    def _level(self, Z: NDArray) -> level.Level:
        return level.fit(kernels.on(self.device), {"rows": np.ascontiguousarray(Z)}, shrinkage=self.shrinkage)

    def _check_state(self) -> None:
        self._check_means(len(self.classes_))
        width, rest = divmod(self.n_features_in_, self.n_blocks)
        counts = {"class": (len(self.classes_), 0), "relative": (1, self.n_blocks)}
        n_levels, n_whole = counts.get(self.covariance, (1, 0))
        if rest or {len(levels) for levels in self._levels} != {n_levels} or len(self._whole) != n_whole:
            raise ValueError("ClassConditionalGaussian: the Gaussians are not one per block, and class where asked for")
        for levels in (*self._levels, self._whole):
            for one in levels:
                level.check(one, width)

    def _score(self, Z: NDArray) -> NDArray:
        nearest = self._distances(Z).min(axis=1)
        if self.covariance == "relative":
            k = kernels.on(self.device)
            parts = np.split(Z, self.n_blocks, axis=1)
            whole = [level.distance_sq(k, one, part) for one, part in zip(self._whole, parts, strict=True)]
            nearest = nearest - np.mean(whole, axis=0)
        return -nearest

    def _nearest(self, Z: NDArray) -> NDArray[np.intp]:
        return self._distances(Z).argmin(axis=1)

    def _distances(self, Z: NDArray) -> NDArray[np.float64]:
        """Squared distance of each row to each class, (n, n_classes), averaged over the blocks."""
        k = kernels.on(self.device)
        total = np.zeros((len(Z), len(self.classes_)))
        means = np.split(self.means_, self.n_blocks, axis=1)
        for levels, center, part in zip(self._levels, means, np.split(Z, self.n_blocks, axis=1), strict=True):
            for number in range(len(self.classes_)):
                if self.covariance == "class":
                    total[:, number] += level.distance_sq(k, levels[number], np.ascontiguousarray(part))
                else:
                    total[:, number] += level.distance_sq(k, levels[0], part - center[number])
        return total / self.n_blocks


def _take(X: Any, rows: NDArray) -> Any:
    """Samples by number, of an array, a frame or a list."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, Sequence) and not isinstance(X, np.ndarray):
        return [X[row] for row in rows]
    return X[rows]
