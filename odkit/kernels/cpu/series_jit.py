"""Jitted loops of `series.py`: what has no vectorised form of the same order."""

import numpy as np

from odkit.kernels.cpu.jit import njit

__all__ = ["rolling_median", "scan_diagonals"]

FORGET = 1e4  # growth of 1 / (norm norm) after which a covariance is summed afresh


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


@njit
def scan_diagonals(
    x,
    mean,
    inverse,
    difference,
    centred,
    r,
    r_mean,
    r_inverse,
    r_difference,
    r_centred,
    window,
    diagonals,
    mirror,
    best,
):
    """Raise best[i] to the largest correlation of window i of x with a window j = i + k of r on the given diagonals.

    cov_{i,j} = cov_{i-1,j-1} + difference_i centred_j + centred_i difference_j. The sum keeps a rounding error of the
    size of the largest covariance it went through; it is taken afresh where the windows have become so much smaller
    that the error would show. `mirror` raises best[j] too.
    """
    n, n_other = len(mean), len(r_mean)
    for k in diagonals:
        begin = max(0, -k)
        covariance, smallest = 0.0, -1.0
        for i in range(begin, begin + min(n - begin, n_other - begin - k)):
            j = i + k
            covariance += difference[i] * r_centred[j] + centred[i] * r_difference[j]
            inverses = inverse[i] * r_inverse[j]
            if inverses > 0.0:
                if smallest < 0.0 or inverses > FORGET * smallest:
                    covariance = 0.0
                    for s in range(window):
                        covariance += (x[i + s] - mean[i]) * (r[j + s] - r_mean[j])
                    smallest = inverses
                smallest = min(smallest, inverses)
                correlation = covariance * inverses
            else:
                smallest = -1.0
                # both constant: distance 0; one: sqrt(m), of which 2 m (1 - 1/2) is the square
                correlation = 1.0 if inverse[i] == r_inverse[j] else 0.5
            best[i] = max(best[i], correlation)
            if mirror:
                best[j] = max(best[j], correlation)
