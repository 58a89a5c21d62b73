"""What trained members make of rows, and the error that is left: the half of `AutoEncoder` that needs no torch."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import check_is_fitted

__all__ = ["Reconstruction"]

SAMPLE = 8192  # training rows at most that a look at the predicted variances takes


class Reconstruction:
    """Mixin of a detector that holds trained members as numpy arrays and scores a row by its reconstruction error.

    The detector has the parameters `min_variance` and `device`, and sets `error_`, `weights_`, `biases_`, `location_`,
    `scale_`, `constant_features_`, `alpha_` and `beta_` in its fit.
    """

    error_: str
    min_variance: float
    device: str | None
    weights_: list[NDArray[np.float32]]
    biases_: list[NDArray[np.float32]]
    location_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    constant_features_: NDArray[np.bool_]
    alpha_: float
    beta_: float
    n_features_in_: int
    _validate: Callable[..., NDArray]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def _check_state(self) -> None:
        """Refuse a stored state whose arrays do not fit together."""
        d, constant, heads = self.n_features_in_, self.constant_features_, 1 if self.error_ == "mse" else 2
        columns = {"location_": np.float64, "scale_": np.float64, "constant_features_": np.bool_}
        fine = all(
            (getattr(self, name).shape, getattr(self, name).dtype) == ((d,), kind) for name, kind in columns.items()
        )
        members, inputs = len(self.weights_[0]), d - np.count_nonzero(constant)
        for left, (weight, bias) in enumerate(
            zip(self.weights_, self.biases_, strict=True), heads - len(self.weights_)
        ):
            outputs = d - np.count_nonzero(constant) if left >= 0 else weight.shape[-1]
            fine = fine and (weight.shape, bias.shape) == ((members, inputs, outputs), (members, 1, outputs))
            fine = fine and weight.dtype == bias.dtype == np.float32
            inputs = outputs if left < 0 else inputs
        if not fine:
            raise ValueError(f"{type(self).__name__}: the stored weights, biases or scales do not fit together")

    def _score(self, X: NDArray) -> NDArray:
        deviation, log_variance = self._parts(X)
        return -(deviation + log_variance).sum(axis=1)

    def reconstruct(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the members make of X on average, shape (n_samples, n_features), in the units of X.

        Its squared error is less than the mean of the members' errors, by the variance between the members.
        """
        return self.reconstruct_members(X)[0].mean(axis=0)

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """`reconstruct(X)`."""
        return self.reconstruct(X)

    def reconstruct_members(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Mean and variance (None for "mse") by each member, (n_members, n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        k, varying = kernels.on(self.device), ~self.constant_features_
        found = k.reconstruction.reconstruct(k.array(self._varying(self._scaled(X))), *self._network(k))
        mean = np.zeros((len(self.weights_[0]), *X.shape))
        mean[..., varying] = k.numpy(found[0])
        mean = mean * self.scale_ + self.location_
        if self.error_ == "mse":
            return mean, None
        variance = np.ones_like(mean)
        variance[..., varying] = k.numpy(found[1])
        return mean, variance * self.scale_**2

    def explain(self, X: ArrayLike, *, parts: bool = False) -> Any:
        """Contribution of each column to the anomaly score, (n_samples, n_features); rows sum to it.

        With `parts`, two such arrays: the deviation from the reconstruction, and the log-variance part.
        """
        check_is_fitted(self)
        deviation, log_variance = self._parts(self._validate(X, reset=False))
        return (deviation, log_variance) if parts else deviation + log_variance

    def _parts(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """Deviation and log-variance terms, each (n, d), averaged over the members."""
        k, constant = kernels.on(self.device), self.constant_features_
        Z = self._scaled(X)
        weighting = self.alpha_, self.beta_, self.min_variance
        found = k.reconstruction.errors(k.array(self._varying(Z)), *self._network(k), *weighting)
        parts = [np.asarray(k.numpy(part)) for part in found]
        if not constant.any():
            return parts[0], parts[1]
        # constant columns are foretold to be what they were, with a scaled variance of 1
        variance = 1.0 if self.error_ == "mse" else max(1.0, self.min_variance)
        deviation, log_variance = self.alpha_ * Z**2 / variance, np.full(Z.shape, self.beta_ * np.log(variance))
        deviation[:, ~constant], log_variance[:, ~constant] = parts
        return deviation, log_variance

    def _scaled(self, X: NDArray) -> NDArray[np.float64]:
        return (X - self.location_) / self.scale_

    def _varying(self, Z: NDArray) -> NDArray[np.float64]:
        """The columns that varied in training; a copy by a mask alone would lie in the order of columns."""
        constant = self.constant_features_
        return np.ascontiguousarray(Z[:, ~constant]) if constant.any() else Z

    def _network(self, k: kernels.Backend) -> tuple[list, list, bool]:
        return [k.array(w) for w in self.weights_], [k.array(b) for b in self.biases_], self.error_ != "mse"

    def _warn_of_small_variances(self, Z: NDArray) -> None:
        """Look at the variances of some training rows, scaled and without their constant columns."""
        k, Z = kernels.on(), Z[:: -(-len(Z) // SAMPLE)]
        share = (k.reconstruction.reconstruct(Z, *self._network(k))[1] <= self.min_variance).mean()
        if share > 0.5:
            warnings.warn(
                f"AutoEncoder: {share:.0%} of all predicted variances lie at or below min_variance={self.min_variance},"
                " so the score is mostly a plain squared error. Lower min_variance or use error='mse'.",
                UserWarning,
                stacklevel=3,
            )
