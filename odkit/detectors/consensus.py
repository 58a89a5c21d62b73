"""Consensus: a few detectors of different kinds, averaged on one scale of surprise; nothing to choose."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.decide.agreement import Agreement, compare, hits, label_weights, mc_ndcg
from odkit.decide.member_reasons import divided, explains, mean_expected
from odkit.decide.surprise import surprise
from odkit.decide.wrapping import refuse_series
from odkit.detectors.portfolio import portfolio
from odkit.scores import anomaly_score

__all__ = ["Consensus"]


class Consensus(Detector):
    """The average surprise of several detectors: one default that needs no choosing.

    Each member's scores are put on the scale "how rare would a score this high be among the training rows", in nats,
    with an exponential tail beyond them; the consensus is their root mean square. A few members of different kinds
    (tails, neighbours on two scales, a density) cover what each alone is blind to. It assumes that members err in
    different ways. **It fails** where most members share a blindness: near-copies vote twice (see `agreement`), and a
    lone specialist is outvoted. Outliers among the training rows that stick together by the dozen fool the neighbours.

    Parameters
    ----------
    detectors : str or list of (name, estimator), default='balanced'
        'fast' (linear-time members), 'balanced', 'thorough' (see `portfolio`), or at least two of your own: anything
        with `score_samples`, pipelines included. A member that fails raises; none is dropped.
    combine : {'mean', 'rms', 'max', 'median'}, default='rms'
        How the members' nats become one number.
    tail_fraction : float in [0, 0.5], default=0.1
        Share of the largest training scores that the exponential tail is fitted to; 0 for none.
    tail_cap : float > 0, default=50.0
        Most nats that a score beyond them may add.
    weights : array-like of shape (n_members,), {'mc-ndcg', 'hits'} or None, default=None
        Weights of the members for 'mean' and 'rms'; a name computes them from the training scores without labels. None
        is equal weights, which nothing without labels has been seen to beat. See `weight_by_labels`.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    random_state : int, RandomState or None, default=None
        Seeds the members that take a `random_state`.
    n_jobs : int or None, default=None
        Members fitted at a time.

    Attributes
    ----------
    members_ : list of (name, fitted estimator)
    calibration_ : list of ndarray of shape (n_samples,)
        Each member's training anomaly scores, ascending.
    weights_ : ndarray of shape (n_members,), sum 1
    agreement_ : Agreement
        `agreement` of the training rows.
    offset_ : float
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    **Score:** minus the combined surprise, in nats; anomaly score in [0, log n + tail_cap + ...], 0 = most ordinary.
    **Cost:** the sum of the members' costs; O(log n) per row and member for the calibration.
    **Source:** calibration by empirical tail probabilities with an exponential tail, average instead of selection; the
    portfolio was chosen on one half of 123 one-class tables and confirmed on the other (docs/consensus.md).

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import Consensus
    >>> X = np.random.default_rng(0).normal(size=(300, 2)) @ [[1.0, 0.9], [0.0, 0.4]]
    >>> detector = Consensus(random_state=0).fit(X)
    >>> detector.predict([[0.0, 0.0], [2.0, -2.0]])  # ordinary in each column, odd together
    array([ 1, -1])
    >>> [name for name, _ in detector.members_]
    ['ecod', 'knn', 'odds-knn', 'gmm']
    """

    bench_version = 2  # its mixture takes no singular component

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "detectors": [StrOptions({"fast", "balanced", "thorough"}), list, tuple],
        "combine": [StrOptions({"mean", "rms", "max", "median"})],
        "tail_fraction": [Interval(Real, 0, 0.5, closed="both")],
        "tail_cap": [Interval(Real, 0, None, closed="neither")],
        "weights": ["array-like", StrOptions({"mc-ndcg", "hits"}), None],
        "random_state": ["random_state"],
        "n_jobs": [int, None],
    }

    def __init__(
        self,
        detectors: str | Sequence[tuple[str, Any]] = "balanced",
        *,
        combine: str = "rms",
        tail_fraction: float = 0.1,
        tail_cap: float = 50.0,
        weights: ArrayLike | str | None = None,
        contamination: float | str = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.detectors = detectors
        self.combine = combine
        self.tail_fraction = tail_fraction
        self.tail_cap = tail_cap
        self.weights = weights
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit_score(self, X: NDArray) -> NDArray:
        random = check_random_state(self.random_state)
        X = X.astype(np.float64, copy=False)
        members = self._members(len(X))
        for _, member in members:
            seeds = {name: int(random.randint(2**31)) for name in member.get_params() if name.endswith("random_state")}
            member.set_params(**seeds)
        fitted = Parallel(n_jobs=self.n_jobs, prefer="threads")(delayed(member.fit)(X) for _, member in members)
        self.members_ = [(name, member) for (name, _), member in zip(members, fitted, strict=True)]
        raw = self._raw(X)
        self.calibration_ = list(np.sort(raw, axis=0).T.copy())
        self.weights_ = self._given_weights(raw)
        self.agreement_ = compare([name for name, _ in members], raw)
        return -self._combine(self._nats(raw))

    def _score(self, X: NDArray) -> NDArray:
        return -self._combine(self._nats(self._raw(X)))

    def member_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Anomaly score of every row by every member, (n_samples, n_members), each in its own unit."""
        check_is_fitted(self)
        return self._raw(self._validate(X, reset=False))

    def calibrated(self, X: ArrayLike) -> NDArray[np.float64]:
        """Surprise of every row by every member, (n_samples, n_members), in nats."""
        return self._nats(self.member_scores(X))

    def agreement(self, X: ArrayLike) -> Agreement:
        """How far the members agree on the rows of X. See `Agreement`."""
        return compare([name for name, _ in self.members_], self.member_scores(X))

    def weight_by_labels(self, X: ArrayLike, is_outlier: ArrayLike) -> Self:
        """Set `weights_` from a few labelled rows, by how often each member ranks them best (`label_weights`).

        `offset_` stays; with five labelled outliers or fewer the weights stay near equal.
        """
        self.weights_ = label_weights(self.member_scores(X), is_outlier)
        return self

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each feature, (n_samples, n_features), in nats; rows sum to the anomaly score.

        Each member's part of the score is divided among the features like the member's own positive contributions; the
        part of a member that cannot explain itself (an isolation forest) like those of the members that can.
        """
        check_is_fitted(self)
        if self.combine not in ("mean", "rms"):
            raise TypeError(f"Consensus: combine={self.combine!r} has no additive explanation; use 'mean' or 'rms'")
        members = [member for _, member in self.members_]
        if not any(map(explains, members)):
            raise TypeError(
                "Consensus: no member explains its scores; `odkit.explanations.shapley` explains any detector"
            )
        X = self._validate(X, reset=False)
        nats = self._nats(self._raw(X))
        parts = self.weights_ * nats
        if self.combine == "rms":
            parts *= nats / np.maximum(self._combine(nats), np.finfo(float).tiny)[:, None]
        return divided(members, X, parts)

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """What the members would have found normal, (n_samples, n_features): their mean, weighted by their surprise."""
        check_is_fitted(self)
        X = self._validate(X, reset=False).astype(np.float64, copy=False)
        votes = self.weights_ * self._nats(self._raw(X)) + np.finfo(float).tiny
        return mean_expected([member for _, member in self.members_], X, votes)

    def _members(self, n_samples: int) -> list[tuple[str, Any]]:
        given = portfolio(self.detectors, n_samples) if isinstance(self.detectors, str) else list(self.detectors)
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in given):
            raise ValueError("Consensus: detectors must be (name, estimator) pairs, such as [('tails', ECOD()), ...]")
        if len(given) < 2:
            raise ValueError(f"Consensus: {len(given)} detector(s) given; a consensus takes at least 2")
        if len({name for name, _ in given}) < len(given):
            raise ValueError(f"Consensus: names must differ; given {[name for name, _ in given]}")
        for _, member in given:
            refuse_series("Consensus", member)
        return [(name, clone(member)) for name, member in given]

    def _raw(self, X: NDArray) -> NDArray:
        X = X.astype(np.float64, copy=False)
        scores = np.column_stack([anomaly_score(member, X) for _, member in self.members_])
        if np.isnan(scores).any():
            bad = self.members_[int(np.isnan(scores).any(axis=0).argmax())][0]
            raise ValueError(f"Consensus: member {bad!r} scored {int(np.isnan(scores).sum())} row(s) NaN")
        return scores

    def _nats(self, raw: NDArray) -> NDArray:
        options = {"tail_fraction": self.tail_fraction, "tail_cap": self.tail_cap}
        pairs = zip(self.calibration_, raw.T, strict=True)
        return np.column_stack([surprise(known, column, **options) for known, column in pairs])

    def _combine(self, nats: NDArray) -> NDArray:
        if self.combine == "mean":
            return np.vecdot(nats, self.weights_)  # row by row: a product with a vector takes rows in groups
        if self.combine == "rms":
            return np.sqrt(np.vecdot(nats**2, self.weights_))
        return nats.max(axis=1) if self.combine == "max" else np.median(nats, axis=1)

    def _given_weights(self, raw: NDArray) -> NDArray:
        if self.weights is None:
            weights = np.ones(raw.shape[1])
        elif isinstance(self.weights, str):
            weights = mc_ndcg(raw) if self.weights == "mc-ndcg" else hits(raw)[1]
        else:
            weights = np.asarray(self.weights, dtype=np.float64)
        if weights.shape != (raw.shape[1],) or (weights < 0).any() or not 0 < weights.sum() < np.inf:
            raise ValueError(
                f"Consensus: weights must be {raw.shape[1]} numbers >= 0, not all 0; given {self.weights!r}"
            )
        return weights / weights.sum()
