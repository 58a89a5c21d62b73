"""Thresholds for training sets of normal rows: a stated share of further normal rows is flagged.

In-sample percentiles cannot do that: a model is closer to the rows it was fitted to than to any other.
"""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from odkit._sklearn import Interval, StrOptions
from odkit.base import Detector
from odkit.kernels import cautions
from odkit.kernels.cpu import quantiles
from odkit.mergeable import SAMPLE_ROWS, Mergeable

__all__ = ["SHRINKAGE", "FalseAlarms", "warn_of_few"]

SHRINKAGE = [  # what `odkit.kernels.level.fit` takes, as scikit-learn's constraint of a parameter
    StrOptions({"ledoit_wolf", "oas", "empirical", "diag"}),
    Interval(Real, 0, 1, closed="both"),
    tuple,
]
ALONE = 1e8  # times the median square: what the underflow floor of the variances makes of a row, not a heavy tail
FALSE_ALARMS = 100  # behind a leave-one-out threshold, where rows suffice: a standard error of at most 10 % of fpr


class FalseAlarms(Mergeable):
    """Base of detectors with a Mahalanobis-like distance whose `offset_` is set by a rate of false alarms, `fpr`.

    A subclass scores minus a distance, gives the leave-one-out distances of its training rows in `_left_out(X)`, sets
    `n_directions_` (degrees of freedom of "chi2"), and has the parameters of `_parameter_constraints` here:

    - threshold "loo": conformal quantile of leave-one-out distances, of a uniform sample where rows are many or gone;
      "gamma": quantile of a gamma law fitted to their squares; "split": conformal quantile of rows held out of the fit;
      "chi2": quantile of the chi-square law; "prequential": conformal quantile of the last `n_calibration` distances,
      each taken before its block was absorbed (of the first block: leave-one-out).
    - contamination, where it is not None: as in `Detector`.
    """

    _parameter_constraints: dict = {
        "threshold": [StrOptions({"auto", "loo", "split", "gamma", "chi2", "prequential"})],
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "contamination": [*Detector._parameter_constraints["contamination"], None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_calibration": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def _left_out(self, X: NDArray) -> NDArray:
        raise NotImplementedError

    def _rule(self) -> str:
        if self.contamination is not None:
            return "contamination"
        return "loo" if self.threshold == "auto" else self.threshold

    def _fit(self, X: NDArray) -> None:
        super()._fit(X)
        if not hasattr(self, "partial_fit"):  # no block will follow, so no rows are kept
            del self._stats, self._sample

    def _fit_score(self, X: NDArray) -> NDArray:
        rule = self._rule()
        self.loo_distances_ = None
        if rule == "split":
            n_held_out = math.ceil(self.calibration_fraction * len(X))
            if len(X) - n_held_out < 2:
                raise ValueError(
                    f"{type(self).__name__}: n_samples={len(X)} leaves {len(X) - n_held_out} rows to fit with "
                    f"calibration_fraction={self.calibration_fraction:g}; give more rows or lower it"
                )
            order = check_random_state(self.random_state).permutation(len(X))
            self._fit(X[order[n_held_out:]])
            return self._score(X[order[:n_held_out]])
        self._fit(X)
        if rule not in ("loo", "gamma"):
            return self._reference_scores(X)
        enough = max(SAMPLE_ROWS, math.ceil(FALSE_ALARMS / self.fpr))  # what a stream has, at least
        if len(X) > enough:
            X = X[_spread_rows(len(X), enough, np.random.default_rng(self._seed))]
        self.loo_distances_ = self._left_out(X)
        return -self.loo_distances_

    def _sample_offset(self, rows: NDArray) -> float:
        self.loo_distances_ = None
        return self._quantile(self._reference_scores(rows))

    def _reference_scores(self, X: NDArray) -> NDArray:
        """The scores of training rows X that `_quantile` reads its threshold from."""
        rule = self._rule()
        if rule == "prequential" and len(self._stats["calibration"]):  # else parts without a model made one together
            return -self._stats["calibration"]
        if rule == "contamination":
            return self._score(X)
        return np.empty(0) if rule == "chi2" else -self._left_out(X)

    def _quantile(self, scores: NDArray) -> float:
        rule = self._rule()
        if rule == "contamination":
            return super()._quantile(scores)
        if rule == "gamma":
            return -math.sqrt(quantiles.gamma_quantile(self._of_law(scores**2), self.fpr))
        if rule == "chi2":
            return -math.sqrt(self._law_quantile())
        n, needed = len(scores), _least(self.fpr)
        if n < needed:
            cautions.warn(
                f"{type(self).__name__}: {n} rows are too few for threshold={rule!r} at fpr={self.fpr:g}, which needs "
                f"{needed}: normal rows will be flagged more often. {self._more_rows(n, needed)}"
            )
        return -quantiles.conformal_quantile(-scores, self.fpr)

    def _law_quantile(self) -> float:
        """The squared distance that a share `fpr` of normal rows exceeds by the law "chi2"."""
        self._check_law(10 * self.n_directions_, "loo")
        return quantiles.chi2_quantile(self.n_directions_, self.fpr)

    def _check_law(self, needed: int, instead: str) -> None:
        """Warn where so few rows were fitted that the law of the distances is not the one it tends to."""
        if self.n_samples_seen_ < needed:
            cautions.warn(
                f"{type(self).__name__}: {self.n_samples_seen_} rows are too few for threshold='chi2' at "
                f"fpr={self.fpr:g}, which needs {needed}: normal rows will be flagged more often. Give "
                f"more rows, or take threshold={instead!r}"
            )

    def _of_law(self, squares: NDArray) -> NDArray:
        """Leave-one-out squares without those of rows that are the only ones with a spread in some direction."""
        alone = squares > ALONE * np.median(squares)
        if alone.any():
            cautions.warn(
                f"{type(self).__name__}: {alone.sum()} of {len(squares)} rows are alone in a direction, so that they "
                "are infinitely far from the others; threshold='gamma' is fitted without them. Take threshold='loo', "
                "shrinkage='ledoit_wolf', or drop columns in which a single row differs"
            )
        return squares[~alone]

    def _more_rows(self, n: int, needed: int) -> str:
        """What brings a conformal threshold the reference scores that it lacks."""
        if self._rule() == "prequential" and n >= self.n_calibration:
            return f"Raise fpr or n_calibration, to {needed}"
        if n == SAMPLE_ROWS < self.n_samples_seen_:
            return (
                f"No number of further rows helps, since partial_fit and merge remember {n} of them. Raise fpr, fit "
                f"all rows at once, or take threshold='gamma' or 'prequential' with n_calibration={needed}"
            )
        return "Raise fpr or give more rows"

    def _absorb(self, X: NDArray, stats: dict[str, Any]) -> None:
        if self._rule() != "prequential":
            return super()._absorb(X, stats)
        first = not hasattr(self, "offset_")
        stats["calibration"] = np.empty(0) if first else -self._score(X)
        super()._absorb(X, stats)
        if first and self._has_model():
            self._stats["calibration"] = self._left_out(X)[-self.n_calibration :]

    def _join(self, stats: dict[str, Any], sample: dict[str, NDArray], n_samples: int) -> None:
        before = getattr(self, "_stats", {}).get("calibration", np.empty(0))
        super()._join(stats, sample, n_samples)
        if "calibration" in stats:
            self._stats["calibration"] = np.concatenate([before, stats["calibration"]])[-self.n_calibration :]

    def _merge_key(self) -> dict[str, Any]:
        return {**super()._merge_key(), "threshold == 'prequential'": self._rule() == "prequential"}


def warn_of_few(who: str, n: int, what: str, fpr: float, advice: str) -> None:
    """Warn where a conformal threshold cannot keep its promise."""
    needed = _least(fpr)
    if n < needed:
        cautions.warn(
            f"{who}: {n} {what} are too few for a threshold at fpr={fpr:g}, which needs {needed}: more than that "
            f"share of the normal ones will be flagged. {advice}"
        )


def _least(fpr: float) -> int:
    """Reference scores below which a conformal threshold cannot keep its promise."""
    return math.ceil(1 / fpr - 1 - 1e-9)


def _spread_rows(n: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A random row out of each of `size` equal stretches of n rows: ascending, so that memory is read in order."""
    return np.minimum((np.arange(size) + rng.random(size)) * (n / size), n - 1).astype(np.intp)
