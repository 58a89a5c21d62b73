"""The jitted loop of `windows.py`: a rolling median has no vectorised form of the same order."""

import numpy as np

from odkit.kernels.cpu.jit import njit

__all__ = ["rolling_median"]


@njit
def rolling_median(ordered, rank, first, last):
    """Median of values[first[t] : last[t]] for windows that only move forward.

    ordered : (m,) sorted values; rank : (m,) place of each value in it; first, last : (n,) non-decreasing.
    A Fenwick tree counts the ranks inside the window: O(log m) per value that enters or leaves and per look-up.
    """
    m, n = len(ordered), len(first)
    tree = np.zeros(m + 1, np.int64)
    top = 1
    while top * 2 <= m:
        top *= 2
    out = np.empty(n)
    begin, end = 0, 0
    for t in range(n):
        while end < last[t]:
            i = rank[end] + 1
            while i <= m:
                tree[i] += 1
                i += i & -i
            end += 1
        while begin < first[t]:
            i = rank[begin] + 1
            while i <= m:
                tree[i] -= 1
                i += i & -i
            begin += 1
        count = end - begin
        total = 0.0
        for which in ((count - 1) // 2, count // 2):
            place, left, step = 0, which, top
            while step > 0:
                if place + step <= m and tree[place + step] <= left:
                    place += step
                    left -= tree[place]
                step //= 2
            total += ordered[place]
        out[t] = 0.5 * total
    return out
