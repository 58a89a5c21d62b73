"""What a fitted mixture of Gaussians says of rows: the half of `GMM` that needs no EM."""

from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from odkit import kernels
from odkit._sklearn import check_is_fitted
from odkit.kernels import cautions
from odkit.kernels.cpu import em, mixture_criteria

__all__ = ["FittedMixture"]


class FittedMixture:
    """Mixin of a detector that scores a row by its log-density under a mixture of Gaussians.

    The detector has the parameters `covariance_type`, `n_jobs` and `device`, and sets `covariance_type_`,
    `n_components_`, `weights_`, `means_`, `covariances_` and `precisions_cholesky_` in its fit.
    """

    covariance_type: str
    n_jobs: int | None
    device: str | None
    n_features_in_: int
    covariance_type_: str
    n_components_: int
    weights_: NDArray[np.float64]
    means_: NDArray[np.float64]
    covariances_: NDArray[np.float64]
    precisions_cholesky_: NDArray[np.float64]
    score_samples: Callable[[ArrayLike], NDArray[np.float64]]
    _validate: Callable[..., NDArray]

    def _score(self, X: NDArray) -> NDArray:
        k, _, quantity = self._on_rows("log_prob", X)
        return k.numpy(quantity)

    def predict_component(self, X: ArrayLike) -> NDArray[np.intp]:
        """The component most probably responsible for each row, shape (n_samples,)."""
        check_is_fitted(self)
        k, _, densities = self._on_rows("log_densities", self._validate(X, reset=False))
        return k.numpy(densities.argmax(1))

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each feature to each row's distance from its responsible component, (n_samples, n_features).

        z_j (Sigma^-1 z)_j / 2 with z = x - mean: rows sum to half the squared Mahalanobis distance, which is the part
        of -log p(x) that depends on the row as long as one component is responsible. Single contributions may be
        negative, where a feature lies as its correlations with the others make one expect.
        """
        return self._within_component("distance_parts", X)

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """What each row's responsible component expects in a cell given the row's other cells, shape of X."""
        return self._within_component("conditional_means", X)

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion of the model for the rows X; smaller is better."""
        scores = self.score_samples(X)
        return mixture_criteria.bic(self._mixture(), scores.sum(), len(scores))

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion of the model for the rows X; smaller is better."""
        return mixture_criteria.aic(self._mixture(), self.score_samples(X).sum())

    def _check_state(self) -> None:
        """Refuse a stored state whose arrays do not fit together."""
        size, d = self.n_components_, self.n_features_in_
        kind = self.__dict__.setdefault("covariance_type_", self.covariance_type)  # the first model files have none
        matrices = {"full": (size, d, d), "tied": (d, d), "diag": (size, d), "spherical": (size,)}[kind]
        shapes = {"weights_": (size,), "means_": (size, d), "covariances_": matrices, "precisions_cholesky_": matrices}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"GMM: {name} must be finite float64 of shape {shape}, is {array.dtype} {array.shape}")

    def _mixture(self) -> em.Mixture:
        return em.Mixture(
            self.covariance_type_, self.weights_, self.means_, self.covariances_, self.precisions_cholesky_
        )

    def _within_component(self, quantity: str, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        k, (rows, means, factors, _), densities = self._on_rows("log_densities", self._validate(X, reset=False))
        return k.numpy(getattr(k.mixture, quantity)(rows, means, factors, densities.argmax(1)))

    def _on_rows(self, quantity: str, X: NDArray) -> tuple[kernels.Backend, list[Any], Any]:
        """The kernels, what they take, and the quantity: all on the device."""
        k = kernels.on(self.device)
        arguments = [k.array(part) for part in (X, *em.kernel_arguments(self._mixture()))]
        return k, arguments, getattr(k.mixture, quantity)(*arguments, joblib.effective_n_jobs(self.n_jobs))

    def _warn_of_collapse(self, n_rows: int, reg_covar: float) -> None:
        """Look at the components that a fit to `n_rows` rows has left."""
        collapsed = mixture_criteria.collapsed(self._mixture(), n_rows, reg_covar)
        if collapsed.size:
            cautions.warn(
                f"GMM: collapsed component {', '.join(map(str, collapsed))}: fewer than two rows belong to it, or its "
                f"variance is not above the floor reg_covar={reg_covar}. Lower n_components, raise reg_covar, or "
                "scale the columns.",
                ConvergenceWarning,
            )
