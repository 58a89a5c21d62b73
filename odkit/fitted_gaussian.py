"""What a fitted Gaussian says of rows: the half of `Mahalanobis` that needs no training rows but those it is given."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import check_is_fitted
from odkit.kernels import level

__all__ = ["FittedGaussian"]


class FittedGaussian:
    """Mixin of a detector that scores a row by its distance from one Gaussian, `odkit.kernels.level.Level`.

    The detector has the parameters `normalize` and `device`, and sets every field of the level, with an underscore at
    its end, and `n_samples_seen_` in its fit.
    """

    normalize: str | None
    device: str | None
    logdet_: float
    n_directions_: int
    n_samples_seen_: int
    n_features_in_: int
    score_samples: Callable[[ArrayLike], NDArray[np.float64]]
    _validate: Callable[..., NDArray]

    def distances(self, X: ArrayLike) -> NDArray[np.float64]:
        """Mahalanobis distance of each row, shape (n_samples, 1), >= 0: one column, for one matrix of features."""
        return -self.score_samples(X)[:, None]

    def log_density(self, X: ArrayLike) -> NDArray[np.float64]:
        """Gaussian log-density of each row, shape (n_samples,), in nats, within the directions that count."""
        squares = self.score_samples(X) ** 2
        return -0.5 * (squares + self.logdet_ + self.n_directions_ * math.log(2 * math.pi))

    def explain(self, X: ArrayLike, kind: str = "share") -> NDArray[np.float64]:
        """Part of each feature in the squared distance, shape (n_samples, n_features).

        "share": z_j (precision z)_j with z = x - location; rows sum to `score_samples(X) ** 2`, single shares may be
        negative. "conditional": the fall of the squared distance if the feature is taken out of the model, >= 0: large
        where a value does not fit the other values of its row.
        """
        if kind not in ("share", "conditional"):
            raise ValueError(f"Mahalanobis.explain: kind={kind!r} is unknown; allowed are 'share' and 'conditional'")
        check_is_fitted(self)
        X = self._prepared(self._validate(X, reset=False))
        return level.contributions(kernels.on(self.device), self._level(), X, kind)

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """Value of each feature that the row's other features lead to expect, shape (n_samples, n_features).

        In the units of X; with `normalize='l2'` in those of the normalised rows.
        """
        check_is_fitted(self)
        X = self._prepared(self._validate(X, reset=False))
        return level.conditional_means(kernels.on(self.device), self._level(), X)

    def _check_state(self) -> None:
        """Refuse a stored state that is no Gaussian over the columns."""
        level.check(self._level(), self.n_features_in_)

    def _level(self) -> level.Level:
        return level.Level(*(getattr(self, f"{name}_") for name in level.Level._fields))

    def _score(self, X: NDArray) -> NDArray:
        return -np.sqrt(level.distance_sq(kernels.on(self.device), self._level(), self._prepared(X)))

    def _left_out(self, X: NDArray) -> NDArray:
        """Leave-one-out distances of training rows."""
        X = self._prepared(X)
        return np.sqrt(level.left_out_sq(kernels.on(self.device), self._level(), X, self.n_samples_seen_))

    def _prepared(self, X: NDArray) -> NDArray:
        if self.normalize is None:
            return X
        norms = np.linalg.norm(X.astype(np.float64, copy=False), axis=1, keepdims=True)
        return X / np.where(norms > 0, norms, 1.0)
