"""One pass of mean shift: every query moves to the mean (or medoid) of its nearest rows.

The nearest rows are those that come first by (squared distance, row), the squared distance summed from left to right
over the features in float64. This is a rule about one query and the rows, so a query's shift does not depend on the
queries beside it, on the number of threads, or on which of the four searches below ran: all give the same bits.
"""

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled

__all__ = ["mean_shift_distance", "nearest", "shift"]

_JIT = "odkit.kernels.cpu.mean_shift_jit"
LEAF_FEATURES = 12  # up to here boxes prune more than matrix products save (measured on normal data)
GROUP = 64  # queries that walk through the leaves together
FEW = 16  # queries that are answered before leaves are built or products are worth it
BLOCK, TILE = 256, 2048  # queries and rows per screened product: 2 MiB of float32
NUMPY_BLOCK = 1 << 20  # float64 numbers of scratch in the numpy search: 8 MiB
LEAST_REACH = 2.0**-500  # numbers whose squares float64 holds, as those of their inverses


def shift(
    queries: NDArray,
    rows: NDArray,
    n_neighbors: int,
    statistic: str = "mean",
    n_jobs: int = 1,
    self_counted: bool = True,
) -> NDArray[np.float64]:
    """Move each query to the mean or the medoid of its nearest rows.

    Parameters
    ----------
    queries : ndarray of shape (m, d), float64
    rows : ndarray of shape (n, d), float64
    n_neighbors : int in [1, n], or in [1, n - 1] with self_counted=False
    statistic : {"mean", "medoid"}
        The medoid is the neighbour with the least summed Manhattan distance to the others, the first by row of those
        that tie.
    n_jobs : int
        Threads.
    self_counted : bool
        A query that is itself one of the rows counts as its own neighbour. False: one row that equals the query is
        passed over, so that a row of the fit moves alike when it comes again as a query.

    Returns
    -------
    ndarray of shape (m, d), float64

    Notes
    -----
    The neighbours are summed in ascending order of the row, so queries with the same neighbours move to the same bits.
    """
    if self_counted:
        index = nearest(queries, rows, n_neighbors, n_jobs)
    else:
        index = _others(queries, rows, nearest(queries, rows, n_neighbors + 1, n_jobs))
    jit = compiled(_JIT, queries.size * len(rows))
    out = np.empty(queries.shape)
    if jit is not None:
        (jit.means if statistic == "mean" else jit.medoids)(rows, index, out)
    elif statistic == "mean":
        out[:] = rows[index[:, 0]]
        for column in index.T[1:]:
            out += rows[column]
        out /= n_neighbors
    else:
        summed = np.zeros(index.shape)
        for other in index.T:
            for j in range(rows.shape[1]):
                summed += np.abs(rows[index, j] - rows[other, j, None])
        out[:] = rows[np.take_along_axis(index, summed.argmin(axis=1)[:, None], axis=1)[:, 0]]
    return out


def mean_shift_distance(X: NDArray, shifted: NDArray) -> NDArray[np.float64]:
    """How far each row has moved: |x - x'|, shape (n,); infinite only where |x| is."""
    with np.errstate(over="ignore"):
        gap = X - shifted
        distance = np.sqrt(np.square(gap).sum(axis=1))
        far = np.isinf(distance)
        if far.any():  # also where squares overflow and lengths do not: those are taken in units of 2^600
            distance[far] = np.sqrt(np.square(gap[far] * 2.0**-600).sum(axis=1)) * 2.0**600
    return distance


