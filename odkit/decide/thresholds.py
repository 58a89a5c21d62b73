"""Rules that read a threshold off training scores, and `Threshold`, which gives any detector one of them.

Every rule takes anomaly scores (higher = more anomalous) and returns the score above which a row is flagged. Each says
what it assumes; none of them knows the error rate on new rows: for that, calibrate with `Conformal`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from odkit._sklearn import HasMethods, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.decide.wrapping import inner_has
from odkit.fences import upper_fence
from odkit.scores import expected, explain

__all__ = ["Threshold", "chi_square", "contamination", "median_mad", "pareto_tail", "tukey", "two_stage"]

NORMAL_MAD = 1.4826  # MAD of a normal distribution times this is its standard deviation
NORMAL_IQR = 1.349  # interquartile range of a normal distribution in standard deviations


def contamination(scores: ArrayLike, share: float = 0.1) -> float:
    """The `1 - share` quantile: assumes that the share of outliers in the training rows is known.

    >>> from odkit.decide import thresholds
    >>> float(thresholds.contamination(range(101), 0.05))
    95.0
    """
    if not 0 < share < 1:
        raise ValueError(f"contamination: share={share!r} must lie between 0 and 1")
    return float(np.quantile(_scores(scores), 1 - share))


def median_mad(scores: ArrayLike, k: float = 3.5) -> float:
    """Median + k standard deviations, the deviation read off the MAD: assumes roughly symmetric ordinary scores.

    Stands up to almost half of the rows being outliers. Skewed scores (distances, sums of logs) lie beyond it too
    often: of a chi-square with 2 degrees of freedom 5 % do, instead of .02 %.

    >>> from odkit.decide import thresholds
    >>> round(thresholds.median_mad([1, 2, 3, 4, 5, 6, 7, 8, 9, 1000]), 2)
    18.47
    """
    scores = _scores(scores)
    middle = np.median(scores)
    return float(middle + k * NORMAL_MAD * np.median(np.abs(scores - middle)))


def tukey(scores: ArrayLike, k: float = 1.5) -> float:
    """Upper quartile + k interquartile ranges: assumes that at least three quarters of the rows are ordinary.

    What `contamination="auto"` does in a detector. Of a normal distribution .3 % lie beyond it, of an exponential one
    4.8 %.

    >>> from odkit.decide import thresholds
    >>> float(thresholds.tukey([1, 2, 3, 4, 5]))
    7.0
    """
    return upper_fence(_scores(scores), k)


def pareto_tail(scores: ArrayLike, alpha: float = 0.01, tail: float = 0.1) -> float:
    """Score that an ordinary row exceeds with probability alpha: a generalised Pareto tail fitted to the excesses.

    Peaks over threshold (Pickands, 1975; Siffer et al., KDD 2017): the largest `tail` of the scores exceed u; their
    excesses are fitted by maximum likelihood with location 0. Assumes clean training rows and independent scores, and
    at least ten excesses; it may then look beyond the data, which a quantile cannot: alpha may be below 1 / n.
    """
    scores = np.sort(_scores(scores))
    k = round(tail * scores.size)
    if k < 10:
        raise ValueError(
            f"pareto_tail: {scores.size} scores with tail={tail:g} leave {k} excesses; at least 10 are needed: "
            "raise tail or give more rows"
        )
    if not 0 < alpha < tail:
        raise ValueError(f"pareto_tail: alpha={alpha!r} must lie between 0 and tail={tail:g}")
    u = scores[-k - 1]
    excesses = scores[-k:] - u
    if excesses[-1] == 0:
        return float(u)
    scale = excesses.mean()
    shape, _, width = stats.genpareto.fit(excesses / scale, floc=0)
    return float(u + scale * stats.genpareto.isf(alpha * scores.size / k, shape, scale=width))


def two_stage(scores: ArrayLike, k: float = 3.0, max_rounds: int = 10) -> float:
    """Mean + k standard deviations of the scores that are not themselves beyond it, repeated until nothing drops.

    The two-stage rule of Yang, Rahardja and Franti (2021), iterated. Assumes few outliers and light-tailed ordinary
    scores; with heavy tails it eats into the ordinary rows round by round.

    >>> from odkit.decide import thresholds
    >>> scores = [0.9, 1.0, 1.1, 0.8, 1.2, 1.0, 0.9, 1.1, 1.0, 1.0, 1.0, 50.0, 3.0]
    >>> round(thresholds.two_stage(scores), 2)
    1.31
    """
    kept = _scores(scores)
    limit = np.inf
    for _ in range(max_rounds):
        limit = float(kept.mean() + k * kept.std())
        if (kept <= limit).all():
            break
        kept = kept[kept <= limit]
    return limit


def chi_square(n_features: int, alpha: float = 0.01) -> float:
    """Mahalanobis distance that a Gaussian row exceeds with probability alpha; no scores are looked at.

    Only for distances of rows that are Gaussian with the fitted mean and covariance, n far above 10 n_features. On
    features of images it flags 25 % where it promises 1 %.

    >>> from odkit.decide import thresholds
    >>> round(thresholds.chi_square(2, 0.01), 3)
    3.035
    """
    if not 0 < alpha < 1:
        raise ValueError(f"chi_square: alpha={alpha!r} must lie between 0 and 1")
    return float(np.sqrt(stats.chi2.isf(alpha, n_features)))


def _scores(scores: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"thresholds: scores must be a vector of finite numbers; given shape {scores.shape}")
    return scores


RULES: dict[str, Callable[..., float]] = {
    "contamination": contamination,
    "median_mad": median_mad,
    "pareto_tail": pareto_tail,
    "tukey": tukey,
    "two_stage": two_stage,
}


class Threshold(Detector):
    """Any detector with another rule for `offset_`.

    The wrapped detector's scores pass through unchanged; only the line between inlier and outlier moves. **It fails**
    where the rule's assumption does (see the functions of this module), and says nothing about the error rate on new
    rows.

    Parameters
    ----------
    detector : estimator with score_samples
        Cloned, never changed.
    rule : {'contamination', 'median_mad', 'pareto_tail', 'tukey', 'two_stage'} or callable, default='tukey'
        A rule of this module by name, or a function from training anomaly scores (n,) to a threshold.
    options : dict or None, default=None
        Keyword arguments of the rule.

    Attributes
    ----------
    detector_ : the fitted clone
    offset_ : float
        Minus the rule's threshold, on `score_samples`.

    Notes
    -----
    **Score:** that of the wrapped detector.
    **Cost:** that of the wrapped detector, and one scoring of the training rows.
    **Source:** see the rules.

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import ECOD
    >>> from odkit.decide.thresholds import Threshold
    >>> X = np.append(np.random.default_rng(0).normal(size=(200, 2)), [[9.0, 9.0]], axis=0)
    >>> int((Threshold(ECOD(), rule="tukey").fit(X).predict(X) == -1).sum())
    2
    >>> int((Threshold(ECOD(), rule="median_mad", options={"k": 6}).fit(X).predict(X) == -1).sum())
    1
    """

    _parameter_constraints: dict = {
        "detector": [HasMethods(["fit", "score_samples"])],
        "rule": [StrOptions(set(RULES)), callable],
        "options": [dict, None],
    }

    def __init__(
        self,
        detector: Any,
        *,
        rule: str | Callable[..., float] = "tukey",
        options: dict[str, Any] | None = None,
    ) -> None:
        self.detector = detector
        self.rule = rule
        self.options = options

    def _fit(self, X: NDArray) -> None:
        self.detector_ = clone(self.detector).fit(X)

    def _score(self, X: NDArray) -> NDArray:
        return self.detector_.score_samples(X)

    def _quantile(self, scores: NDArray) -> float:
        rule = RULES[self.rule] if isinstance(self.rule, str) else self.rule
        return -float(rule(-scores, **(self.options or {})))

    @available_if(inner_has("explain"))
    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """The wrapped detector's contributions, (n_samples, n_features)."""
        check_is_fitted(self)
        return explain(self.detector_, self._validate(X, reset=False))

    @available_if(inner_has("expected"))
    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the wrapped detector would have found normal, (n_samples, n_features)."""
        check_is_fitted(self)
        return expected(self.detector_, self._validate(X, reset=False))
