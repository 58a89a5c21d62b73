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

from odkit.kernels.cpu.blas import one_thread

__all__ = ["centred", "column_moments", "merge_moments", "moments"]

BLOCK_CELLS = 1 << 16  # float64 numbers of a centred block: half of a one-megabyte L2 cache
MIN_ROWS = 1024  # narrower blocks starve the matrix product
SMALL = 256  # columns up to which a second BLAS thread does not pay


def moments(X: NDArray) -> dict[str, Any]:
    """State of the rows of X (n, d), float32 or float64, n >= 1, in any order.

    One pass: with y = x - s for a shift s near the mean and p = |y|^2, every sum is an entry of A'A, A = [y p 1].
    """
    n, d = X.shape
    rows = max(MIN_ROWS, BLOCK_CELLS // (d + 2))
    shift = _near_mean(X)
    block = np.ones((min(rows, n), d + 2))
    total = np.zeros((d + 2, d + 2))
    with one_thread() if d <= SMALL else nullcontext():
        for start in range(0, n, rows):
            x = X[start : start + rows]
            a = block[: len(x)]
            np.subtract(x, shift, out=a[:, :d])
            np.einsum("ij,ij->i", a[:, :d], a[:, :d], out=a[:, d])
            total += a.T @ a
    away = total[:d, d + 1] / n
    about_shift = {"n": n, "scatter": total[:d, :d], "third": total[:d, d], "fourth": total[d, d]}
    return {"mean": shift + away, **centred(about_shift, away)}


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


def centred(m: dict[str, Any], e: NDArray) -> dict[str, Any]:
    """Sums about the mean, from the sums m about a point p and e = mean - p; the inverse of `_moved`."""
    n = m["n"]
    scatter = m["scatter"] - n * e[:, None] * e
    norm, trace, turned = e @ e, scatter.diagonal().sum(), scatter @ e
    third = m["third"] - 2 * turned - (trace + n * norm) * e
    fourth = m["fourth"] - 4 * (e @ turned) - 4 * (e @ third) - 2 * norm * trace - n * norm**2
    return {"n": n, "scatter": scatter, "third": third, "fourth": fourth}
