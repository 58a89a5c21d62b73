"""Distance to the nearest training rows (Ramaswamy, Rastogi and Shim, SIGMOD 2000; Angiulli and Pizzuti, PKDD 2002)."""

import copy
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import VALID_METRICS
from sklearn.utils.metaestimators import available_if

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.neighbor_search import Metric, euclidean_neighbors, other_neighbors

__all__ = ["KNN"]

_METRICS = {metric for names in VALID_METRICS.values() for metric in names} - {"precomputed"}
_SCORED_BY = ("n_neighbors", "aggregation", "metric", "p", "metric_params")  # kept by the fit under these names and "_"


def _is_euclidean(detector: "KNN") -> bool:
    return detector._metric.is_euclidean


class KNN(Detector):
    """A row is as strange as its neighbours among the training rows are far away.

    Assumes that distance means something: columns in comparable units (scale them first) and few of them irrelevant.
    It fails where normal data have regions of very different density (the sparse region is flagged as a whole), where
    outliers come in groups of more than `n_neighbors` rows, and in hundreds of noisy columns, where all rows are
    about equally far apart.

    A row never vouches for itself: a training row that equals the scored row in every column is passed over, once.
    The scores of the training rows are therefore leave-one-out scores, and `predict` on them flags the share
    `contamination`. A new row that equals a training row is treated alike.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number k of neighbours, at least 1; the training set must have more rows.
    aggregation : {"kth", "mean", "median"}, default="kth"
        Which of the k distances is the score: the largest, their mean or their median.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}, default="auto"
        scikit-learn's search structure. It decides the speed alone; "auto" takes a tree for up to 15 columns, and where
        matrix products would not resolve the distances of near rows.
    leaf_size : int, default=30
        Rows per leaf of a tree; speed only.
    metric : str or callable, default="minkowski"
        Any metric of `sklearn.neighbors.NearestNeighbors` but "precomputed".
    p : float, default=2
        Order of the Minkowski metric, above 0; 2 is Euclidean.
    metric_params : dict, default=None
        Further arguments of the metric.
    n_jobs : int, default=None
        Threads of the search, as in scikit-learn.
    device : str, default=None
        None or "cpu" for scikit-learn's search, "cuda" or "cuda:1" for brute force on a torch device with float64
        (Euclidean only; `algorithm`, `leaf_size` and `n_jobs` then have no effect).
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).

    Attributes
    ----------
    rows_ : ndarray of shape (n_samples, n_features)
        The training rows, read-only. All there is of the model: search trees are built from them on need.
    n_neighbors_, aggregation_, metric_, p_, metric_params_
        The parameters of the fit, which scores keep to whatever is set afterwards.
    offset_ : float
        Threshold on `score_samples`, by `contamination`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had column names.

    Notes
    -----
    **Score:** minus the aggregated distance, in the unit of the metric, at most 0.
    **Cost:** fit O(n d log n) for a tree; a score O(d log n) with few columns, O(n d) with many (brute force); memory
    twice the training rows.
    **Source:** Ramaswamy et al., section 2 ("kth"); Angiulli and Pizzuti, section 2 ("mean", there a sum); "median"
    is ours. Euclidean neighbours are exact at any scale and distance from the origin: distances come from plain
    differences, and where the search rounds (a matrix product does), a bound on its error tells which rows must be
    searched again by differences (`odkit.kernels.cpu.neighbors`).

    Examples
    --------
    >>> from odkit import KNN
    >>> X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [3.0, 4.0]]
    >>> detector = KNN(n_neighbors=2, contamination=0.2).fit(X)
    >>> detector.score_samples(X).round(3)
    array([-1.   , -1.   , -1.   , -1.   , -4.243])
    >>> detector.predict(X)
    array([ 1,  1,  1,  1, -1])

    The second neighbour of (3, 4) is 4.243 away. Seen from both its neighbours, (1, 1) and (0, 1), more of that lies
    along the second column:

    >>> detector.explain(X)[-1].round(3)
    array([1.746, 2.496])
    """

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "aggregation": [StrOptions({"kth", "mean", "median"})],
        "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute"})],
        "leaf_size": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(_METRICS), callable],
        "p": [Interval(Real, 0, None, closed="neither")],
        "metric_params": [dict, None],
        "n_jobs": [Integral, None],
        "device": [str, None],
    }

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        aggregation: str = "kth",
        algorithm: str = "auto",
        leaf_size: int = 30,
        metric: str | Callable = "minkowski",
        p: float = 2,
        metric_params: dict | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
        contamination: float | str = 0.1,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.aggregation = aggregation
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.metric = metric
        self.p = p
        self.metric_params = metric_params
        self.n_jobs = n_jobs
        self.device = device
        self.contamination = contamination

    def _fit(self, X: NDArray) -> None:
        for name in _SCORED_BY:
            self.__dict__.pop(f"{name}_", None)  # what an earlier fit has kept
        if len(X) <= self.n_neighbors:
            raise ValueError(
                f"KNN: too few training rows, n_samples={len(X)} with n_neighbors={self.n_neighbors}; every row needs "
                "n_neighbors others. Give more rows or lower n_neighbors."
            )
        rows = np.array(X, order="C")
        rows.flags.writeable = False
        self.rows_ = rows
        for name in _SCORED_BY:
            setattr(self, f"{name}_", copy.deepcopy(getattr(self, name)))

    def _score(self, X: NDArray) -> NDArray:
        k, _, _, distance, _ = self._neighbors(X)
        return -_mean(k.numpy(distance)[:, self._ranks()])

    def leave_one_out_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """`score_samples` of the training rows X, each without itself: for `Conformal(method='loo')`."""
        return self.score_samples(X)

    @available_if(_is_euclidean)
    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each feature to each row's distance, shape (n_samples, n_features); Euclidean metric only.

        (x_j - y_j)^2 / |x - y|, averaged over all `n_neighbors` neighbours y and scaled so that rows sum to the anomaly
        score, `-score_samples(X)`. Also where the score is one neighbour's distance: a single neighbour differs in
        features that have nothing to do with the cause, by chance, the average does not.
        """
        check_is_fitted(self)
        k, queries, rows, distance, index = self._neighbors(self._validate(X, reset=False))
        parts, distance = map(k.numpy, (k.neighbors.distance_parts(queries, rows, distance, index), distance))
        score, total = _mean(distance[:, self._ranks()]), _mean(distance)
        return parts * np.divide(score, total, out=np.zeros(len(score)), where=total > 0)[:, None]

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """The mean of each row's `n_neighbors` neighbours, shape (n_samples, n_features)."""
        check_is_fitted(self)
        k, *_, index = self._neighbors(self._validate(X, reset=False))
        return np.mean([self.rows_[neighbor] for neighbor in k.numpy(index).T], axis=0, dtype=np.float64)

    def _check_state(self) -> None:
        """Refuse a stored state that is no set of training rows."""
        rows = self.rows_
        for name in _SCORED_BY:  # the first model files have none
            self.__dict__.setdefault(f"{name}_", getattr(self, name))
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_ or rows.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"KNN: rows_ must be float of shape (n, {self.n_features_in_}), is {rows.dtype} {rows.shape}"
            )
        if len(rows) <= self.n_neighbors_ or not np.isfinite(rows).all():
            raise ValueError(
                f"KNN: rows_ must be finite and more than n_neighbors={self.n_neighbors_}, are {len(rows)}"
            )

    def _neighbors(self, X: NDArray) -> tuple[kernels.Backend, Any, Any, Any, Any]:
        """Kernels, X, the training rows; distances and index of the neighbours, nearest first, without a row's copy."""
        k, n_candidates = kernels.on(self.device), self.n_neighbors_ + 1
        X = _rounded_to(self.rows_.dtype, X)
        queries, rows = k.array(X), k.state(self.rows_)
        settings = {"algorithm": self.algorithm, "leaf_size": self.leaf_size, "n_jobs": self.n_jobs}
        if k.name == "gpu":
            if not self._metric.is_euclidean:
                raise ValueError(
                    f"KNN: device={self.device!r} knows the Euclidean metric only, metric={self._metric.metric!r} with "
                    f"p={self._metric.p} was given. Use metric='euclidean' or device=None."
                )
            place = k.neighbors.place_of(rows)
            found = k.neighbors.candidates(queries, rows, min(n_candidates + k.neighbors.SPARE, len(rows)), place)
            found = k.neighbors.settle(queries, rows, *found, n_candidates, place)
        elif self._metric.is_euclidean:
            found = euclidean_neighbors(X, self.rows_, n_candidates, **settings)
        else:
            found = other_neighbors(X, self.rows_, n_candidates, self._metric, **settings)
        return k, queries, rows, *k.neighbors.without_copy(queries, rows, *found)

    @property
    def _metric(self) -> Metric:
        """The metric of the fit; before it, of the parameters."""
        return Metric(*(getattr(self, f"{name}_", getattr(self, name)) for name in Metric._fields))

    def _ranks(self) -> slice:
        """Which of the ascending distances are averaged."""
        k = self.n_neighbors_
        return {
            "kth": slice(k - 1, None),
            "mean": slice(None),
            "median": slice((k - 1) // 2, k // 2 + 1),
        }[self.aggregation_]


def _rounded_to(dtype: np.dtype, X: NDArray) -> NDArray:
    """X rounded to the training rows' float32, so that a row knows its copy; numbers beyond it stay as they are."""
    with np.errstate(over="ignore"):
        rounded = X.astype(dtype, copy=False)
    return rounded if np.isfinite(rounded).all() else np.where(np.isfinite(rounded), rounded, X)


def _mean(distance: NDArray) -> NDArray[np.float64]:
    """Mean of each row's distances, whose sum may be beyond the largest number; with the bits that a row has alone."""
    return np.vecdot(distance, np.full(distance.shape[1], 1 / distance.shape[1]))