def nearest(queries: NDArray, rows: NDArray, n_neighbors: int, n_jobs: int = 1) -> NDArray[np.int64]:
    """The nearest rows of each query in ascending order of the row, shape (m, n_neighbors), int64; exact, see above.

    Few features: rows in leaves of a k-d partition, pruned by their boxes. Many: float32 matrix products bound every
    distance from below, and only rows that the bound lets through are measured. Few queries: all rows are measured.
    A small job in a process that has not loaded numba: plain numpy.
    """
    queries, rows = (np.require(a, np.float64, ["C", "A"]).view() for a in (queries, rows))
    queries.flags.writeable = rows.flags.writeable = False  # one specialisation per kernel
    index = np.empty((len(queries), n_neighbors), dtype=np.int64)
    jit = compiled(_JIT, queries.size * len(rows))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite distances of huge queries tie, by the rule above
        if jit is None:
            _by_sorting(queries, rows, index)
        elif len(queries) <= FEW:
            _by_measuring(jit, queries, rows, index, n_jobs)
        elif rows.shape[1] <= LEAF_FEATURES:
            _by_leaves(jit, queries, rows, index, n_jobs)
        else:
            _by_products(jit, queries, rows, index, n_jobs)
    return index


def _others(queries: NDArray, rows: NDArray, index: NDArray) -> NDArray[np.int64]:
    """Neighbours but one: the first that equals its query or, where none does, the last by (distance, row)."""
    distance, equal = np.zeros(index.shape), np.ones(index.shape, dtype=bool)
    for j in range(rows.shape[1]):
        gap = rows[index, j] - queries[:, j, None]
        with np.errstate(over="ignore"):
            distance += np.square(gap)
        equal &= gap == 0  # not distance == 0, to which small gaps underflow
    last = index.shape[1] - 1 - distance[:, ::-1].argmax(axis=1)
    passed = np.where(equal.any(axis=1), equal.argmax(axis=1), last)
    return index[np.arange(index.shape[1]) != passed[:, None]].reshape(len(index), -1)


