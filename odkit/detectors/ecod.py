"""ECOD: a row is as anomalous as its values are extreme, feature by feature (Li et al., IEEE TKDE 2022)."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit import kernels
from odkit._sklearn import Interval, StrOptions
from odkit.base import DetectorTags
from odkit.fitted_tails import FittedTails
from odkit.kernels import cautions
from odkit.kernels.cpu import sorting, staircase, tail_memory, tail_table
from odkit.mergeable import Mergeable

__all__ = ["ECOD"]


class ECOD(FittedTails, Mergeable):
    """Outliers by empirical tail probabilities of single features.

    For every feature it takes the share of training values at least as small, and the share at least as large, as the
    row's value, turns both into `-log p`, and adds over the features. No distances, no training loop, nothing to tune,
    no scaling needed; new rows are compared with the training rows only. Training rows may come in blocks and parts
    (`partial_fit`, `merge`), which gives the model of one `fit` to the bit or, compressed, within a stated error.

    It sees one feature at a time. **It fails** where each value is ordinary and only the combination is odd (use
    `Mahalanobis`, `GMM` or `KNN`), where outliers sit between two modes of a feature, and on one-hot columns, where a
    rare category is all it can see. A column that was constant in training costs `tail_cap` for any other value:
    drop or round such columns.

    Parameters
    ----------
    aggregation : {'feature_max', 'paper'}, default='feature_max'
        'feature_max' adds the larger tail of every feature. 'paper' adds left tails, right tails and the tails on the
        side of each feature's skewness, and takes the largest of the three sums (Algorithm 1).
    tail : {'exponential', None}, default='exponential'
        Values beyond the training range cost more the farther they lie, in units of the mean excess of the feature's
        extremes. None: they all cost log n. Training scores do not depend on it.
    tail_cap : float > 0, default=50.0
        Most nats that the excess of one value may add.
    compression : float in (0, 0.5] or None, default=None
        None keeps the training columns. A number keeps a state whose size hardly grows with the rows and whose log
        tail probabilities are within that many nats of the exact ones, for any order, blocks and merges; feed blocks of
        16,384 rows or more. Fewer than 1 / compression rows stay exact; `tail_error_` tells what more of them lost.
    nan_policy : {'error', 'neutral'}, default='error'
        'neutral': a missing cell contributes the feature's mean training contribution, so that missingness neither
        hides nor flags a row. Infinity is always an error.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    random_state : int, RandomState or None, default=None
        Draws the sample of training rows that `offset_` is read from after `partial_fit` and `merge`; nothing else.
    n_jobs : int or None, default=None
        Threads, as in scikit-learn. Results do not depend on it, to the bit.
    device : str or None, default=None
        Where rows are scored: None or 'cpu' by compiled code, 'cuda', 'cuda:1' by torch (needs float64 there; equal to
        1e-12 relative). Fitting sorts on the cpu.

    Attributes
    ----------
    offset_ : float
        Threshold on `score_samples`.
    n_samples_seen_ : int
        Training rows, those of `partial_fit` and `merge` included.
    skewness_sign_ : ndarray of shape (n_features_in_,), int64
        Sign of each feature's third central moment.
    tail_scale_ : ndarray of shape (2, n_features_in_)
        Mean excess of the smallest and of the largest training values, in the feature's unit.
    tail_error_ : float
        Largest error of a log tail probability, known from bounds: 0.0 when exact, else at most `compression`.
    aggregation_, tail_cap_
        What scores go by, whatever is set afterwards: the parameters when rows were last learnt (0: no tail).
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    **Score:** minus the sum of -log tail probabilities, in nats; anomaly score in [0, d (log n + tail_cap)].
    **Cost:** fit O(d n log n); score O(m d log n), below a millisecond for one row; memory about one copy of X.
    Compressed: some log(n)/compression numbers a feature to score with, which is all that `compact()` keeps; ten times
    that to go on learning, besides at most 16,384 rows that wait and 4,096 that are sampled.
    **Source:** arXiv 2201.00382, Algorithm 1. Deviations: scoring is inductive (the paper and PyOD rank a new row
    within its batch), 'feature_max' is PyOD's aggregation, the tail excess is ours. Training scores equal PyOD's
    unless a column's skewness is exactly 0, where PyOD adds both tails.

    Examples
    --------
    One value is common, one is the largest seen, one lies far beyond:

    >>> import numpy as np
    >>> from odkit import ECOD
    >>> X = np.array([[1.0], [2.0], [2.0], [3.0], [10.0]])
    >>> detector = ECOD(contamination=0.2).fit(X)
    >>> -detector.score_samples([[2.0], [10.0], [50.0]]).round(2)
    array([ 0.51,  1.61, 13.92])
    >>> detector.predict([[2.0], [50.0]])
    array([ 1, -1])

    Which feature made a row stand out:

    >>> detector = ECOD().fit(np.column_stack([X, X[::-1]]))
    >>> detector.explain([[2.0, 50.0]]).round(2)
    array([[ 0.51, 13.92]])
    """

    _parameter_constraints: dict = {
        **Mergeable._parameter_constraints,
        "aggregation": [StrOptions({"feature_max", "paper"})],
        "tail": [StrOptions({"exponential"}), None],
        "tail_cap": [Interval(Real, 0, None, closed="neither")],
        "compression": [Interval(Real, 0, 0.5, closed="right"), None],
        "nan_policy": [StrOptions({"error", "neutral"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "device": [str, None],
    }
    _merge_parameters = ("aggregation", "compression", "nan_policy")
    _steps: staircase.Staircase | None = None

    def __init__(
        self,
        *,
        aggregation: str = "feature_max",
        tail: str | None = "exponential",
        tail_cap: float = 50.0,
        compression: float | None = None,
        nan_policy: str = "error",
        contamination: float | str = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.aggregation = aggregation
        self.tail = tail
        self.tail_cap = tail_cap
        self.compression = compression
        self.nan_policy = nan_policy
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def __sklearn_tags__(self) -> DetectorTags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.nan_policy == "neutral"
        return tags

    def _start(self) -> None:
        kernels.on(self.device)  # an absent device is an error of the fit, not of the first score
        super()._start()

    def _fit_score(self, X: NDArray) -> NDArray:
        if self.compression is not None:
            return super()._fit_score(X)
        # training scores come from the ranks that sorting gives anyway, and equal `_score(X)` to the bit
        self._start()
        stats, sums = self._sort(X)
        self._absorb(X, stats)
        return -sums.max(axis=0)

    def _partial_stats(self, X: NDArray) -> dict[str, Any]:
        X = self._learnt(X) if hasattr(self, "_stats") else X
        if self.compression is not None:
            return tail_memory.remember(X, self.compression, n_jobs=self._jobs)
        return self._sort(X)[0]

    def _learnt(self, X: NDArray) -> NDArray:
        """X in the dtype of the rows seen so far."""
        keys = self._as_keys(X)
        if keys is not X and np.isinf(keys).any():
            raise ValueError(
                f"ECOD.partial_fit: {np.nanmax(np.abs(X)):.3g} is beyond the {keys.dtype} of the rows seen so far; "
                "rescale the columns, or start afresh with fit on float64"
            )
        return keys

    def _sort(self, X: NDArray) -> tuple[dict[str, Any], NDArray]:
        table, signs, sums = sorting.sorted_columns(X, split=self.aggregation == "paper", n_jobs=self._jobs)
        return {"table": table, "signs": signs}, sums

    def _merge_stats(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        if self.compression is not None:
            return tail_memory.merge_memories(a, b, self.compression, n_jobs=self._jobs)
        table, signs = sorting.merge_columns(a["table"], b["table"])
        return {"table": table, "signs": signs}

    def _fit_from_stats(self, stats: dict[str, Any]) -> None:
        if self.compression is not None:
            steps, signs, means, error = tail_memory.staircase_of(stats, self.compression, n_jobs=self._jobs)
            table = staircase.tail_table(steps)
        else:
            steps, table, signs, error = None, stats["table"], stats["signs"], 0.0
            means = tail_table.feature_means(table) if self.nan_policy == "neutral" else np.zeros((3, table.sizes.size))
        if (table.sizes == 0).any():
            names = getattr(self, "feature_names_in_", np.arange(table.sizes.size))[table.sizes == 0]
            cautions.warn(f"ECOD: no training value in column(s) {names.tolist()}: they contribute 0")
        self._steps, self._table, self.skewness_sign_, self._missing = steps, table, signs, means
        self.tail_scale_, self.tail_error_ = table.scales, error
        self._take_rule()

    def _take_rule(self) -> None:
        """What adds a row's costs up, for as long as `offset_` is read off such sums."""
        self.aggregation_ = self.aggregation
        self.tail_cap_ = 0.0 if self.tail is None else float(self.tail_cap)

    def _merge_key(self) -> dict[str, Any]:
        return {**super()._merge_key(), "dtype": str(self._table.values.dtype)}

    _rebuilt = property(lambda self: () if self._steps is None else ("_table",))

    def _rebuild(self) -> None:
        if self._steps is not None:
            self._table = staircase.tail_table(self._steps)

    def _check_state(self) -> None:
        """Refuse a state that the compiled kernels, which check no bounds, must not see."""
        d = self.n_features_in_
        if not hasattr(self, "aggregation_"):  # the first model files do not say it
            self._take_rule()
        self._rebuild()
        tail_table.check_table(self._table, d)
        if hasattr(self, "_stats"):
            exact = "table" in self._stats  # not by `compression`, which may have been set since
            tail_table.check_table(self._stats["table"], d) if exact else tail_memory.check_memory(self._stats, d)
        signs, means = self.skewness_sign_, self._missing
        if (signs.shape, signs.dtype, means.shape, means.dtype) != ((d,), np.int64, (3, d), np.float64):
            raise ValueError("ECOD: skewness_sign_ or _missing does not fit n_features_in_, or holds no such numbers")
