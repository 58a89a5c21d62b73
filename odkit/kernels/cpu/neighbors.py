"""Euclidean neighbours of rows: fast candidates, exact distances, proof that none is missing, a row without its copy.

Candidates come from a search that rounds, such as a matrix product (|x|^2 - 2 q.x + |q|^2 loses distances that are
small beside |x|). `settle` measures them by plain differences, at any scale of the numbers, and searches again by
differences where rounding may have hidden a nearer row. What it returns are the nearest rows: a tie alone, of squared
distances equal to 1e-10, may be decided by rounding.

All functions take float32 or float64 matrices in any order, compute in float64, write to nothing they are given and are
safe to call from several threads.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LIMIT",
    "SPARE",
    "Place",
    "candidates",
    "distance_parts",
    "measured",
    "place_of",
    "placed",
    "settle",
    "sure",
    "without_copy",
]

BLOCK_CELLS = 1 << 21  # float64 numbers of scratch per block: 16 MiB
SPARE = 4  # candidates beyond those asked for: the gap behind them is what proves that none is missing
TIE = 1e-10  # relative difference of squared distances that counts as none
LIMIT = 2.0**480  # placed numbers are cut off here, so that sums of their squares stay finite
NEAR, FAR = (
    2.0**-440,
    2.0**470,
)  # placed distances beyond these have no square, or are between numbers that were cut off
VANISHING, VAST = 2.0**-900, 2.0**1000  # outside of these a sum of squares has lost digits
SAMPLE = 1024  # rows that tell where the middle of all is


class Place(NamedTuple):
    """Where the search looks from: x becomes (x - center) / scale, a power of two, cut off at `LIMIT`."""

    center: Any
    scale: float


def place_of(rows: NDArray) -> Place:
    """The median and typical extent of some rows; a few corrupt cells move neither."""
    some = rows[:: -(-len(rows) // SAMPLE)].astype(np.float64)
    center = np.median(some / 2, axis=0) * 2  # the mean of two middle values of 1e308 is not infinite
    with np.errstate(over="ignore"):
        extents = np.abs(some - center).max(axis=1)
        extent = np.median(extents) or extents.max() or np.abs(rows - center).max()
    return Place(center, 2.0 ** (int(np.frexp(extent)[1]) - 1) if 0 < extent < np.inf else 1.0)


def placed(X: NDArray, place: Place) -> NDArray[np.float64]:
    """X as the search sees it, float64."""
    with np.errstate(over="ignore"):
        return np.clip(np.subtract(X, place.center, dtype=np.float64) / place.scale, -LIMIT, LIMIT)


def candidates(
    queries: NDArray, rows: NDArray, n_candidates: int, place: Place
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The nearest rows of each query as one matrix product per block sees them.

    Parameters
    ----------
    queries : ndarray of shape (m, d)
    rows : ndarray of shape (n, d)
    n_candidates : int in [1, n]

    Returns
    -------
    edge : ndarray of shape (m,)
        Squared distance of the farthest candidate, in units of the place and up to rounding.
    index : ndarray of shape (m, n_candidates), intp
    """
    rows = placed(rows, place)
    half_norms = np.einsum("ij,ij->i", rows, rows) / 2
    edge, index = np.empty(len(queries)), np.empty((len(queries), n_candidates), dtype=np.intp)
    for block in _blocks(len(queries), len(rows)):
        q = placed(queries[block], place)
        key = half_norms - q @ rows.T  # (|q - x|^2 - |q|^2) / 2: the same order per query
        found = np.argpartition(key, n_candidates - 1, axis=1)[:, :n_candidates]
        farthest = np.take_along_axis(key, found, axis=1).max(axis=1)
        edge[block], index[block] = 2 * farthest + np.einsum("ij,ij->i", q, q), found
    return edge, index


def settle(
    queries: NDArray,
    rows: NDArray,
    edge: NDArray[np.float64],
    index: NDArray[np.integer],
    n_neighbors: int,
    place: Place,
) -> tuple[NDArray[np.float64], NDArray]:
    """Distances to the n_neighbors nearest rows, and their index, nearest first, from candidates.

    Parameters
    ----------
    queries, rows : ndarrays of shape (m, d) and (n, d)
    edge : ndarray of shape (m,)
        No row outside `index` is nearer than this, squared and in units of `place`, but for the rounding of a matrix
        product of placed rows; infinity where the search does not round.
    index : ndarray of shape (m, n_neighbors or more)

    Returns
    -------
    distance, index : ndarrays of shape (m, n_neighbors)
    """
    complete = index.shape[1] == len(rows)
    distance, found = measured(queries, rows, index)
    distance, found = distance[:, :n_neighbors], found[:, :n_neighbors]
    again = np.empty(0, np.intp) if complete else np.flatnonzero(~sure(queries, distance, edge, place))
    if len(again):
        distance, found = distance.copy(), found.copy()
        distance[again], found[again] = _by_differences(queries[again], rows, n_neighbors)
    return distance, found


