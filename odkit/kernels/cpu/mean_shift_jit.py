"""Jitted loops of `mean_shift.py`: exact neighbours by pruned leaves or by screened products, and their mean.

Both searches end in the same sum, (q_0 - x_0)^2 + (q_1 - x_1)^2 + ... from left to right in float64, and keep the
neighbours that come first by (squared distance, row): they return the same rows, whichever of them runs. A `heap` is
one query's best so far, the worst of them at place 0. Every function is thread-safe on separate outputs.
"""

import numpy as np

from odkit.kernels.cpu.jit import njit

LEAF = 128  # rows of a leaf, a compile-time constant so that the loops over them unroll
CHUNK = 64  # screened columns looked at together
NO_ROW = np.int64(2**62)


@njit
def replace_worst(distances, rows, distance, row):
    """Put (distance, row) in place of a heap's worst neighbour and restore the heap."""
    k = distances.size
    place = 0
    while True:
        child = 2 * place + 1
        if child >= k:
            break
        right = child + 1
        if right < k and (
            distances[right] > distances[child] or (distances[right] == distances[child] and rows[right] > rows[child])
        ):
            child = right
        if distances[child] < distance or (distances[child] == distance and rows[child] < row):
            break
        distances[place] = distances[child]
        rows[place] = rows[child]
        place = child
    distances[place] = distance
    rows[place] = row


@njit
def search_leaves(queries, leaves, leaf_rows, low, high, index):
    """Nearest rows of a small group of queries that lie close together, for few features.

    queries (m, d); leaves (n_leaves, d, LEAF), the rows of each leaf by feature, filled up with inf; leaf_rows
    (n_leaves, LEAF) int64, the row each came from; low, high (d, n_leaves), the box around each leaf; index (m, k)
    int64, output, in ascending order of the row.

    Leaves are visited by the distance between their box and the box of the queries, until that exceeds the worst
    neighbour of every query. A box distance is summed like a row distance, term by term no larger, so rounding cannot
    prune a leaf that holds a neighbour.
    """
    m, d = queries.shape
    n_leaves = leaves.shape[0]
    k = index.shape[1]
    apart = np.zeros(n_leaves)
    for j in range(d):
        bottom = queries[:, j].min()
        top = queries[:, j].max()
        for leaf in range(n_leaves):
            below = low[j, leaf] - top
            above = bottom - high[j, leaf]
            gap = below if below > above else above
            gap = gap if gap > 0.0 else 0.0
            apart[leaf] += gap * gap
    order = np.argsort(apart)
    best = np.full((m, k), np.inf)
    index[:] = NO_ROW
    distance = np.empty(LEAF)
    worst = np.inf
    for leaf in order:
        if apart[leaf] > worst:
            break
        leaf_low, leaf_high = low[:, leaf].copy(), high[:, leaf].copy()
        for i in range(m):
            bound = best[i, 0]
            away = 0.0
            for j in range(d):
                below = leaf_low[j] - queries[i, j]
                above = queries[i, j] - leaf_high[j]
                gap = below if below > above else above
                if gap > 0.0:
                    away += gap * gap
            if away > bound:
                continue
            first = queries[i, 0]
            for p in range(LEAF):
                gap = leaves[leaf, 0, p] - first
                distance[p] = gap * gap
            for j in range(1, d - 1, 2):  # two features at once halve the traffic of `distance`
                one, two = queries[i, j], queries[i, j + 1]
                for p in range(LEAF):
                    gap_one = leaves[leaf, j, p] - one
                    gap_two = leaves[leaf, j + 1, p] - two
                    distance[p] = (distance[p] + gap_one * gap_one) + gap_two * gap_two
            if d % 2 == 0:
                last = queries[i, d - 1]
                for p in range(LEAF):
                    gap = leaves[leaf, d - 1, p] - last
                    distance[p] += gap * gap
            near = np.int32(0)
            for p in range(LEAF):
                near += np.int32(distance[p] <= bound)
            if near == 0:
                continue
            for p in range(LEAF):
                row = leaf_rows[leaf, p]
                if distance[p] < best[i, 0] or (distance[p] == best[i, 0] and row < index[i, 0]):
                    replace_worst(best[i], index[i], distance[p], row)
        worst = best[:, 0].max()
    for i in range(m):
        index[i].sort()


@njit
def smallest_of(screened, k, limit):
    """limit (m,) float32, output: the k-th smallest value of each row of screened (m, t) float32, k <= t."""
    m, t = screened.shape
    best = np.empty(k, np.float32)
    place = np.empty(k, np.int64)
    for i in range(m):
        best[:] = np.inf
        place[:] = NO_ROW
        for p in range(t):
            if screened[i, p] < best[0]:
                replace_worst(best, place, screened[i, p], np.int64(p))
        limit[i] = best[0]


@njit
def search_screened(screened, limit, slack, unit, queries, rows, start, best, index):
    """Look at a block of screened distances and keep the rows that are neighbours by their exact distance.

    screened (m, t) float32, lower bounds of unit |q - x|^2 + slack for the rows start .. start + t; limit (m,)
    float32, in and out, what a neighbour may have at most; slack (m,) float64; unit float; queries (m, d), rows
    (n, d) float64; best (m, k) float64 and index (m, k) int64, the heaps, in and out.
    """
    m, t = screened.shape
    d = queries.shape[1]
    for i in range(m):
        bound = limit[i]
        for begin in range(0, t, CHUNK):
            near = np.int32(0)
            if begin + CHUNK <= t:
                for p in range(CHUNK):
                    near += np.int32(screened[i, begin + p] <= bound)
                if near == 0:
                    continue
            for p in range(begin, min(begin + CHUNK, t)):
                if screened[i, p] > bound:
                    continue
                row = start + p
                distance = 0.0
                for j in range(d):
                    gap = rows[row, j] - queries[i, j]
                    distance += gap * gap
                if distance < best[i, 0] or (distance == best[i, 0] and row < index[i, 0]):
                    replace_worst(best[i], index[i], distance, row)
                    reach = np.float32(unit * best[i, 0] + slack[i])
                    bound = reach if reach < bound else bound
        limit[i] = bound


@njit
def means(rows, index, out):
    """out (m, d): the mean of the rows named by each line of index (m, k), summed in that order."""
    m, k = index.shape
    d = rows.shape[1]
    for i in range(m):
        for j in range(d):
            out[i, j] = 0.0
        for a in range(k):
            for j in range(d):
                out[i, j] += rows[index[i, a], j]
        for j in range(d):
            out[i, j] /= k


@njit
def medoids(rows, index, out):
    """out (m, d): of the rows named by each line of index, the first with the least summed Manhattan distance."""
    m, k = index.shape
    d = rows.shape[1]
    for i in range(m):
        least = np.inf
        chosen = index[i, 0]
        for a in range(k):
            total = 0.0
            for b in range(k):
                for j in range(d):
                    total += abs(rows[index[i, a], j] - rows[index[i, b], j])
            if total < least:
                least = total
                chosen = index[i, a]
        for j in range(d):
            out[i, j] = rows[chosen, j]
