"""Search structures over the rows of a fitted `KNN`: built on first need, dropped with the rows, no part of the model.

So a fitted KNN is plain numpy, and one read from a file builds its tree with its first score. Which structure serves
best is decided here for the Euclidean metric: a tree for few columns, matrix products for many, and a tree again where
rows lie so far apart that products would not resolve the distances of near ones.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from odkit.kernels.cpu import neighbors
from odkit.kernels.cpu.neighbors import Place
from odkit.kernels.cpu.sizes import TREE_FEATURES

__all__ = ["Metric", "euclidean_neighbors", "other_neighbors"]

TRIALS = 64  # training rows on which products are tried
HOMOGENEOUS = {
    "minkowski",
    "manhattan",
    "l1",
    "cityblock",
    "chebyshev",
    "euclidean",
    "l2",
}  # distances have the unit of x


class Metric(NamedTuple):
    """What a distance is: the parameters of that name of `KNN`."""

    metric: str | Callable
    p: float
    metric_params: dict | None

    @property
    def is_euclidean(self) -> bool:
        plain = self.metric in {"euclidean", "l2"} or (self.metric == "minkowski" and self.p == 2)
        return plain and not self.metric_params


class _Search(NamedTuple):
    structure: NearestNeighbors
    place: Place
    rounds: bool


_searches: dict[tuple, _Search] = {}
_lock = threading.Lock()


def euclidean_neighbors(
    queries: NDArray, rows: NDArray, n_neighbors: int, **settings: Any
) -> tuple[NDArray[np.float64], NDArray]:
    """Distances and index of the n_neighbors nearest rows of each query, nearest first, both (m, n_neighbors).

    `rows` must be read-only and live as long as the model; `settings` are algorithm, leaf_size and n_jobs of
    scikit-learn's search.
    """
    search = _kept(rows, settings, lambda: _euclidean(rows, **settings))
    return neighbors.settle(queries, rows, *_found(search, queries, rows, n_neighbors), n_neighbors, search.place)


def other_neighbors(
    queries: NDArray, rows: NDArray, n_neighbors: int, metric: Metric, **settings: Any
) -> tuple[NDArray[np.float64], NDArray]:
    """As `euclidean_neighbors`, by scikit-learn's distances of any metric."""
    search = _kept(rows, settings, lambda: _other(rows, metric, **settings))
    distance, index = search.structure.kneighbors(np.divide(queries, search.place.scale, dtype=np.float64), n_neighbors)
    return distance * search.place.scale, index


def _kept(rows: NDArray, settings: dict[str, Any], build: Callable[[], _Search]) -> _Search:
    key = (id(rows), *settings.values())
    with _lock:
        if key not in _searches:
            _searches[key] = build()
            weakref.finalize(rows, _searches.pop, key, None)
        return _searches[key]


def _euclidean(rows: NDArray, algorithm: str, **settings: Any) -> _Search:
    around = neighbors.place_of(rows)
    if algorithm == "auto":
        algorithm = "kd_tree" if rows.shape[1] <= TREE_FEATURES else "brute"
        if algorithm == "brute" and not _resolves(rows, around):
            algorithm = "kd_tree"
    # a k-d tree takes differences of columns: where it looks from costs no digits, and a center would
    place = Place(0.0, around.scale) if algorithm == "kd_tree" else around
    structure = NearestNeighbors(algorithm=algorithm, **settings).fit(neighbors.placed(rows, place))
    return _Search(structure, place, algorithm != "kd_tree")


def _resolves(rows: NDArray, place: Place) -> bool:
    """Whether products find the nearest rows of most training rows beyond doubt."""
    queries = rows[:: -(-len(rows) // TRIALS)]
    edge, index = neighbors.candidates(queries, rows, min(2 + neighbors.SPARE, len(rows)), place)
    distance, _ = neighbors.measured(queries, rows, index)
    return bool(neighbors.sure(queries, distance[:, :2], edge, place).mean() > 0.5)


def _found(search: _Search, queries: NDArray, rows: NDArray, n_neighbors: int) -> tuple[NDArray, NDArray]:
    """Candidates, and the squared distance within which they are all there are."""
    n_candidates = min(n_neighbors + neighbors.SPARE, len(rows)) if search.rounds else n_neighbors
    distance, index = search.structure.kneighbors(neighbors.placed(queries, search.place), n_candidates)
    return distance[:, -1] ** 2 if search.rounds else np.full(len(queries), np.inf), index


def _other(rows: NDArray, metric: Metric, **settings: Any) -> _Search:
    scale = neighbors.place_of(rows).scale if metric.metric in HOMOGENEOUS else 1.0
    structure = NearestNeighbors(**metric._asdict(), **settings).fit(np.divide(rows, scale, dtype=np.float64))
    return _Search(structure, Place(0.0, scale), True)