def _by_sorting(queries: NDArray, rows: NDArray, index: NDArray) -> None:
    step = max(1, NUMPY_BLOCK // len(rows))
    for start in range(0, len(queries), step):
        distance = np.zeros((len(queries[start : start + step]), len(rows)))
        for j in range(rows.shape[1]):
            distance += np.square(rows[:, j] - queries[start : start + step, j, None])
        first = np.argsort(distance, axis=1, kind="stable")[:, : index.shape[1]]
        index[start : start + step] = np.sort(first, axis=1)


def _by_measuring(jit, queries: NDArray, rows: NDArray, index: NDArray, n_jobs: int) -> None:
    through = np.zeros((1, len(rows)), dtype=np.float32)  # bounds that let every row through

    def search(i: int) -> None:
        best, found = np.full((1, index.shape[1]), np.inf), np.full((1, index.shape[1]), jit.NO_ROW)
        limit = np.full(1, np.inf, dtype=np.float32)
        jit.search_screened(through, limit, np.zeros(1), 0.0, queries[i : i + 1], rows, 0, best, found)
        index[i] = np.sort(found[0])

    over_items(search, range(len(queries)), n_jobs)


def _by_leaves(jit, queries: NDArray, rows: NDArray, index: NDArray, n_jobs: int) -> None:
    n, d = rows.shape
    order = _partition(rows, jit.LEAF)
    n_leaves = -(-n // jit.LEAF)
    filled = np.full((n_leaves * jit.LEAF, d), np.inf)
    filled[:n] = rows[order]
    leaf_rows = np.full(n_leaves * jit.LEAF, jit.NO_ROW)
    leaf_rows[:n] = order
    leaves = np.ascontiguousarray(filled.reshape(n_leaves, jit.LEAF, d).transpose(0, 2, 1))
    low = np.ascontiguousarray(leaves.min(axis=2).T)
    high = np.ascontiguousarray(leaves.max(axis=2, initial=-np.inf, where=leaves < np.inf).T)
    leaf_rows = leaf_rows.reshape(n_leaves, jit.LEAF)
    groups = _partition(queries, GROUP)

    def search(span: slice) -> None:
        for start in range(span.start, span.stop, GROUP):
            members = groups[start : start + GROUP]
            found = np.empty((len(members), index.shape[1]), dtype=np.int64)
            jit.search_leaves(queries[members], leaves, leaf_rows, low, high, found)
            index[members] = found

    over_items(search, _spans(len(queries), GROUP, n_jobs), n_jobs)


def _by_products(jit, queries: NDArray, rows: NDArray, index: NDArray, n_jobs: int) -> None:
    """Screen by lower bounds.

    With q, x about a common centre and scaled into [-1, 1], |q - x|^2 - |q|^2 = x.x - 2 q.x. In float32 a sum of d + 1
    such products is off by less than share/2 (|q|^2 + 2 |x|^2), share = 4 (d + 8) 2^-24, and by `lost` where products
    underflow. So (1 - share) x.x - 2 q.x is below |q - x|^2 - (1 - share) |q|^2 + lost, and a row is measured exactly
    only where it lies below what the worst neighbour so far allows.
    """
    n, d = rows.shape
    k = index.shape[1]
    # a row's own value, so that taking it off is exact where the columns lie far from 0
    center = np.take_along_axis(rows, np.abs(rows - rows.mean(axis=0)).argmin(axis=0)[None], axis=0)[0]
    reach = max(np.abs(rows - center).max(), np.abs(queries - center).max())
    if reach > 0 and not LEAST_REACH < reach < 1 / LEAST_REACH:
        _by_measuring(jit, queries, rows, index, n_jobs)  # the square of `unit` would be 0 or infinite, and no bound
        return
    unit = np.ldexp(1.0, -int(np.frexp(reach)[1]))
    share = 2 * (d + 8) * float(np.finfo(np.float32).eps)
    lost = 4 * (d + 8) * float(np.finfo(np.float32).tiny)
    right = np.empty((n, d + 1), dtype=np.float32)
    scaled = (rows - center) * unit
    norms = np.einsum("ij,ij->i", scaled, scaled)
    right[:, :d] = scaled
    right[:, d] = norms * (1 - share)
    del scaled

    def search(span: slice) -> None:
        for start in range(span.start, span.stop, BLOCK):
            block = slice(start, min(start + BLOCK, span.stop))
            scaled = (queries[block] - center) * unit
            lengths = np.einsum("ij,ij->i", scaled, scaled)
            slack = lost - (1 - share) * lengths
            left = np.empty((len(scaled), d + 1), dtype=np.float32)
            left[:, :d] = -2 * scaled
            left[:, d] = 1
            best = np.full((len(scaled), k), np.inf)
            found = np.full((len(scaled), k), jit.NO_ROW)
            limit = np.full(len(scaled), np.inf, dtype=np.float32)
            for first in range(0, n, TILE):
                screened = left @ right[first : first + TILE].T
                if first == 0 and k <= screened.shape[1]:
                    jit.smallest_of(screened, k, limit)
                    limit += (2 * share * (lengths + norms[:TILE].max()) + 2 * lost).astype(np.float32)
                jit.search_screened(screened, limit, slack, unit * unit, queries[block], rows, first, best, found)
            index[block] = np.sort(found, axis=1)

    with one_thread():
        over_items(search, _spans(len(queries), BLOCK, n_jobs), n_jobs)


def _partition(X: NDArray, size: int) -> NDArray[np.int64]:
    """Order of the rows in which consecutive groups of `size` lie close together: median cuts of the widest feature."""
    order = np.arange(len(X))
    parts = [(0, len(X))]
    while parts:
        start, stop = parts.pop()
        if stop - start <= size:
            continue
        part = X[order[start:stop]]
        widest = int(np.ptp(part, axis=0).argmax())
        cut = -(-(stop - start) // size) // 2 * size
        order[start:stop] = order[start:stop][np.argpartition(part[:, widest], cut)]
        parts += [(start, start + cut), (start + cut, stop)]
    return order


def _spans(n_rows: int, size: int, n_jobs: int) -> list[slice]:
    """Row slices, multiples of `size` but the last, four to a thread so that a slow one is not waited for."""
    step = -(-n_rows // (4 * max(n_jobs, 1) * size)) * size
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
