"""What trained members make of rows, and the error that is left: the half of `AutoEncoder` that needs no torch."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import check_is_fitted
from odkit.kernels import cautions
from odkit.kernels.cpu.reconstruction import INPUT_LIMIT
from odkit.kernels.cpu.scaling import scales_fit

__all__ = ["Reconstruction"]

SAMPLE = 8192  # training rows at most that a look at the predicted variances takes
FAR = 2.0**500  # scaled values beyond this have no squares that can be added up
ROWS = 8160  # rows whose members `reconstruct` averages at once


class Reconstruction:
    """Mixin of a detector that holds trained members as numpy arrays and scores a row by its reconstruction error.

    The detector has the parameters `min_variance`, `scaling` and `device`; its fit sets the other attributes below.
    """

    min_variance: float
    scaling: str | None
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
        if not (fine and self._layers_fit(np.count_nonzero(~constant))):
            raise ValueError(f"{type(self).__name__}: the stored weights, biases or scales do not fit together")
        weighting = self.alpha_, self.beta_, self.min_variance_
        fine = self.error_ in ("mse", "pre", "apre") and all(isinstance(value, float) for value in weighting)
        if not (fine and np.isfinite(weighting).all() and self.alpha_ > 0 <= self.beta_ and self.min_variance_ > 0):
            raise ValueError(
                f"{type(self).__name__}: error_={self.error_!r} with alpha_, beta_, min_variance_={weighting}; an "
                "error of the docstring and finite floats are allowed, beta_ from 0, the others above it"
            )

    def _layers_fit(self, varying: Any) -> bool:
        """Finite float32 layers of as many members each, the inputs of each the outputs of the one before it."""
        layers, heads = (self.weights_, self.biases_), 1 if self.error_ == "mse" else 2
        if not all(isinstance(part, list | tuple) and len(part) > heads for part in layers) or len(layers[0]) != len(
            layers[1]
        ):
            return False
        arrays = [np.asarray(array) for part in layers for array in part]
        if not all(array.ndim == 3 and array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
            return False
        shapes = [array.shape for array in arrays]
        members, inner = shapes[0][0], [shape[2] for shape in shapes[: len(layers[0]) - heads]]
        widths = [*pairwise([varying, *inner]), *[(inner[-1], varying)] * heads]  # the heads stand side by side
        return shapes == [(members, *width) for width in widths] + [(members, 1, outputs) for _, outputs in widths]

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
        for rows in _pieces(len(X)):  # all members of all rows at once would be many times the data
            made[rows] = self._members(X[rows])[0].mean(axis=0)
        return made

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """`reconstruct(X)`."""
        return self.reconstruct(X)

    def reconstruct_members(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Mean and variance (None for "mse") by each member, (n_members, n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        mean = np.empty((len(self.weights_[0]), *X.shape))
        variance = None if self.error_ == "mse" else np.empty_like(mean)
        for rows in _pieces(len(X)):
            mean[:, rows], spread = self._members(X[rows])
            if variance is not None and spread is not None:
                variance[:, rows] = np.square(spread)
        return mean, variance

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
        with np.errstate(over="ignore"):  # a row beyond all numbers of this unit: an infinite error is its score
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
            cautions.warn(
                f"AutoEncoder: {share:.0%} of all predicted variances lie at or below min_variance="
                f"{self.min_variance_:g}, so the score is mostly a plain squared error. Lower it, or use error='mse'.",
            )

    def _check_range(self, Z: NDArray) -> None:
        """Look for training values, scaled and without constant columns, that the network does not see whole."""
        largest = np.maximum(Z.max(axis=0), -Z.min(axis=0))
        if largest.max() > FAR:
            raise ValueError(
                f"AutoEncoder: squares of training values overflow (largest {largest.max():g} in scaled units, scaling="
                f"{self.scaling!r}). Rescale the columns."
            )
        beyond = np.flatnonzero(~self.constant_features_)[largest > INPUT_LIMIT]
        if beyond.size:
            names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))[beyond[:5]].tolist()
            cautions.warn(
                f"AutoEncoder: {beyond.size} columns ({', '.join(map(repr, names))}{', ...' * (beyond.size > 5)}) hold "
                f"training values beyond {INPUT_LIMIT:g} in scaled units. The network sees values cut there and cannot "
                "learn what lies beyond, which then rules the scores. Use scaling='standard', or mend gross values.",
            )


def _pieces(n_rows: int) -> list[slice]:
    return [slice(start, start + ROWS) for start in range(0, n_rows, ROWS)]
