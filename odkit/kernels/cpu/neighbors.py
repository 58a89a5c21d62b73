"""Euclidean neighbours of rows: exact search, exact distances, and a row's own copy left out.

All functions take float32 or float64 matrices in any order, compute in float64, write to nothing they are given and
are safe to call from several threads.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["distance_parts", "nearest", "neighbor_distances", "without_copy"]

BLOCK_CELLS = 1 << 21  # float64 numbers of scratch per block: 16 MiB


def nearest(queries: NDArray, rows: NDArray, n_neighbors: int) -> NDArray[np.intp]:
    """Index of the nearest rows of each query, nearest first, by brute force.

    Parameters
    ----------
    queries : ndarray of shape (m, d)
    rows : ndarray of shape (n, d)
    n_neighbors : int in [1, n]

    Returns
    -------
    ndarray of shape (m, n_neighbors), intp

    Notes
    -----
    |q - x|^2 is computed as |x|^2 - 2 q.x + |q|^2 about the mean of the rows, one matrix product per block, so rows
    whose squared distances differ by less than about 1e-15 |x|^2 may change places; `neighbor_distances` orders them.
    """
    center = rows.mean(axis=0, dtype=np.float64)
    rows = rows - center
    half_norms = np.einsum("ij,ij->i", rows, rows) / 2
    index = np.empty((len(queries), n_neighbors), dtype=np.intp)
    for block in _blocks(len(queries), len(rows)):
        key = half_norms - (queries[block] - center) @ rows.T  # (|q - x|^2 - |q|^2) / 2: the same order per query
        found = np.argpartition(key, n_neighbors - 1, axis=1)[:, :n_neighbors]
        order = np.argsort(np.take_along_axis(key, found, axis=1), axis=1, kind="stable")
        index[block] = np.take_along_axis(found, order, axis=1)
    return index


def neighbor_distances(
    queries: NDArray, rows: NDArray, index: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray]:
    """Distances to the rows named by `index`, shape (m, k), from plain differences, and `index` sorted by them.

    A search by matrix products leaves errors of 1e-8 |x| in a distance near 0; these have none, and a query's
    distances do not depend on the other queries.
    """
    distance = np.empty(index.shape)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference = _differences(queries, rows, index, block)
        distance[block] = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    order = np.argsort(distance, axis=1, kind="stable")
    return np.take_along_axis(distance, order, axis=1), np.take_along_axis(index, order, axis=1)


def without_copy(
    queries: NDArray, rows: NDArray, distance: NDArray[np.float64], index: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray]:
    """One neighbour fewer: the first that equals the query in every column goes, else the farthest.

    Parameters
    ----------
    queries, rows : ndarrays of shape (m, d) and (n, d)
    distance, index : ndarrays of shape (m, k + 1), nearest first

    Returns
    -------
    distance, index : ndarrays of shape (m, k), nearest first
    """
    dropped = np.empty(len(queries), dtype=np.intp)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        copy = (rows[index[block]] == queries[block, None, :]).all(axis=2)
        copy[:, -1] = True
        dropped[block] = copy.argmax(axis=1)
    kept = np.arange(index.shape[1]) != dropped[:, None]
    shape = (len(queries), index.shape[1] - 1)
    return distance[kept].reshape(shape), index[kept].reshape(shape)


def distance_parts(
    queries: NDArray, rows: NDArray, distance: NDArray[np.float64], index: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Share of each feature in the mean of a query's distances, shape (m, d): rows sum to `distance.mean(axis=1)`.

    Mean over the neighbours x of (q_j - x_j)^2 / |q - x|; a neighbour at distance 0 gives 0.
    """
    parts = np.empty(queries.shape)
    scale = np.divide(1 / index.shape[1], distance, out=np.zeros(distance.shape), where=distance > 0)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference = _differences(queries, rows, index, block)
        parts[block] = np.einsum("ijk,ijk,ij->ik", difference, difference, scale[block])
    return parts


def _differences(queries: NDArray, rows: NDArray, index: NDArray, block: slice) -> NDArray[np.float64]:
    return np.subtract(rows[index[block]], queries[block, None, :], dtype=np.float64)


def _blocks(n_rows: int, cells_per_row: int) -> list[slice]:
    step = max(1, BLOCK_CELLS // cells_per_row)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
