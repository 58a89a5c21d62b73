"""Jitted loop of `ranks.py`: which entries of a rank summary stay."""

import math

from odkit.kernels.cpu.jit import njit


@njit
def thin_walk(below, upto, n, growth, kept):
    """Indices of the entries to keep, ascending, into kept (m,) int64; returns how many.

    below (m,) int64, upper bounds of #{< v}, and upto (m,) int64, lower bounds of #{<= v}, both ascending; n values in
    all; growth > 1. From a kept entry i on to the last entry j with below[j] <= min(upto[i] growth, n - (n - upto[i]) /
    growth), by doubling steps and halving; at least to i + 1. The last entry is always kept.
    """
    last = below.size - 1
    kept[0] = 0
    count, i = 1, 0
    while i < last:
        limit = math.floor(min(upto[i] * growth, n - (n - upto[i]) / growth))
        inside, step = i + 1, 1
        while inside + step <= last and below[inside + step] <= limit:
            inside += step
            step *= 2
        outside = min(inside + step, last + 1)
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if below[middle] <= limit:
                inside = middle
            else:
                outside = middle
        kept[count] = i = inside
        count += 1
    return count
