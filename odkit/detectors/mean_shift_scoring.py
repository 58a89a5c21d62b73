"""Mean-shift scoring: a copy held against where averaging carries the row (Tan et al., MSS-PAE, 2025)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from odkit._sklearn import HasMethods, check_is_fitted
from odkit.base import Detector
from odkit.detectors.autoencoder import AutoEncoder
from odkit.detectors.mean_shift import MeanShift
from odkit.kernels.cpu.mean_shift import mean_shift_distance
from odkit.kernels.cpu.reconstruction import mean_terms
from odkit.reconstruction import Reconstruction

__all__ = ["MeanShiftScoring"]

ROWS = 8160  # rows reconstructed at once


class MeanShiftScoring(Detector):
    """The reconstruction of a row is held against the row's mean shift instead of the row itself (MSS).

    An outlier is often copied by the network that saw it in training; its mean shift lies in the mass, so the copy and
    the shift differ. The network's input stays the row. Where it helps and where it hurts, mean ROC AUC with it and
    without (docs/autoencoder.md; `KNN` has .786 on both suites):

    - outliers in the training data, 23 sets: `AutoEncoder(error="mse")` .777 and .723 (better on 18),
      `PCAReconstruction` .762 and .661, the default `AutoEncoder` .788 and .780, which is no difference;
    - clean training data, 40 sets: .754 and .767 (worse on 25), .767 and .715, .749 and .756. A network is no better
      with it there.

    It fails without a reconstruction that has learnt something: an untrained network answers every row with the same,
    and the score is then the distance of the shift from that. It shares `MeanShift`'s blindness for large clumps.

    Parameters
    ----------
    estimator : object with `reconstruct`, or with `transform` and `inverse_transform`, default=None
        Cloned and fitted on the same rows; None is `AutoEncoder(random_state=random_state)`. Its own variance and
        weights are used where it has `reconstruct_members` (an `AutoEncoder` with "pre" or "apre"; of another class
        the attributes `alpha_`, `beta_` and `min_variance_`, each 1 where it is missing, so that no variance counts
        below 1), the squared error otherwise (`PCAReconstruction`, scikit-learn's PCA and NMF). With scikit-learn's PCA
        a row's score moves with the batch in its last bits, and with NMF, which solves all rows of a batch together,
        within NMF's `tol`.
    n_neighbors, n_passes, scaling, device, n_jobs
        Of the mean shift, see `MeanShift`. Residuals and variances are measured in its scaled units: with
        `scaling=None` in those of X, where a `min_variance` of 1 (the default of `AutoEncoder`) drowns columns with a
        spread far below 1, and columns with a large one rule the score.
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
        **{name: kinds for name, kinds in MeanShift._parameter_constraints.items() if name != "statistic"},
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
        if self.estimator is None:
            estimator: Any = AutoEncoder(device=self.device, random_state=self.random_state)
        else:
            estimator = clone(self.estimator)
        if not (hasattr(estimator, "reconstruct") or _goes_both_ways(estimator)):
            raise TypeError(
                f"MeanShiftScoring: {type(estimator).__name__} cannot reconstruct rows; the estimator needs either "
                "`reconstruct` (AutoEncoder, PCAReconstruction) or `transform` and `inverse_transform` (PCA, NMF)."
                f"{_advice(estimator)}"
            )
        try:
            estimator.fit(X)
        except ValueError as error:
            raise ValueError(f"MeanShiftScoring: the estimator cannot be fitted. {error}") from error
        self.estimator_ = estimator
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
        error = self._terms(X, self.mean_shift_._shift(X)[1]).sum(axis=1)
        error[np.isnan(error)] = np.inf  # shift or reconstruction overflows: the row is beyond any number away
        return -error

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
        location, scale = self.mean_shift_.location_, self.mean_shift_.scale_
        weighting = [getattr(self.estimator_, name, 1.0) for name in ("alpha_", "beta_", "min_variance_")]
        terms = np.empty(X.shape)
        for start in range(0, len(X), ROWS):
            rows = slice(start, start + ROWS)
            mean, spread = self._reconstruction(X[rows])
            with np.errstate(over="ignore"):
                variance = None if spread is None else (spread / scale) ** 2
                terms[rows] = np.add(*mean_terms(shifted[rows], (mean - location) / scale, variance, *weighting))
        return terms

    def _reconstruction(self, X: NDArray) -> tuple[NDArray, NDArray | None]:
        """Mean and standard deviation by each member of the estimator, (n_members, n, d); a single one for most."""
        estimator, spread = self.estimator_, None
        if isinstance(estimator, Reconstruction):
            mean, spread = estimator._members(X)
        elif hasattr(estimator, "reconstruct_members"):
            mean, variance = estimator.reconstruct_members(X)
            spread = None if variance is None else np.sqrt(variance)
        elif hasattr(estimator, "reconstruct"):
            mean = np.asarray(estimator.reconstruct(X))[None]
        else:
            mean = np.asarray(estimator.inverse_transform(estimator.transform(X)))[None]
        if mean.shape[1:] != X.shape:
            raise ValueError(
                f"MeanShiftScoring: {type(estimator).__name__} makes rows of shape {mean.shape[1:]} of rows of shape "
                f"{X.shape}; the shapes must be equal. Wrap an estimator that gives back what it is given."
            )
        return mean, spread


def _goes_both_ways(estimator: Any) -> bool:
    return hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")


def _advice(estimator: Any) -> str:
    """A pipeline passes on `inverse_transform`, but not `reconstruct`."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else None
    if not hasattr(last, "reconstruct"):
        return ""
    return (
        f" A pipeline does not pass `reconstruct` on: give the {type(last).__name__} alone, which scales its columns."
    )
