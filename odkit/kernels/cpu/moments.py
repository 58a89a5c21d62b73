"""Mean, scatter and the norm moments that Ledoit-Wolf needs, of a block of rows, and of blocks together.

A state is a dict of `n`, `mean` (d,), `scatter` (d, d) = sum z z', `third` (d,) = sum |z|^2 z and `fourth` = sum |z|^4
with z = x - mean, all float64. Sums about the mean never lose digits to a drift of the data, however long the stream.
States of `column_moments` have a `scatter` (d,) = sum z_j^2 and no third or fourth. Nothing here writes to its input;
all functions are safe to call from several threads.
"""

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from odkit.kernels.cpu.blas import one_thread

__all__ = ["centred", "column_moments", "merge_moments", "moments"]

BLOCK_CELLS = 1 << 16  # float64 numbers of a centred block: half of a one-megabyte L2 cache
MIN_ROWS = 1024  # narrower blocks starve the matrix product
SMALL = 256  # columns up to which a second BLAS thread does not pay


def moments(X: NDArray) -> dict[str, Any]:
    """State of the rows of X (n, d), float32 or float64, n >= 1, in any order.

    One pass of blocks that stay in cache. Sums are taken about a point near the mean and then moved to it; rows whose
    columns lie within a few deviations of 0 anyway are not copied for that.
    """
    n, d = X.shape
    rows = max(MIN_ROWS, BLOCK_CELLS // d)
    shift = _origin(X)
    as_they_are = not shift.any() and X.dtype == np.float64 and X.flags.c_contiguous
    scratch, ones = np.empty((0 if as_they_are else min(rows, n), d)), np.ones(rows)
    triangle, first, third, fourth = np.zeros((d, d), order="F"), np.zeros(d), np.zeros(d), 0.0
    with one_thread() if d <= SMALL else nullcontext():
        for start in range(0, n, rows):
            y = X[start : start + rows]
            if not as_they_are:
                y = np.subtract(y, shift, out=scratch[: len(y)])
            # a symmetric product takes half the operations; y.T is in Fortran order, as BLAS wants it
            triangle = dsyrk(1.0, y.T, beta=1.0, c=triangle, overwrite_c=True)
            norms = np.vecdot(y, y)
            first += ones[: len(y)] @ y
            third += norms @ y
            fourth += norms @ norms
    away = first / n
    scatter = triangle + np.triu(triangle, 1).T  # the lower triangle holds zeros
    return {"mean": shift + away, **centred({"n": n, "scatter": scatter, "third": third, "fourth": fourth}, away)}


def column_moments(X: NDArray) -> dict[str, Any]:
    """Count, mean and sum of squares about the mean of each column of X (n, d): O(d) memory."""
    n, d = X.shape
    rows = max(MIN_ROWS, BLOCK_CELLS // d)
    shift = _near_mean(X)
    sums, squares = np.zeros(d), np.zeros(d)
    for start in range(0, n, rows):
        y = X[start : start + rows] - shift
        sums += y.sum(axis=0)
        squares += np.einsum("ij,ij->j", y, y)
    away = sums / n
    return {"n": n, "mean": shift + away, "scatter": np.maximum(squares - n * away**2, 0.0)}


def merge_moments(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """State of the rows of two states together: both are moved to the common mean and added."""
    n = a["n"] + b["n"]
    mean = a["mean"] + (b["mean"] - a["mean"]) * (b["n"] / n)
    here, there = _moved(a, a["mean"] - mean), _moved(b, b["mean"] - mean)
    return {"n": n, "mean": mean, **{name: here[name] + there[name] for name in here if name != "n"}}


def _near_mean(X: NDArray) -> NDArray[np.float64]:
    """Mean of up to 4096 rows spread over X: as good a shift as the mean, at a fraction of a pass."""
    return X[:: -(-len(X) // 4096)].mean(axis=0, dtype=np.float64)


def _origin(X: NDArray) -> NDArray[np.float64]:
    """0 where no column's mean is more than three deviations from it, which costs sums of squares one digit and of
    fourth powers two, else about the mean; judged by up to 512 rows.
    """
    sample = X[:: -(-len(X) // 512)].astype(np.float64)
    mean = sample.mean(axis=0)
    return mean if (mean**2 > 9 * sample.var(axis=0)).any() else np.zeros(len(mean))


def _moved(m: dict[str, Any], e: NDArray) -> dict[str, Any]:
    """Sums about a point p, from the sums m about the mean and e = mean - p: z becomes z + e, and sum z = 0."""
    n, scatter = m["n"], m["scatter"]
    if scatter.ndim == 1:
        return {"n": n, "scatter": scatter + n * e * e}
    norm, trace, turned = e @ e, scatter.diagonal().sum(), scatter @ e
    return {
        "n": n,
        "scatter": scatter + n * e[:, None] * e,
        "third": m["third"] + 2 * turned + (trace + n * norm) * e,
        "fourth": m["fourth"] + 4 * (e @ turned) + 4 * (e @ m["third"]) + 2 * norm * trace + n * norm**2,
    }


def centred(m: dict[str, Any], e: Any) -> dict[str, Any]:
    """Sums about the mean, from the sums m about a point p and e = mean - p; the inverse of `_moved`."""
    n = m["n"]
    scatter = m["scatter"] - n * e[:, None] * e
    norm, trace, turned = e @ e, scatter.diagonal().sum(), scatter @ e
    third = m["third"] - 2 * turned - (trace + n * norm) * e
    fourth = m["fourth"] - 4 * (e @ turned) - 4 * (e @ third) - 2 * norm * trace - n * norm**2
    return {"n": n, "scatter": scatter, "third": third, "fourth": fourth}
