"""TailOdds: every feature on the scale of how surprising its values are, so that distances compare surprises."""

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from odkit._sklearn import Interval, check_is_fitted, fit_context, validate_data
from odkit.kernels.cpu import ecdf, sorting, tail_table

__all__ = ["TailOdds"]


class TailOdds(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace every value by the log odds of its tails: log(share of training values >= x / share <= x), negated.

    The median goes to 0, the k-th largest of n values to about log(n / k), a value beyond the training range further
    still, by its excess in units of the mean excess of the feature's extremes. Ties share both tails. Every feature
    ends up on one scale, nats of surprise with a sign, whatever its unit, skewness or tail; the map is increasing, and
    one column stays one column, so explanations of a detector behind it belong to the features in front.

    Distances and densities after it are bolder in the tails than after z-scoring, and immune to gross outliers in the
    training rows, which hide all others from a mean and a standard deviation. **It fails** to help where anomalies lie
    in gaps between modes of a feature: ranks close gaps. Combine with a detector on z-scores there (`Consensus` does).

    Parameters
    ----------
    tail_cap : float > 0, default=50.0
        Most nats that the excess of one value may add.

    Attributes
    ----------
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    **Cost:** fit O(d n log n), transform O(m d log n); memory about one copy of the training rows.
    **Source:** the tail terms of `ECOD` (Li et al., 2022) as coordinates, U_right - U_left; the use as a scaling for
    distances is ours. On 123 one-class tables it lifts KNN(5, mean) from .764 to .787 mean ROC and from .498 to .550
    mean AP (`python -m benchmarks.tabular.consensus`).

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import TailOdds
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]])
    >>> TailOdds().fit_transform(X).ravel().round(2)
    array([-1.61, -0.69,  0.  ,  0.69,  1.61])
    >>> odds = TailOdds().fit(X)
    >>> odds.inverse_transform(odds.transform([[2.4], [2000.0]])).ravel().round(1)
    array([   2.4, 2000. ])
    """

    _parameter_constraints: dict = {"tail_cap": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, tail_cap: float = 50.0) -> None:
        self.tail_cap = tail_cap

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Sort the columns of X (n_samples, n_features); `y` is ignored."""
        rows: NDArray = validate_data(self, X, dtype=np.float64, order="C")
        self._table = sorting.sorted_columns(rows)[0]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Log odds of every cell, (n_samples, n_features)."""
        check_is_fitted(self)
        rows: NDArray = validate_data(self, X, reset=False, dtype=np.float64, order="C")
        left, right = ecdf.tail_terms(rows, self._table, float(self.tail_cap))
        right -= left
        return right

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Values with the given log odds: interpolated between training values, extrapolated by the tail scale."""
        check_is_fitted(self)
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"TailOdds: X has shape {X.shape}; (n_samples, {self.n_features_in_}) is needed")
        values = np.empty(X.shape)
        for j in range(X.shape[1]):
            keys, odds = tail_table.log_odds(self._table, j)
            low, high = self._table.scales[:, j]
            values[:, j] = np.interp(X[:, j], odds, keys)
            values[:, j] -= low * np.maximum(odds[0] - X[:, j], 0) - high * np.maximum(X[:, j] - odds[-1], 0)
        return values

    def _check_state(self) -> None:
        """Refuse a state that the compiled kernels, which check no bounds, must not see."""
        tail_table.check_table(self._table, self.n_features_in_)
