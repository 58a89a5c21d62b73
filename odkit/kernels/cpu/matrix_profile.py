"""Matrix profile: how far every window of a series is from the window most like it (Yeh et al., 2016).

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

from importlib import import_module

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from odkit.kernels.cpu.chunks import over_items

__all__ = ["matrix_profile"]

_JIT = "odkit.kernels.cpu.matrix_profile_jit"
_CELLS = 1 << 22  # scratch memory: 32 MiB of float64
ROUNDING = 1e-12  # of a correlation: nearer to 1 is 1
_DIAGONALS = 64  # tasks; the split does not change the result


def matrix_profile(x: NDArray, window: int, reference: NDArray | None = None, n_jobs: int = 1) -> NDArray[np.float64]:
    """Distance of every window to the z-normalised window most like it.

    d_ij^2 = 2 m (1 - (<T_i, R_j> - m mu_i mu_j) / (m sd_i sd_j)); P_i = min_j d_ij. Without `reference` the windows of
    x are compared with each other, those with |i - j| <= ceil(m / 4) left out. Two constant windows are at distance 0,
    a constant and another one at sqrt(m). Windows without a partner get the largest finite value, 0 if there is none.
    Correlations within 1e-12 of 1 count as 1: among exact repeats, common in telemetry, rounding would rank the steps.
    Inner products run along diagonals by a recurrence on centred differences: O(n_windows * n_reference) time, O(n)
    memory, on `n_jobs` threads.

    Parameters
    ----------
    x : float64 array of shape (n,), n >= window
    window : int, at least 3
    reference : float64 array of shape (n_reference,), optional
    n_jobs : int

    Returns
    -------
    float64 array of shape (n - window + 1,), between 0 and 2 sqrt(window)
    """
    jit = import_module(_JIT)  # there is no numpy form of the same order
    n_windows = len(x) - window + 1
    series = _window_moments(x, window)
    other = series if reference is None else _window_moments(reference, window)
    zone = -(-window // 4) if reference is None else None
    n_other = len(other[0])
    # a diagonal is named by j - i; a self-join is symmetric and needs one half
    diagonals = np.arange(zone + 1, n_windows) if zone is not None else np.arange(-n_windows + 1, n_other)
    if len(diagonals) == 0:
        return np.zeros(n_windows)
    tasks = [diagonals[k::_DIAGONALS] for k in range(min(_DIAGONALS, len(diagonals)))]
    best = np.full((max(min(n_jobs, len(tasks)), 1), n_windows), -np.inf)
    free = list(range(len(best)))  # list.pop and list.append are atomic: each running task owns one row

    def scan(task: NDArray) -> None:
        row = free.pop()
        jit.scan_diagonals(*series, *other, window, task, zone is not None, best[row])
        free.append(row)

    over_items(scan, tasks, n_jobs)
    correlation = best.max(axis=0)
    profile = np.sqrt(2 * window * np.where(correlation > 1 - ROUNDING, 0.0, np.minimum(1 - correlation, 2)))
    lonely = np.isneginf(correlation)
    profile[lonely] = profile[~lonely].max(initial=0.0)
    return profile


def _window_moments(x: NDArray, window: int) -> tuple[NDArray, ...]:
    """Series, window means, inverse norms (0 for a constant window) and the two difference series of the recurrence."""
    x = x - np.median(x)  # correlations do not change; large offsets would cost digits
    views = sliding_window_view(x, window)
    n_windows = len(views)
    mean, norm = np.empty(n_windows), np.empty(n_windows)
    chunk = max(_CELLS // window, 1)
    for begin in range(0, n_windows, chunk):
        part = views[begin : begin + chunk]
        mean[begin : begin + chunk] = part.mean(axis=1)
        norm[begin : begin + chunk] = np.sqrt(((part - mean[begin : begin + chunk, None]) ** 2).sum(axis=1))
    same = np.append(0, np.cumsum(x[1:] == x[:-1]))
    constant = same[window - 1 :] - same[:n_windows] == window - 1
    inverse = np.divide(1.0, norm, out=np.zeros(n_windows), where=~constant & (norm > 0))
    # cov_{i+1,j+1} - cov_{i,j} = d_i g_j + g_i d_j with these two series
    difference = np.append(0.0, 0.5 * (x[window:] - x[: n_windows - 1]))
    centred = np.append(0.0, (x[window:] - mean[1:]) + (x[: n_windows - 1] - mean[:-1]))
    return x, mean, inverse, difference, centred
