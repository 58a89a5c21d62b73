"""Jitted loops of `ecdf.py`: one pass over sorted runs for fitting, lockstep searches for scoring.

Why lockstep: 64 rows take the same number of halving steps through one feature's keys, in two passes per step. The
first pass only loads, so its cache misses overlap; the second only compares and adds, so it vectorises. No branch
depends on the data. Every function is thread-safe as long as the output slices do not overlap.
"""

import numpy as np

from odkit.kernels.cpu.jit import njit

BLOCK = 64  # rows that walk through the keys together
GROUP = 8  # features copied from the rows at once: one cache line of float64


@njit
def scatter_run_costs(ordered, order, costs, left, right):
    """Costs of every training row of one feature, from its sorted column, written to the rows' places.

    ordered (n,) float, ascending; order (n,) int64, the row each value came from; costs (n + 1,) float64, log(n / t);
    left, right (n,) float64, outputs. A run of equal values [i, j) has j values at most and n - i values at least as
    large as its own. Returns the number of runs.
    """
    n = ordered.size
    runs = 0
    i = 0
    while i < n:
        runs += 1
        j = i + 1
        value = ordered[i]
        while j < n and ordered[j] == value:
            j += 1
        low, high = costs[j], costs[n - i]
        for t in range(i, j):
            left[order[t]] = low
            right[order[t]] = high
        i = j
    return runs


@njit
def scatter_run_max(ordered, order, costs, largest):
    """As `scatter_run_costs`, but only the larger of the two costs, into largest (n,) float64."""
    n = ordered.size
    runs = 0
    i = 0
    while i < n:
        runs += 1
        j = i + 1
        value = ordered[i]
        while j < n and ordered[j] == value:
            j += 1
        cost = max(costs[j], costs[n - i])
        for t in range(i, j):
            largest[order[t]] = cost
        i = j
    return runs


@njit
def _lockstep(x, m, keys, inclusive, pos, key):
    """pos[:m] = #{keys < x} (or <= x when inclusive) for m <= BLOCK values x; key is scratch."""
    for r in range(m):
        pos[r] = 0
    length = keys.size
    while length > 1:
        half = length // 2
        for r in range(m):
            key[r] = keys[pos[r] + half - 1]
        if inclusive:
            for r in range(m):
                pos[r] += half if key[r] <= x[r] else 0
        else:
            for r in range(m):
                pos[r] += half if key[r] < x[r] else 0
        length -= half
    for r in range(m):
        last = keys[pos[r]]
        pos[r] += 1 if (last < x[r] or (inclusive and last == x[r])) else 0


@njit
def _block_costs(x, m, keys, counts, costs, n, low, high, cap, pos, key, upto, left, right):
    """Left and right cost of m <= BLOCK values of one feature, tail excess included.

    keys: sorted column (counts empty), or its distinct values with counts (keys.size + 1,) cumulative.
    """
    _lockstep(x, m, keys, False, pos, key)
    last = keys.size - 1
    if counts.size > 0:
        for r in range(m):
            p = pos[r]
            hit = p <= last and keys[p] == x[r]
            left[r] = costs[counts[p + 1 if hit else p]]
            right[r] = costs[n - counts[p]]
    else:
        hits = 0
        for r in range(m):
            hits += keys[min(pos[r], last)] == x[r]
        if hits > 0:
            _lockstep(x, m, keys, True, upto, key)
            for r in range(m):
                left[r] = costs[upto[r]]
        else:
            for r in range(m):
                left[r] = costs[pos[r]]
        for r in range(m):
            right[r] = costs[n - pos[r]]
    if cap > 0.0:
        smallest, largest = keys[0], keys[last]
        for r in range(m):
            if x[r] > largest:
                excess = np.float64(x[r]) - np.float64(largest)
                right[r] += cap if excess >= cap * high else excess / high
            elif x[r] < smallest:
                excess = np.float64(smallest) - np.float64(x[r])
                left[r] += cap if excess >= cap * low else excess / low


@njit
def walk(X, kind, signs, values, offsets, counts, count_offsets, costs, cost_offsets, sizes, scales, cap, missing, a, b, c):
    """Costs of all cells of X, handed to the outputs by kind.

    kind 0: a (m,) += larger cost. kind 1: a, b, c (m,) += left, right, left or right by signs. kind 2: a[:, j], b[:, j]
    (m, d) = left, right. Sums run in ascending feature order, whatever the chunk. The state is `ecdf.TailTable`,
    array by array.
    """
    m, d = X.shape
    x = np.empty((GROUP, m), X.dtype)
    pos, upto = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    key = np.empty(BLOCK, values.dtype)
    left, right = np.empty(BLOCK), np.empty(BLOCK)
    none = counts[:0]
    for first in range(0, d, GROUP):
        width = min(GROUP, d - first)
        for i in range(m):
            for f in range(width):
                x[f, i] = X[i, first + f]
        for f in range(width):
            j = first + f
            keys = values[offsets[j] : offsets[j + 1]]
            cumulative = none
            if count_offsets[j] >= 0:
                cumulative = counts[count_offsets[j] : count_offsets[j] + keys.size + 1]
            cost = costs[cost_offsets[j] : cost_offsets[j] + sizes[j] + 1]
            for start in range(0, m, BLOCK):
                width_rows = min(BLOCK, m - start)
                block = x[f, start : start + width_rows]
                if keys.size > 0:
                    _block_costs(
                        block, width_rows, keys, cumulative, cost, sizes[j], scales[0, j], scales[1, j], cap,
                        pos, key, upto, left, right,
                    )  # fmt: skip
                else:
                    left[:] = 0.0
                    right[:] = 0.0
                if kind == 0:
                    for r in range(width_rows):
                        term = left[r] if left[r] > right[r] else right[r]
                        a[start + r, 0] += term if block[r] == block[r] else missing[2, j]
                elif kind == 1:
                    for r in range(width_rows):
                        there = block[r] == block[r]
                        lower = left[r] if there else missing[0, j]
                        upper = right[r] if there else missing[1, j]
                        a[start + r, 0] += lower
                        b[start + r, 0] += upper
                        c[start + r, 0] += lower if signs[j] < 0 else upper
                else:
                    for r in range(width_rows):
                        a[start + r, j] = left[r]
                        b[start + r, j] = right[r]