def sure(queries: NDArray, distance: NDArray[np.float64], edge: NDArray[np.float64], place: Place) -> NDArray[np.bool_]:
    """Whether no row outside the candidates is nearer than the farthest of these distances (m, k), ascending; (m,)."""
    fine = np.empty(len(queries), dtype=bool)
    for block in _blocks(len(queries), queries.shape[1]):
        z = placed(queries[block], place)
        norm = np.sqrt(np.einsum("ij,ij->i", z, z))
        with np.errstate(over="ignore", invalid="ignore"):  # what has no square is not sure
            fine[block] = is_sure(norm, distance[block] / place.scale, edge[block], queries.shape[1])
    return fine


def is_sure(norm: Any, distance: Any, edge: Any, n_columns: int) -> Any:
    """Whether no row can be nearer than those found, (m,); operators only, so that the lines serve tensors too.

    A product errs by at most u (d + 4) (|q| + |x|)^2, u = 1.1e-16, and a row x nearer than the farthest one found has
    |x| <= |q| + distance. So either that error fits into the gap up to `edge`, or it is too small to matter.
    """
    farthest = distance[:, -1]
    blur = (n_columns + 4) * 2.0**-53 * (2 * norm + farthest) ** 2 + VANISHING
    squares = distance * distance
    nothing_hidden = (edge - blur >= squares[:, -1]) | ((distance == 0) | (2 * blur[:, None] <= TIE * squares)).all(1)
    return nothing_hidden & (norm < FAR) & (farthest < FAR) & ((farthest == 0) | (farthest > NEAR))


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
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        difference, length = _differences(queries, rows, index, block), distance[block][:, :, None]
        # not the square first: it would leave the range of float64 where the quotient does not
        cosines = np.divide(difference, length, out=np.zeros(difference.shape), where=length > 0)
        parts[block] = (difference / index.shape[1] * cosines).sum(axis=1)
    return parts


def measured(queries: NDArray, rows: NDArray, index: NDArray) -> tuple[NDArray[np.float64], NDArray]:
    """Distances to the rows named by `index`, shape (m, k), from plain differences, and `index` sorted by them."""
    distance = np.empty(index.shape)
    for block in _blocks(len(queries), index.shape[1] * rows.shape[1]):
        distance[block] = _lengths(_differences(queries, rows, index, block))
    order = np.argsort(distance, axis=1, kind="stable")
    return np.take_along_axis(distance, order, axis=1), np.take_along_axis(index, order, axis=1)


def _by_differences(queries: NDArray, rows: NDArray, n_neighbors: int) -> tuple[NDArray[np.float64], NDArray]:
    """The nearest rows by brute force without a product: exact at any scale, and slow."""
    index = np.empty((len(queries), n_neighbors), dtype=np.intp)
    for block in _blocks(len(queries), rows.size):
        with np.errstate(over="ignore"):
            lengths = _lengths(np.subtract(rows[None], queries[block, None, :], dtype=np.float64))
        index[block] = np.argpartition(lengths, n_neighbors - 1, axis=1)[:, :n_neighbors]
    return measured(queries, rows, index)


def _lengths(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean norms along the last axis; where squares leave the range of float64, of numbers scaled first."""
    with np.errstate(over="ignore"):
        squares = np.einsum("...j,...j->...", difference, difference)
        odd = ~((squares > VANISHING) & (squares < VAST))
        lengths = np.sqrt(squares)
        if odd.any():
            rest = difference[odd]
            exponent = np.frexp(np.abs(rest).max(axis=-1))[1]
            rest = np.ldexp(rest, -exponent[:, None])
            lengths[odd] = np.ldexp(np.sqrt(np.einsum("ij,ij->i", rest, rest)), exponent)
    return lengths


def _differences(queries: NDArray, rows: NDArray, index: NDArray, block: slice) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.subtract(rows[index[block]], queries[block, None, :], dtype=np.float64)


def _blocks(n_rows: int, cells_per_row: int) -> list[slice]:
    step = max(1, BLOCK_CELLS // cells_per_row)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
