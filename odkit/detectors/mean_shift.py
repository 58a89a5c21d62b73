"""Mean-shift outliers (Yang, Rahardja and Franti, 2021) and mean-shift scoring of copies (Tan et al., 2025)."""

from numbers import Integral
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OneToOneFeatureMixin, TransformerMixin, clone

import odkit
from odkit import kernels
from odkit._sklearn import HasMethods, Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.kernels.cpu.mean_shift import mean_shift_distance
from odkit.kernels.cpu.reconstruction import apre_terms, mse_terms
from odkit.kernels.cpu.scaling import column_scales

__all__ = ["MeanShift", "MeanShiftScoring"]

ROWS = 8192  # rows reconstructed at once

_SHIFT_CONSTRAINTS: dict = {
    **Detector._parameter_constraints,
    "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    "n_passes": [Interval(Integral, 1, None, closed="left")],
    "scaling": [StrOptions({"standard", "robust"}), None],
    "device": [str, None],
    "n_jobs": [Integral, None],
}


class MeanShift(OneToOneFeatureMixin, TransformerMixin, Detector):
    """A row is as strange as the way is long that repeated averaging of neighbours carries it (MOD; DOD by medoids).

    Every row moves to the mean of its nearest rows, all rows at once, `n_passes` times: outliers are drawn into the
    mass, inliers stay. Assumes comparable columns (hence `scaling`) and outliers that are fewer in one place than
    `n_neighbors`. It fails on clumps of outliers larger than that, which move nowhere, and where inliers at the rim of
    the data move as far as outliers do.

    Parameters
    ----------
    n_neighbors : int, default=20
        Rows averaged, the row itself among them; at least 1, cut to the number of training rows.
    n_passes : int, default=3
    statistic : {"mean", "medoid"}, default="mean"
        "medoid" moves to the neighbour with the least summed Manhattan distance to the others, a row that exists.
    scaling : {"standard", "robust", None}, default="standard"
        Mean and standard deviation; median and IQR / 1.349; none. A constant column has the scale 1.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    device : str, default="cpu"
        "cpu", or "cuda", "cuda:1": brute force on a torch device.
    n_jobs : int, default=None
        Threads of the search on the cpu.

    Attributes
    ----------
    references_ : ndarray of shape (n_passes, n_samples, n_features)
        The training rows, scaled, before each pass. A new row is carried along them and never moves them.
    n_neighbors_ : int
        Rows averaged after the cut.
    location_, scale_ : ndarrays of shape (n_features,)
    offset_ : float
        Threshold on `score_samples`, by `contamination`.

    Notes
    -----
    **Score:** minus the distance moved, in scaled units, at most 0.
    **Cost:** fit and score O(n_passes) searches: pruned boxes up to 12 columns, matrix products above; memory
    O(n_passes n d).
    **Source:** Yang, Rahardja and Franti, sections 3.1 and 3.2. The neighbours of all rows are taken before any row
    moves, a row counts as its own neighbour, ties go to the first row, and a new row is averaged by the same rule, so
    that a training row scores what it scored in the fit, bit for bit; the authors' code adds the new row to its
    k - 1 neighbours, which counts a training row twice.

    Examples
    --------
    With two neighbours 0 and 1 meet half way, 3 goes to the mean of 1 and 3, and 10 to that of 3 and 10:

    >>> from odkit import MeanShift
    >>> detector = MeanShift(n_neighbors=2, n_passes=1, scaling=None, contamination=0.25).fit([[0], [1], [3], [10]])
    >>> detector.transform([[0], [1], [3], [10], [20]]).ravel()
    array([0.5, 0.5, 2. , 6.5, 6.5])
    >>> detector.score_samples([[0], [1], [3], [10], [20]])
    array([ -0.5,  -0.5,  -1. ,  -3.5, -13.5])
    """

    _parameter_constraints: dict = {**_SHIFT_CONSTRAINTS, "statistic": [StrOptions({"mean", "medoid"})]}

    def __init__(
        self,
        *,
        n_neighbors: int = 20,
        n_passes: int = 3,
        statistic: str = "mean",
        scaling: str | None = "standard",
        contamination: float | str = 0.1,
        device: str | None = "cpu",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_passes = n_passes
        self.statistic = statistic
        self.scaling = scaling
        self.contamination = contamination
        self.device = device
        self.n_jobs = n_jobs

    def _fit_score(self, X: NDArray) -> NDArray:
        start, end = self._fit_shift(X)
        return -mean_shift_distance(start, end)

    def _fit_shift(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """Fit, and the scaled training rows before the first and after the last pass."""
        X = X.astype(np.float64, copy=False)
        self.location_, self.scale_, _ = column_scales(X, self.scaling)
        self.n_neighbors_ = min(self.n_neighbors, len(X))
        passes = [(X - self.location_) / self.scale_]
        for _ in range(self.n_passes):
            passes.append(self._pass(passes[-1], passes[-1]))
        self.references_ = np.stack(passes[:-1])
        self.references_.flags.writeable = False
        return passes[0], passes[-1]

    def _score(self, X: NDArray) -> NDArray:
        return -mean_shift_distance(*self._shift(X))

    def _check_state(self) -> None:
        """Before a model from a file meets compiled code, which checks no bounds."""
        n_passes, n, d = np.shape(self.references_) if np.ndim(self.references_) == 3 else (0, 0, 0)
        fine = n_passes > 0 and 1 <= self.n_neighbors_ <= n and d == self.n_features_in_
        if not fine or self.references_.dtype != np.float64 or not np.isfinite(self.references_).all():
            raise ValueError(
                f"MeanShift: references_ of shape {np.shape(self.references_)} do not fit n_neighbors_="
                f"{self.n_neighbors_} and {self.n_features_in_} columns, or are not finite float64 numbers."
            )

    def _shift(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """The scaled rows before and after all passes."""
        start = end = (X - self.location_) / self.scale_
        for rows in self.references_:
            end = self._pass(end, rows)
        return start, end

    def _pass(self, queries: NDArray, rows: NDArray) -> NDArray:
        k = kernels.on(self.device)
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        moved = k.mean_shift.shift(k.array(queries), k.array(rows), self.n_neighbors_, self.statistic, n_jobs)
        return np.asarray(k.numpy(moved))

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the passes carry the rows, shape (n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        return self._shift(self._validate(X, reset=False))[1] * self.scale_ + self.location_

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the passes carry the rows: `transform(X)`."""
        return np.asarray(self.transform(X))

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each column to the distance, shape (n_samples, n_features); rows sum to it.

        (x_j - x'_j)^2 / |x - x'|, and 0 where a row stays.
        """
        check_is_fitted(self)
        start, end = self._shift(self._validate(X, reset=False))
        distance = mean_shift_distance(start, end)[:, None]
        return np.divide((start - end) ** 2, distance, out=np.zeros(start.shape), where=distance > 0)


class MeanShiftScoring(Detector):
    """The reconstruction of a row is held against the row's mean shift instead of the row itself (MSS).

    An outlier is often copied by the network that saw it in training; its mean shift lies in the mass, so the copy and
    the shift differ. The network's input stays the row. Use it where outliers are in the training data, and not where
    the training data are clean (docs/autoencoder.md has the figures).

    It fails without a reconstruction that has learnt something: an untrained network answers every row with the same,
    and the score is then the distance of the shift from that. It shares `MeanShift`'s blindness for large clumps.

    Parameters
    ----------
    estimator : object with `reconstruct`, or with `transform` and `inverse_transform`, default=None
        Cloned and fitted on the same rows; None is `AutoEncoder(random_state=random_state)`. Its own variance and
        weights are used where it has `reconstruct_members` (an `AutoEncoder` with "pre" or "apre"), the squared error
        otherwise (`PCAReconstruction`, scikit-learn's PCA and NMF).
    n_neighbors, n_passes, scaling, device, n_jobs
        Of the mean shift, see `MeanShift`. Residuals are measured in its scaled units.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    random_state : int, RandomState or None, default=None
        Seeds the default estimator; a given one keeps its own.

    Attributes
    ----------
    estimator_ : the fitted clone
    mean_shift_ : MeanShift, fitted
    offset_ : float
        Threshold on `score_samples`, by `contamination`.

    Notes
    -----
    **Score:** minus the error of the reconstruction against the shifted row: for a squared error at most 0, for an
    estimator with variances alpha sum (x'_j - m_j)^2 / w_j + beta sum log w_j, mean over its members.
    **Cost:** that of the estimator and of `MeanShift`.
    **Source:** Tan et al.'s code (MSS-MSE, MSS-PAE); a new row is shifted by the rule of `MeanShift`.

    Examples
    --------
    A rank-0 reconstruction answers every row with the mean of the rows, here 3.5; one pass moves 10 to 6.5:

    >>> from odkit import MeanShiftScoring, PCAReconstruction
    >>> detector = MeanShiftScoring(PCAReconstruction(0, scaling=None), n_neighbors=2, n_passes=1, scaling=None)
    >>> detector.fit([[0], [1], [3], [10]]).score_samples([[10]])
    array([-9.])
    """

    _parameter_constraints: dict = {
        **_SHIFT_CONSTRAINTS,
        "estimator": [HasMethods("fit"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_neighbors: int = 20,
        n_passes: int = 3,
        scaling: str | None = "standard",
        contamination: float | str = 0.1,
        device: str | None = "cpu",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.n_passes = n_passes
        self.scaling = scaling
        self.contamination = contamination
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mean_shift_")

    def _fit_score(self, X: NDArray) -> NDArray:
        self.__dict__.pop("mean_shift_", None)  # a fit that fails leaves no model
        if self.estimator is None:  # looked up on the public shelf: one detector's file imports no other's
            estimator = odkit.AutoEncoder(device=self.device, random_state=self.random_state)
        else:
            estimator = clone(self.estimator)
        if not (hasattr(estimator, "reconstruct") or _goes_both_ways(estimator)):
            raise TypeError(
                f"MeanShiftScoring: {type(estimator).__name__} cannot reconstruct rows; the estimator needs either "
                "`reconstruct` (AutoEncoder, PCAReconstruction) or `transform` and `inverse_transform` (PCA, NMF)."
            )
        self.estimator_ = estimator.fit(X)
        mean_shift = MeanShift(
            n_neighbors=self.n_neighbors,
            n_passes=self.n_passes,
            scaling=self.scaling,
            contamination=self.contamination,
            device=self.device,
            n_jobs=self.n_jobs,
        )
        # fitted by hand, to have the shifted training rows without a second search
        X = mean_shift._validate(X, reset=True)
        start, end = mean_shift._fit_shift(X)
        mean_shift.offset_ = mean_shift._quantile(-mean_shift_distance(start, end))
        self.mean_shift_ = mean_shift
        return -self._terms(X, end).sum(axis=1)

    def _score(self, X: NDArray) -> NDArray:
        return -self._terms(X, self.mean_shift_._shift(X)[1]).sum(axis=1)

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """The mean shift of the rows, which the reconstruction is held against, in the units of X."""
        check_is_fitted(self)
        shifted = self.mean_shift_._shift(self._validate(X, reset=False))[1]
        return shifted * self.mean_shift_.scale_ + self.mean_shift_.location_

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each column to the anomaly score, (n_samples, n_features); rows sum to it."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._terms(X, self.mean_shift_._shift(X)[1])

    def _terms(self, X: NDArray, shifted: NDArray) -> NDArray[np.float64]:
        """Error terms of the reconstruction of X against the shifted rows (in scaled units), mean over the members."""
        terms = np.empty(X.shape)
        for start in range(0, len(X), ROWS):
            rows = slice(start, start + ROWS)
            mean, variance = self._reconstruction(X[rows])
            mean = (mean - self.mean_shift_.location_) / self.mean_shift_.scale_
            if variance is None:
                terms[rows] = mse_terms(shifted[rows], mean).mean(axis=0)
            else:
                weights = (getattr(self.estimator_, name, 1.0) for name in ("alpha_", "beta_", "min_variance"))
                variance = variance / self.mean_shift_.scale_**2
                deviation, log_variance = apre_terms(shifted[rows], mean, variance, *weights)
                terms[rows] = (deviation + log_variance).mean(axis=0)
        return terms

    def _reconstruction(self, X: NDArray) -> tuple[NDArray, NDArray | None]:
        """Mean and variance by each member of the estimator, (n_members, n, d); a single one for most."""
        estimator = self.estimator_
        if hasattr(estimator, "reconstruct_members"):
            return estimator.reconstruct_members(X)
        if hasattr(estimator, "reconstruct"):
            return np.asarray(estimator.reconstruct(X))[None], None
        return np.asarray(estimator.inverse_transform(estimator.transform(X)))[None], None


def _goes_both_ways(estimator: Any) -> bool:
    return hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
