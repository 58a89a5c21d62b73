"""What trained members make of rows, and the error that is left: the half of `AutoEncoder` that needs no torch."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import check_is_fitted
from odkit.kernels.cpu.reconstruction import INPUT_LIMIT
from odkit.kernels.cpu.scaling import scales_fit

__all__ = ["Reconstruction"]

SAMPLE = 8192  # training rows at most that a look at the predicted variances takes
ROWS = 8160  # rows whose members `reconstruct` averages at once


class Reconstruction:
    """Mixin of a detector that holds trained members as numpy arrays and scores a row by its reconstruction error.

    The detector has the parameters `min_variance` and `device`, and its fit sets the other attributes named here.
    """

    min_variance: float
    device: str | None
    error_: str
    weights_: list[NDArray[np.float32]]
    biases_: list[NDArray[np.float32]]
    location_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    constant_features_: NDArray[np.bool_]
    alpha_: float
    beta_: float
    min_variance_: float
    n_features_in_: int
    _validate: Callable[..., NDArray]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def _check_state(self) -> None:
        """Refuse a stored state whose arrays do not fit together."""
        if not hasattr(self, "min_variance_"):  # a file of before it was kept: the score went by the parameter
            self.min_variance_ = float(self.min_variance)
        d, constant = self.n_features_in_, self.constant_features_
        fine = (constant.shape, constant.dtype) == ((d,), np.bool_) and scales_fit(self.location_, self.scale_, d)
        varying = d - np.count_nonzero(constant)
        members, inputs, heads = len(self.weights_[0]), varying, 1 if self.error_ == "mse" else 2
        for number, (weight, bias) in enumerate(zip(self.weights_, self.biases_, strict=True)):
            is_head = number >= len(self.weights_) - heads
            outputs = varying if is_head else weight.shape[-1]
            fine = fine and (weight.shape, bias.shape) == ((members, inputs, outputs), (members, 1, outputs))
            fine = fine and weight.dtype == bias.dtype == np.float32
            fine = fine and bool(np.isfinite(weight).all() and np.isfinite(bias).all())
            inputs = inputs if is_head else outputs  # the heads stand side by side
        if not fine:
            raise ValueError(f"{type(self).__name__}: the stored weights, biases or scales do not fit together")
        weighting = self.alpha_, self.beta_, self.min_variance_
        fine = self.error_ in ("mse", "pre", "apre") and all(isinstance(value, float) for value in weighting)
        if not (fine and np.isfinite(weighting).all() and self.alpha_ > 0 <= self.beta_ and self.min_variance_ > 0):
            raise ValueError(
                f"{type(self).__name__}: error_={self.error_!r} with alpha_, beta_, min_variance_={weighting}; an "
                "error of the docstring and finite floats are allowed, beta_ from 0, the others above it"
            )

    def _score(self, X: NDArray) -> NDArray:
        deviation, log_variance = self._parts(X)
        return -(deviation + log_variance).sum(axis=1)

    def reconstruct(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the members make of X on average, shape (n_samples, n_features), in the units of X.

        Its squared error is less than the mean of the members' errors, by the variance between the members.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        made = np.empty(X.shape)
        for start in range(0, len(X), ROWS):  # all members of all rows at once would be many times the data
            made[start : start + ROWS] = self._members(X[start : start + ROWS])[0].mean(axis=0)
        return made

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """`reconstruct(X)`."""
        return self.reconstruct(X)

    def reconstruct_members(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Mean and variance (None for "mse") by each member, (n_members, n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        mean, spread = self._members(self._validate(X, reset=False))
        return mean, None if spread is None else spread**2

    def _members(self, X: NDArray) -> tuple[NDArray, NDArray | None]:
        """Like `reconstruct_members`, but standard deviations: their squares may overflow where they do not."""
        k, varying = kernels.on(self.device), ~self.constant_features_
        found = k.reconstruction.reconstruct(k.array(self._varying(self._scaled(X))), *self._network(k))
        mean = np.zeros((len(self.weights_[0]), *X.shape))
        mean[..., varying] = k.numpy(found[0])
        mean = mean * self.scale_ + self.location_
        if self.error_ == "mse":
            return mean, None
        variance = np.ones_like(mean)
        variance[..., varying] = k.numpy(found[1])
        return mean, np.sqrt(variance) * self.scale_

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
        weighting = self.alpha_, self.beta_, self.min_variance_
        found = k.reconstruction.errors(k.array(self._varying(Z)), *self._network(k), *weighting)
        parts = [np.asarray(k.numpy(part)) for part in found]
        if not constant.any():
            return parts[0], parts[1]
        # constant columns are foretold to be what they were, with a scaled variance of 1
        variance = 1.0 if self.error_ == "mse" else max(1.0, self.min_variance_)
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
        share = (k.reconstruction.reconstruct(Z, *self._network(k))[1] <= self.min_variance_).mean()
        if share > 0.5:
            warnings.warn(
                f"AutoEncoder: {share:.0%} of all predicted variances lie at or below min_variance="
                f"{self.min_variance_:g}, so the score is mostly a plain squared error. Lower it, or use error='mse'.",
                UserWarning,
                stacklevel=3,
            )

    def _warn_of_cut_values(self, Z: NDArray) -> None:
        """Look for training values, scaled and without constant columns, that the network does not see whole."""
        beyond = np.flatnonzero(~self.constant_features_)[np.maximum(Z.max(axis=0), -Z.min(axis=0)) > INPUT_LIMIT]
        if beyond.size:
            names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))[beyond[:5]].tolist()
            warnings.warn(
                f"AutoEncoder: {beyond.size} columns ({', '.join(map(repr, names))}{', ...' * (beyond.size > 5)}) hold "
                f"training values beyond {INPUT_LIMIT:g} in scaled units. The network sees values cut there and cannot "
                "learn what lies beyond, which then rules the scores. Use scaling='standard', or mend gross values.",
                UserWarning,
                stacklevel=3,
            )
