"""Squared error of the reconstruction from the leading principal components (Shyu et al., 2003, minor components)."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, svd

from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.kernels.cpu.blas import row_product
from odkit.kernels.cpu.reconstruction import mse_terms
from odkit.kernels.cpu.scaling import column_scales, scales_fit

__all__ = ["PCAReconstruction"]


class PCAReconstruction(Detector):
    """A row is as strange as it is far from the plane of the leading principal components: a linear autoencoder.

    The closed form of what `AutoEncoder(error="mse")` learns without its non-linearity, and the same on every run.
    Assumes that normal rows lie near a plane. It fails on outliers inside
    the plane, however far out, and where a few gross outliers in training turn the plane towards themselves.

    Parameters
    ----------
    n_components : int or float, default=0.9
        An int in [0, n_features]: dimensions of the plane (0 is the mean alone, n_features leaves nothing over but
        rounding). A float in (0, 1): as many as are needed for this share of the variance, at most n_features - 1.
    scaling : {"standard", "robust", None}, default="standard"
        What the columns are divided by: standard deviation; IQR / 1.349; nothing. A constant column has the scale 1.
        They are centred by their means under all three, so "robust" keeps gross values from setting a column's unit,
        not from moving the plane.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features)
        Orthonormal directions in scaled units, the largest variance first.
    n_components_ : int
    explained_variance_ : ndarray of shape (n_features,)
        Variance along every direction, those left out included, largest first.
    location_, scale_ : ndarrays of shape (n_features,)
        `location_` is the point that rank 0 reconstructs: the mean of the columns.
    offset_ : float
        Threshold on `score_samples`, by `contamination`.

    Notes
    -----
    **Score:** minus the squared distance from the plane, in squared scaled units, at most 0; -inf where no float holds
    it (a row 1e154 away).
    **Cost:** fit O(n d min(n, d)) and, with fewer columns than rows, O(d^3); score O(d n_components_) a row.
    **Source:** the eigenvectors of the covariance of the scaled rows; divisor n - 1.

    Examples
    --------
    The rows lie near the line y = x, and (1, -1) is sqrt(2) away from it:

    >>> from odkit import PCAReconstruction
    >>> detector = PCAReconstruction(1, scaling=None).fit([[-2, -2], [-1, -1], [0, 0], [1, 1], [2, 2]])
    >>> detector.score_samples([[5, 5], [1, -1]]).round(6) + 0.0
    array([ 0., -2.])
    """

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "n_components": [Interval(Integral, 0, None, closed="left"), Interval(Real, 0, 1, closed="neither")],
        "scaling": [StrOptions({"standard", "robust"}), None],
    }

    def __init__(
        self, n_components: float = 0.9, *, scaling: str | None = "standard", contamination: float | str = 0.1
    ) -> None:
        self.n_components = n_components
        self.scaling = scaling
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        n, d = X.shape
        if isinstance(self.n_components, Integral) and self.n_components > d:
            raise ValueError(
                f"PCAReconstruction: n_components={self.n_components} with {d} columns; at most {d} are allowed."
            )
        X = X.astype(np.float64, copy=False)
        _, self.scale_, _ = column_scales(X, self.scaling)
        with np.errstate(over="ignore", invalid="ignore"):
            self.location_ = X.mean(axis=0)  # a plane through the mean leaves the least squared error
            Z = (X - self.location_) / self.scale_
            if not np.isfinite(np.dot(flat := Z.ravel(), flat)):  # the sum of all variances but for a factor
                raise ValueError(
                    f"PCAReconstruction: variances overflow (largest value {np.abs(X).max():g}, scaling="
                    f"{self.scaling!r}). Rescale the columns."
                )
        if n < d and not (isinstance(self.n_components, Integral) and self.n_components > n):
            _, values, directions = svd(Z, full_matrices=False, overwrite_a=True, check_finite=False)
            variance = np.concatenate([np.square(values) / max(n - 1, 1), np.zeros(d - n)])
        else:
            variance, vectors = eigh(Z.T @ Z / max(n - 1, 1))
            variance, directions = variance[::-1], vectors.T[::-1]
        self.explained_variance_ = np.maximum(variance, 0.0)
        self.n_components_ = int(self.n_components)
        if not isinstance(self.n_components, Integral):
            share = np.cumsum(self.explained_variance_)
            self.n_components_ = min(int(np.searchsorted(share, self.n_components * share[-1])) + 1, d - 1)
        self.components_ = np.ascontiguousarray(directions[: self.n_components_])

    def _check_state(self) -> None:
        """Refuse a stored state whose arrays do not fit together."""
        d = self.n_features_in_
        components = np.asarray(self.components_)
        if components.shape != (self.n_components_, d) or components.dtype != np.float64:
            raise ValueError(
                f"PCAReconstruction: components_ must be float64 of shape {(self.n_components_, d)}, is "
                f"{components.dtype} {components.shape}"
            )
        if not (np.isfinite(components).all() and scales_fit(self.location_, self.scale_, d)):
            raise ValueError(
                f"PCAReconstruction: components_, location_ and scale_ must be finite, the latter two float64 of shape "
                f"{(d,)} and scale_ above 0"
            )

    def _score(self, X: NDArray) -> NDArray:
        squared = self._terms(X).sum(axis=1)
        squared[np.isnan(squared)] = np.inf  # the row's projection overflows: it is beyond any number away
        return -squared

    def reconstruct(self, X: ArrayLike) -> NDArray[np.float64]:
        """The foot of each row on the plane, shape (n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._project((X - self.location_) / self.scale_) * self.scale_ + self.location_

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """`reconstruct(X)`."""
        return self.reconstruct(X)

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Squared residual of each column in scaled units, (n_samples, n_features); rows sum to the anomaly score."""
        check_is_fitted(self)
        return self._terms(self._validate(X, reset=False))

    def _terms(self, X: NDArray) -> NDArray:
        with np.errstate(over="ignore", invalid="ignore"):
            Z = (X - self.location_) / self.scale_
            return mse_terms(Z, self._project(Z))

    def _project(self, Z: NDArray) -> NDArray:
        return row_product(row_product(Z, self.components_.T), self.components_)
