"""What the fitted tails of single features say of rows: the half of `ECOD` that sees no training rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray

from odkit import kernels
from odkit._sklearn import check_is_fitted
from odkit.kernels.cpu import tail_table
from odkit.kernels.cpu.tail_table import TailTable

__all__ = ["FittedTails"]


class FittedTails:
    """Mixin of a detector that adds up the tail costs of a row's values.

    The detector has the parameters `nan_policy`, `n_jobs` and `device`, and sets `_table`, `skewness_sign_`,
    `_missing`, `aggregation_` and `tail_cap_` (0 where values beyond the training range cost no more) in its fit.
    """

    nan_policy: str
    n_jobs: int | None
    device: str | None
    aggregation_: str
    tail_cap_: float
    skewness_sign_: NDArray[np.int64]
    _table: TailTable
    _missing: NDArray[np.float64]
    _validate: Callable[..., NDArray]

    def _score(self, X: NDArray) -> NDArray:
        k, X, table = self._on_device(X)
        missing = k.state(self._neutral)
        if self.aggregation_ == "feature_max":
            return -k.numpy(k.ecdf.tail_max(X, table, self.tail_cap_, missing, n_jobs=self._jobs))
        signs = k.state(self.skewness_sign_)
        return -k.numpy(k.ecdf.tail_sums(X, table, signs, self.tail_cap_, missing, n_jobs=self._jobs)).max(axis=0)

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each feature to the anomaly score, (n_samples, n_features), in nats, >= 0.

        The larger tail of each feature or, with `aggregation='paper'`, the terms of the sum that won. Added in column
        order they give the anomaly score to the bit (`np.add.accumulate`); `numpy.sum` adds pairwise: to 1e-12.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        k, cells, table = self._on_device(X)
        left, right = map(k.numpy, k.ecdf.tail_terms(cells, table, self.tail_cap_, n_jobs=self._jobs))
        absent = np.isnan(X)
        if self.aggregation_ == "feature_max":
            return np.where(absent, self._neutral[2], np.maximum(left, right))
        left, right = (
            np.where(absent, means, tail) for means, tail in zip(self._neutral[:2], (left, right), strict=True)
        )
        terms = np.stack([left, right, np.where(self.skewness_sign_ < 0, left, right)])
        # a running sum adds in the order of the score, so ties go to the same winner
        winner = np.add.accumulate(terms, axis=2)[:, :, -1].argmax(axis=0)
        return terms[winner, np.arange(X.shape[0])]

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """The training median of every feature, for every row of X: (n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return np.tile(tail_table.medians(self._table), (X.shape[0], 1))

    def _on_device(self, X: NDArray) -> tuple[kernels.Backend, Any, Any]:
        """The kernels, X and the table where rows are scored."""
        k = kernels.on(self.device)
        return k, k.array(self._as_keys(X)), tail_table.TailTable(*map(k.state, self._table))

    def _as_keys(self, X: NDArray) -> NDArray:
        """X in the dtype of the training columns: comparing 0.1 with float32's 0.1 would lose the tie."""
        with np.errstate(over="ignore"):  # beyond all training values, also as infinity
            return X.astype(self._table.values.dtype, copy=False)

    @property
    def _neutral(self) -> NDArray[np.float64]:
        """What a missing cell contributes, (3, d); found here where `nan_policy` was set after an exact fit."""
        late = self.nan_policy == "neutral" and not self._missing.any()
        return tail_table.feature_means(self._table) if late else self._missing

    _jobs = property(lambda self: effective_n_jobs(self.n_jobs))
