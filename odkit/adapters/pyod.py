"""PyOD's detectors under odkit's contract: the sign is turned here, once, and whether scores can be trusted is asked.

Some of PyOD's detectors rank a scored batch together with the training rows, so that a row's score depends on its
companions. `PyOD.inductive_on(X)` finds out, by scoring; nothing is taken from a list of names.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.base import clone

from odkit._sklearn import check_is_fitted
from odkit.base import Detector

__all__ = ["PyOD", "wrap"]


class PyOD(Detector):
    """Any detector of PyOD as a detector of odkit.

    Assumes that the wrapped detector gives finite scores; PyOD's give infinity or NaN in places (its PCA on columns
    whose spread is rounding noise), and these pass through unrepaired, to be seen, also where all of them are such.

    Parameters
    ----------
    detector : pyod.models.base.BaseDetector
        Unfitted. It is cloned in `fit`; its own `contamination` and labels are not used.
    one_row_at_a_time : bool, default=False
        Score every row in a call of its own. Slow; it makes the scores of ECOD and COPOD independent of the batch,
        though not equal to their training scores.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).

    Attributes
    ----------
    detector_ : the fitted detector of PyOD
    training_scores_ : ndarray of shape (n_samples,)
        Normality of the training rows as PyOD's `fit` left it, minus `decision_scores_`. For KNN and others it is not
        `score_samples` of the same rows: there each row would be its own neighbour.
    offset_ : float
        Threshold on `training_scores_`, by `contamination`. Where none of them is finite, the lowest number there is:
        no finite score is flagged then.

    Notes
    -----
    **Score:** minus PyOD's `decision_function`, in its unit.
    **Cost:** PyOD's. For its ECOD and COPOD, scoring costs a refit of training and scored rows together.
    **Source:** Zhao, Nasrullah and Li, JMLR 2019.

    Examples
    --------
    >>> from pyod.models.knn import KNN
    >>> from odkit.adapters.pyod import PyOD
    >>> X = [[0.0], [0.1], [0.2], [0.3], [9.0]]
    >>> detector = PyOD(KNN(n_neighbors=1), contamination=0.2).fit(X)
    >>> detector.training_scores_.round(1)
    array([-0.1, -0.1, -0.1, -0.1, -8.7])
    >>> detector.predict([[0.1], [5.0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "detector": [BaseDetector],
        "one_row_at_a_time": ["boolean"],
    }

    def __init__(
        self, detector: BaseDetector, *, one_row_at_a_time: bool = False, contamination: float | str = 0.1
    ) -> None:
        self.detector = detector
        self.one_row_at_a_time = one_row_at_a_time
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        self.detector_ = clone(self.detector).fit(X)
        self.training_scores_ = -np.asarray(self.detector_.decision_scores_, dtype=np.float64)

    def _score(self, X: NDArray) -> NDArray:
        if self.one_row_at_a_time:
            return -np.concatenate([np.asarray(self.detector_.decision_function(row[None])).ravel() for row in X])
        return -np.asarray(self.detector_.decision_function(X), dtype=np.float64)

    def _fit_score(self, X: NDArray) -> NDArray:
        self._fit(X)
        return self.training_scores_

    def _quantile(self, scores: NDArray) -> float:
        finite = scores[np.isfinite(scores)]
        return super()._quantile(finite) if finite.size else float(np.finfo(np.float64).min)

    def inductive_on(self, X: ArrayLike) -> bool:
        """Does each row of X get the same score alone as in the batch (relative tolerance 1e-6)?

        Examples
        --------
        >>> import numpy as np
        >>> from pyod.models.ecod import ECOD
        >>> from pyod.models.knn import KNN
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> PyOD(ECOD()).fit(X).inductive_on(X[:5]), PyOD(KNN()).fit(X).inductive_on(X[:5])
        (False, True)
        """
        check_is_fitted(self)
        rows = self._validate(X, reset=False)
        alone = np.concatenate([self.score_samples(row[None]) for row in rows])
        return bool(np.allclose(alone, self.score_samples(rows), rtol=1e-6, atol=1e-9))


def wrap(detector: BaseDetector) -> PyOD:
    """The detector under odkit's contract; the benchmark calls it for classes that it finds in PyOD."""
    return PyOD(detector)
