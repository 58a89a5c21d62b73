"""The contract every detector keeps: `fit`, then `score_samples`, `decision_function`, `predict`.

Scoring, shifting and deciding are three small methods bound by one identity on `offset_`. A detector supplies two
hooks, `_fit` and `_score`; everything a user can get wrong is caught here, before a hook sees the data.
Think twice before adding anything to this file.
"""

from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags

from odkit._sklearn import Interval, StrOptions, check_is_fitted, fit_context, validate_data
from odkit.fences import upper_fence

__all__ = ["Detector", "DetectorTags"]


@dataclass(slots=True)
class DetectorTags(Tags):
    """scikit-learn's tags and what a detector can do beyond the contract.

    Attributes
    ----------
    mergeable : bool
        `partial_fit(X)` and `merge(other)` exist: the model can be fitted on parts and the parts joined.
    explains : bool
        `explain(X)` gives one contribution per feature.
    """

    mergeable: bool = False
    explains: bool = False


class Detector(OutlierMixin, BaseEstimator):
    """Base of all detectors.

    A subclass sets `name_` attributes in `_fit(X)` and returns one number per row, higher = more normal, from
    `_score(X)`. Both get a validated X: 2-D, C-order, finite (NaN only by the tag `allow_nan`), float32 or float64.
    `_score` writes nothing to `self` and looks at one row at a time. For better training scores override `_fit_score`.

    `contamination`, where a detector has it, sets `offset_`: a share flags that share of the training rows; 'auto'
    flags what lies beyond Tukey's fence, the upper quartile + 1.5 interquartile ranges of the training anomaly scores.
    That assumes at least three quarters of ordinary rows, and flags 3 to 7 % of them with most detectors.
    """

    _parameter_constraints: dict = {"contamination": [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})]}
    _advice_on_gaps = "Impute the values or drop these rows."

    def __sklearn_tags__(self) -> DetectorTags:
        tags = super().__sklearn_tags__()
        known = {field.name: getattr(tags, field.name) for field in fields(tags)}
        return DetectorTags(**known, mergeable=hasattr(self, "merge"), explains=hasattr(self, "explain"))

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn what is normal from X (n_samples, n_features); `y` is ignored. A fit that fails leaves no model."""
        self._fit_and_score(X)
        return self

    def _fit_and_score(self, X: ArrayLike) -> NDArray:
        """`fit` without the check of parameters: the training scores."""
        try:
            X = self._validate(X, reset=True)
            scores = self._fit_score(X)
            self.offset_ = self._quantile(scores)
            if not np.isfinite(self.offset_):
                raise ValueError(
                    f"{type(self).__name__}: the training scores give the threshold {self.offset_}, which would flag "
                    "all rows or none. Rescale columns of huge or tiny numbers"
                )
        except BaseException:  # also a keyboard interrupt: parts of two models would score in silence
            self._forget()
            raise
        return scores

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Normality of each row of X, shape (n_samples,): higher = more normal, in the detector's own unit."""
        check_is_fitted(self)
        return np.asarray(self._score(self._validate(X, reset=False)), dtype=np.float64)

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """`score_samples(X) - offset_`, shape (n_samples,): negative = outlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """-1 for outliers, +1 for inliers, shape (n_samples,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _fit(self, X: NDArray) -> None:
        raise NotImplementedError

    def _score(self, X: NDArray) -> NDArray:
        raise NotImplementedError

    def _fit_score(self, X: NDArray) -> NDArray:
        """Fit and return the training scores that `offset_` is read from."""
        self._fit(X)
        return self._score(X)

    def _forget(self) -> None:
        """Drop what a fit has learnt."""
        for name in filter(lambda name: name.endswith("_"), list(vars(self))):
            delattr(self, name)

    def _quantile(self, scores: NDArray) -> float:
        if self.contamination == "auto":
            return -upper_fence(-scores)
        return float(np.percentile(scores, 100 * self.contamination))

    def _validate(self, X: ArrayLike, *, reset: bool) -> NDArray:
        """X as a C-order float32 or float64 matrix with the columns of the fit, or an error that names the fault."""
        try:
            checked = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], order="C", ensure_all_finite=False
            )
        except ValueError as error:
            if "same order" not in str(error):
                raise
            moved = [
                f"{given!r} stands where {known!r} was"
                for given, known in zip(getattr(X, "columns", ()), self.feature_names_in_, strict=False)
                if given != known
            ]
            raise ValueError(f"{error}\n{type(self).__name__}: {'; '.join(moved[:3])}.") from None
        self._check_finite(checked)
        return checked

    def _check_finite(self, X: NDArray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.dot(flat := X.ravel(order="K"), flat)):  # one pass, no mask, for the ordinary case
                return
        allow_nan = self.__sklearn_tags__().input_tags.allow_nan
        bad = np.isinf(X) if allow_nan else ~np.isfinite(X)
        if not (columns := np.flatnonzero(bad.any(axis=0))).size:
            return
        names = getattr(self, "feature_names_in_", np.arange(X.shape[1]))
        listed = ", ".join(repr(names[j].item() if hasattr(names[j], "item") else names[j]) for j in columns[:5])
        rows = np.flatnonzero(bad.any(axis=1))
        what = " and ".join(name for name, test in (("NaN", np.isnan), ("infinity", np.isinf)) if test(X[bad]).any())
        raise ValueError(
            f"{type(self).__name__}: Input X contains {what} in column{'s' * (columns.size > 1)} {listed}"
            f"{' and others' * (columns.size > 5)} ({rows.size} of {X.shape[0]} rows, the first is row {rows[0]}). "
            f"Finite numbers are allowed{', and NaN' * allow_nan}. {self._advice_on_gaps}"
        )
