"""Tail probabilities of single features from their training columns (Li et al., ECOD, 2022, Algorithm 1).

For a value x of feature j with n training values, L = #{train <= x} and R = #{train >= x}, both clipped to [1, n]:

    left = log(n / L)     right = log(n / R)      natural log, in [0, log n]

Beyond the training range the side in question grows by the excess in units of the feature's tail scale, at most by
`cap`. No logarithm is taken while scoring: `costs[t] = log(n / t)` is a table that every path shares, so that numpy,
numba and every chunk size give the same bits.
"""

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.chunks import over_rows
from odkit.kernels.cpu.jit import compiled
from odkit.kernels.cpu.tail_table import TABLED, TailTable, feature_of

__all__ = ["tail_max", "tail_sums", "tail_terms"]

_JIT = "odkit.kernels.cpu.ecdf_jit"


def _column_terms(x: NDArray, table: TailTable, j: int, cap: float) -> tuple[NDArray, NDArray]:
    """Left and right cost of the values x of feature j, in numpy."""
    keys, counts, costs = feature_of(table, j)
    if keys.size == 0:
        return np.zeros(x.size), np.zeros(x.size)
    below, upto = np.searchsorted(keys, x, side="left"), np.searchsorted(keys, x, side="right")
    if counts is not None:
        below, upto = counts[below], counts[upto]
    left, right = (
        costs[upto],
        costs[(2 * keys.size + 1 if table.count_offsets[j] == TABLED else table.sizes[j]) - below],
    )
    if cap > 0:
        with np.errstate(over="ignore"):
            for side, outside, end, scale in (
                (right, x > keys[-1], keys[-1], table.scales[1, j]),
                (left, x < keys[0], keys[0], table.scales[0, j]),
            ):
                excess = np.abs(x[outside].astype(np.float64) - np.float64(end))
                far = excess >= cap * scale
                side[outside] += np.where(far, cap, excess / np.where(far, 1.0, scale))
    return left, right


def _walk(
    X: NDArray, table: TailTable, kind: int, signs: NDArray, cap: float, missing: NDArray, outs: tuple, n_jobs: int
) -> None:
    """Score all rows into outs: compiled where that pays, else column by column in numpy; the bits are the same."""
    n, d = X.shape
    jit = compiled(_JIT, n * d)
    if jit is not None:
        X = X.view()
        X.flags.writeable = False

        def task(rows: slice) -> None:
            a, b, c = (outs[min(i, len(outs) - 1)][rows] for i in range(3))
            jit.walk(X[rows], kind, signs, *table, cap, missing, a, b, c)

        over_rows(task, n, n_jobs)
        return
    for j in range(d):
        x = np.ascontiguousarray(X[:, j])
        left, right = _column_terms(x, table, j, cap)
        if kind == 2:
            outs[0][:, j], outs[1][:, j] = left, right
            continue
        there = x == x
        if kind == 0:
            outs[0][:, 0] += np.where(there, np.maximum(left, right), missing[2, j])
        else:
            lower, upper = np.where(there, left, missing[0, j]), np.where(there, right, missing[1, j])
            for out, term in zip(outs, (lower, upper, lower if signs[j] < 0 else upper), strict=True):
                out[:, 0] += term


def tail_max(X: NDArray, table: TailTable, cap: float, missing: NDArray, *, n_jobs: int = 1) -> NDArray[np.float64]:
    """(m,): sum over features of the larger of left and right cost.

    X (m, d) C-order in the table's dtype; cap in nats, 0 = no tail excess; missing (3, d) from `feature_means`, what a
    NaN cell costs. Thread-safe.
    """
    out = np.zeros((X.shape[0], 1))
    _walk(X, table, 0, table.sizes, cap, missing, (out,), n_jobs)
    return out[:, 0]


def tail_sums(
    X: NDArray, table: TailTable, signs: NDArray, cap: float, missing: NDArray, *, n_jobs: int = 1
) -> NDArray[np.float64]:
    """(3, m): sums over features of the left, right and auto cost; auto is left where signs < 0, else right."""
    outs = tuple(np.zeros((X.shape[0], 1)) for _ in range(3))
    _walk(X, table, 1, signs, cap, missing, outs, n_jobs)
    return np.concatenate(outs, axis=1).T


def tail_terms(
    X: NDArray, table: TailTable, cap: float, *, n_jobs: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right cost of every cell, (m, d) each; the cells of X are not missing."""
    outs = (np.empty(X.shape), np.empty(X.shape))
    _walk(X, table, 2, table.sizes, cap, np.zeros((3, X.shape[1])), outs, n_jobs)
    return outs
