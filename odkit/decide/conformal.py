"""Conformal: p-values that hold, from any detector (Vovk et al.; Bates et al., Annals of Statistics 2023).

A row's p-value is the share of calibration rows that look at least as anomalous, the row itself counted. If the row is
exchangeable with the calibration rows, P(p <= alpha) <= alpha, whatever the detector and the distribution.
"""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from odkit._sklearn import HasMethods, Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.decide.calibration import Calibration, check_resolution, p_values, threshold
from odkit.decide.calibration_rows import held_out_parts, row_groups, row_weights
from odkit.decide.fdr import benjamini_hochberg, e_benjamini_hochberg, storey
from odkit.decide.wrapping import inner_has, refuse_series
from odkit.scores import expected, explain

__all__ = ["Conformal"]


def _numbers(scores: ArrayLike, what: str) -> NDArray[np.float64]:
    scores = np.asarray(scores, dtype=np.float64)
    absent = np.count_nonzero(np.isnan(scores))
    if absent:
        raise ValueError(f"Conformal: the wrapped detector scored {absent} of {scores.size} {what} NaN")
    return scores


class Conformal(Detector):
    """A detector with p-values: small = anomalous, and `predict` is -1 exactly when p <= alpha.

    Assumes that ordinary new rows and the calibration rows are exchangeable. **It fails**, by flagging too much, when
    the data drift between fitting and use (give `weight` if the drift is in known covariates), and by flagging too
    little when outliers sit in the calibration rows: they raise every p-value. With a share c of outliers there, the
    false alarms among ordinary rows fall below alpha, to alpha - c or so where they all score high.

    Parameters
    ----------
    detector : estimator with score_samples, default=None
        Cloned, never changed. None is `ECOD()`.
    method : {'split', 'loo', 'cv+', 'jackknife+'}, default='split'
        'split' fits on one part and calibrates on the other: exact validity. 'loo' fits on all rows and calibrates on
        leave-one-out scores that the detector gives in closed form (`KNN`, `Mahalanobis`): no row is lost, validity
        is approximate. 'cv+' fits `n_folds` models, each row calibrated by the model that has not seen it, and ranks a
        new row within every fold: level 2 alpha is guaranteed, alpha is what is seen. 'jackknife+' is 'cv+' with one
        fold per row.
    alpha : float in (0, 1), default=0.05
        Share of ordinary rows that `predict` may flag.
    calibration_size : float in (0, 1) or int >= 1, default=0.3
        Share or number of rows held out by 'split'. The smallest possible p-value is 1 / (n_calibration + 1).
    n_folds : int >= 2, default=10
        Folds of 'cv+'.
    weight : callable or None, default=None
        Density ratio new / old of a row: takes X (n, d), gives (n,) positive numbers. p-values become weighted shares
        (Tibshirani et al., 2019).
    group : callable or None, default=None
        Takes X (n, d), gives (n,) labels: p-values are calibrated within each row's group (Mondrian), so that every
        group gets its own alpha. A group without calibration rows is an error.
    random_state : int, RandomState or None, default=None
        Draws the split or the folds, and seeds the detector where it takes a `random_state`.

    Attributes
    ----------
    detector_ : the fitted clone of 'split' and 'loo'; the first of `detectors_`
    detectors_ : list of fitted clones, one per fold for 'cv+' and 'jackknife+'
    calibration_ : Calibration
        Named tuple of arrays of shape (n_calibration,): `scores`, `fold`, `weight`, `group`.
    offset_ : float
        Threshold on `score_samples`.

    Notes
    -----
    **Score:** that of the wrapped detector where one threshold on it serves all rows. With folds, weights or groups
    none does: then the p-value, lowered within its step of 1 / (n_calibration + 1) by the mean score, so that rows with
    equal p-values keep an order.
    **Cost:** one fit ('split', 'loo'), n_folds fits, or n fits; a p-value costs a binary search beside the score.
    **Source:** p = (1 + #{calibration <= s}) / (n_calibration + 1) with s the normality; cross-conformal p-values of
    Vovk (2015), jackknife+ and CV+ of Barber et al. (2021).

    Examples
    --------
    The 5 % promise, kept on rows never seen, and a p-value for a plain outlier:

    >>> import numpy as np
    >>> from odkit import Conformal, ECOD
    >>> rng = np.random.default_rng(0)
    >>> detector = Conformal(ECOD(), alpha=0.05, random_state=0).fit(rng.normal(size=(2000, 3)))
    >>> bool(0.03 < np.mean(detector.predict(rng.normal(size=(5000, 3))) == -1) < 0.07)
    True
    >>> detector.p_values([[0.0, 0.0, 0.0], [5.0, 5.0, 5.0]]).round(3)
    array([1.   , 0.002])
    """

    _parameter_constraints: dict = {
        "detector": [HasMethods(["fit", "score_samples"]), None],
        "method": [StrOptions({"split", "loo", "cv+", "jackknife+"})],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "weight": [callable, None],
        "group": [callable, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        detector: Any = None,
        *,
        method: str = "split",
        alpha: float = 0.05,
        calibration_size: float = 0.3,
        n_folds: int = 10,
        weight: Callable[[NDArray], NDArray] | None = None,
        group: Callable[[NDArray], NDArray] | None = None,
        random_state: Any = None,
    ) -> None:
        self.detector = detector
        self.method = method
        self.alpha = alpha
        self.calibration_size = calibration_size
        self.n_folds = n_folds
        self.weight = weight
        self.group = group
        self.random_state = random_state

    def _fit_score(self, X: NDArray) -> NDArray:
        random = check_random_state(self.random_state)
        n = X.shape[0]
        if n < 2:
            raise ValueError(f"Conformal: n_samples={n} leaves nothing to calibrate on; at least 2 are needed")
        parts = held_out_parts(n, self.method, self.calibration_size, self.n_folds, random)
        template = self._template(random)
        self.detectors_ = [clone(template).fit(X[train]) for train, _ in parts]
        self.detector_ = self.detectors_[0]
        rows = np.concatenate([held for _, held in parts])
        if self.method == "loo":
            scores = self._leave_one_out(X)
        else:
            scores = np.concatenate(
                [model.score_samples(X[held]) for model, (_, held) in zip(self.detectors_, parts, strict=True)]
            )
        self.calibration_ = Calibration(
            scores=_numbers(scores, "calibration rows"),
            fold=np.repeat(np.arange(len(parts)), [held.size for _, held in parts]),
            weight=row_weights(self.weight, X[rows]),
            group=row_groups(self.group, X[rows]),
        )
        check_resolution(self.calibration_, self.alpha)
        return scores

    def _quantile(self, scores: NDArray) -> float:
        return threshold(scores, self.alpha) if self._has_threshold else float(np.nextafter(self.alpha, 1.0))

    def _score(self, X: NDArray) -> NDArray:
        members = self._member_scores(X)
        mean = members.mean(axis=0)
        if self._has_threshold:
            return mean
        p = self._p_values(X, members)
        step = 1 / (self.calibration_.scores.size + 1)
        room = np.where(p > self.alpha, np.minimum(step, p - self.alpha), step)  # never across the line
        return p - room * (0.499 - 0.499 * mean / (1 + np.abs(mean)))

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        """p-value of each row of X, shape (n_samples,), in (0, 1]; small = anomalous.

        Raises
        ------
        ValueError
            For a row of a group that has no calibration rows.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._p_values(X, self._member_scores(X))

    def select(self, X: ArrayLike, *, fdr: float = 0.05, procedure: str = "bh") -> NDArray[np.bool_]:
        """Rows of a batch to look at, so that at most a share `fdr` of them are false alarms, in expectation.

        Which rows are selected depends on the batch. `procedure`: 'bh' (Benjamini-Hochberg), 'storey', or 'e-bh' on
        e-values 1 / (2 sqrt(p)). A batch in which nothing stands out selects nothing. Few calibration rows select
        nothing either: about 1 / p_min must exceed batch size / (fdr * number of outliers).
        """
        p = self.p_values(X)
        if procedure == "bh":
            return benjamini_hochberg(p, fdr)
        if procedure == "storey":
            return storey(p, fdr)
        if procedure == "e-bh":
            return e_benjamini_hochberg(0.5 / np.sqrt(p), fdr)
        raise ValueError(f"Conformal.select: procedure={procedure!r}; allowed are 'bh', 'storey' and 'e-bh'")

    @available_if(inner_has("explain"))
    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """The wrapped detector's contributions, (n_samples, n_features); the mean over folds."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return np.mean([explain(model, X) for model in self.detectors_], axis=0)

    @available_if(inner_has("expected"))
    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the wrapped detector would have found normal, (n_samples, n_features); the mean over folds."""
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return np.mean([expected(model, X) for model in self.detectors_], axis=0)

    @property
    def _has_threshold(self) -> bool:
        return self.method in ("split", "loo") and self.weight is None and self.group is None

    def _template(self, random: np.random.RandomState) -> Any:
        if self.detector is None:
            from odkit.detectors.ecod import ECOD

            template: Any = ECOD()
        else:
            template = clone(self.detector)
            refuse_series("Conformal", template)
        if "random_state" in template.get_params():
            template.set_params(random_state=int(random.randint(np.iinfo(np.int32).max)))
        return template

    def _leave_one_out(self, X: NDArray) -> NDArray:
        if not hasattr(self.detector_, "leave_one_out_scores"):
            raise TypeError(
                f"Conformal: method='loo' needs leave_one_out_scores, which {type(self.detector_).__name__} has not; "
                "KNN and Mahalanobis have it. Use method='split' or 'cv+'"
            )
        return self.detector_.leave_one_out_scores(X)

    def _member_scores(self, X: NDArray) -> NDArray:
        """(models, rows) normality."""
        return np.stack([_numbers(model.score_samples(X), "rows") for model in self.detectors_])

    def _p_values(self, X: NDArray, members: NDArray) -> NDArray[np.float64]:
        return p_values(self.calibration_, members, row_weights(self.weight, X), row_groups(self.group, X))
