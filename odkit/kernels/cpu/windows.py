"""Values of windows back on the time axis: mean, median or maximum over the windows that cover a step.

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.jit import compiled

__all__ = ["unroll"]

_JIT = "odkit.kernels.cpu.windows_jit"
_CELLS = 1 << 22  # scratch memory: 32 MiB of float64


def unroll(values: NDArray, starts: NDArray, n: int, window: int, how: str) -> NDArray[np.float64]:
    """Values of windows back on the time axis: at step t the mean, median or maximum over the windows that cover t.

    Parameters
    ----------
    values : float array of shape (n_windows,), one value per window, or (n_windows, window), one per step of each
    starts : int array of shape (n_windows,), strictly increasing; every step 0..n-1 lies in some window
    n, window : int
    how : "mean", "median" or "max"

    Returns
    -------
    float64 array of shape (n,). O(n_windows * window) for mean, max and two-dimensional values; O(n log n) for the
    median of one-dimensional values.
    """
    values = np.asarray(values, dtype=np.float64)
    if how == "median":
        return _unroll_median(values, starts, n, window)
    out = np.full(n, -np.inf) if how == "max" else np.zeros(n)
    if values.ndim == 2:
        count = np.zeros(n)
        for step in range(window):  # starts are distinct: fancy addition touches every step once
            if how == "max":
                out[starts + step] = np.maximum(out[starts + step], values[:, step])
            else:
                out[starts + step] += values[:, step]
                count[starts + step] += 1
        return out if how == "max" else out / count
    first, last = _covering(starts, n, window)
    pairs = np.column_stack([first, last]).ravel()  # reduceat takes every second pair: [first, last) of each step
    padded = np.append(values, 0.0)
    if how == "max":
        return np.maximum.reduceat(padded, pairs)[::2]
    return np.add.reduceat(padded, pairs)[::2] / (last - first)


def _covering(starts: NDArray, n: int, window: int) -> tuple[NDArray, NDArray]:
    """Windows first <= i < last cover step t."""
    steps = np.arange(n)
    return np.searchsorted(starts, steps - window, side="right"), np.searchsorted(starts, steps, side="right")


def _unroll_median(values: NDArray, starts: NDArray, n: int, window: int) -> NDArray[np.float64]:
    first, last = _covering(starts, n, window)
    most = int((last - first).max())
    jit = compiled(_JIT, n * most) if values.ndim == 1 else None
    if jit is not None:
        order = np.argsort(values, kind="stable")
        rank = np.empty(len(values), dtype=np.int64)
        rank[order] = np.arange(len(values))
        return jit.rolling_median(values[order], rank, first, last)
    out = np.empty(n)
    chunk = max(_CELLS // most, 1)
    for begin in range(0, n, chunk):
        steps = np.arange(begin, min(begin + chunk, n))
        i = first[steps, None] + np.arange(most)
        valid = i < last[steps, None]
        i = np.where(valid, i, 0)
        gathered = values[i] if values.ndim == 1 else values[i, np.where(valid, steps[:, None] - starts[i], 0)]
        ordered = np.sort(np.where(valid, gathered, np.inf), axis=1)
        count = valid.sum(axis=1)
        rows = np.arange(len(steps))
        out[steps] = 0.5 * (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2])
    return out
