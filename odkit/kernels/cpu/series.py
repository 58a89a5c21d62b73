"""Time series kernels: windows, linear prediction, polynomial residuals, matrix profile, threshold, event counts.

Series are float64, time along the first axis. All functions are free of side effects and safe in threads. Sums over
windows are built from blocks of one window's length, never from one long prefix sum: a spike of 1e8 then leaves no
rounding error in windows that do not contain it.
"""

from importlib import import_module

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled

__all__ = [
    "autoregression_moments",
    "autoregression_residual",
    "exact_threshold",
    "matrix_profile",
    "moving_energy",
    "polynomial_residual",
    "unroll",
    "vus_counts",
]

_JIT = "odkit.kernels.cpu.series_jit"
_CELLS = 1 << 22  # scratch memory of the chunked kernels: 32 MiB of float64
ROUNDING = 1e-12  # of a correlation in the matrix profile
_DIAGONALS = 64  # tasks of the matrix profile; the split does not change the result


def moving_energy(
    x: NDArray, mean: NDArray, scale: NDArray, window: int, clip: float | None = None
) -> NDArray[np.float64]:
    """Mean square of the standardised values in every window, channel by channel.

    q_ic = 1/W sum_{t=i}^{i+W-1} z_tc^2, z = (x - mean) / scale, |z| cut at `clip` where that is given. O(n C).

    Parameters
    ----------
    x : float array of shape (n, C), n >= window
    mean, scale : float64 arrays of shape (C,)
    window : int
    clip : float, optional

    Returns
    -------
    float64 array of shape (n - window + 1, C), no unit
    """
    n, width = x.shape
    blocks = np.zeros((-(-n // window), window, width))
    z = blocks.reshape(-1, width)[:n]
    np.subtract(x, mean, out=z)
    z /= scale
    if clip is not None:
        np.clip(z, -clip, clip, out=z)
    z *= z
    # a window that starts inside a block is the end of that block and the beginning of the next one
    ends = np.empty_like(blocks)
    np.cumsum(blocks[:, ::-1], axis=1, out=ends[:, ::-1])
    beginnings = np.cumsum(blocks, axis=1, out=blocks)
    ends[:-1, 1:] += beginnings[1:, :-1]
    squares = ends.reshape(-1, width)[: n - window + 1]
    squares /= window
    return squares


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


def autoregression_moments(x: NDArray, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phi'Phi and Phi'y of the regression of x_t on phi_t = [1, x_{t-p}, ..., x_{t-1}], without building Phi.

    The first row of the lag block is p dot products; each later entry follows from its upper left neighbour by one
    product that leaves and one that enters, so that the cost is O(n p + p^2) and the memory O(n).

    Parameters
    ----------
    x : float64 array of shape (n,), n > order; values of the order of 1
    order : int

    Returns
    -------
    gram : float64 array of shape (order + 1, order + 1)
    cross : float64 array of shape (order + 1,)
    """
    rows = len(x) - order
    full = np.empty((order + 1, order + 1))  # products of x_{t-p}, ..., x_{t-1}, x_t
    full[0] = np.correlate(x, x[:rows], mode="valid")
    for i in range(order):
        full[i + 1, i + 1 :] = full[i, i:-1] - x[i] * x[i:order] + x[rows + i] * x[rows + i : rows + order]
    full = np.triu(full) + np.triu(full, 1).T
    sums = np.cumsum(x)
    sums = np.append(sums[rows - 1], sums[rows:] - sums[:order])
    gram = np.empty((order + 1, order + 1))
    gram[0, 0] = rows
    gram[0, 1:] = gram[1:, 0] = sums[:order]
    gram[1:, 1:] = full[:order, :order]
    return gram, np.append(sums[order], full[:order, order])


def autoregression_residual(x: NDArray, coef: NDArray) -> NDArray[np.float64]:
    """|x_t - phi_t b| for t = p..n-1 and every channel; phi_t = [1, x_{t-p}, ..., x_{t-1}]. O(n p) time, O(n) memory.

    Parameters
    ----------
    x : float64 array of shape (n, C), n > p
    coef : float64 array of shape (C, p + 1), intercept first

    Returns
    -------
    float64 array of shape (n - p, C), in the unit of x
    """
    order = coef.shape[1] - 1
    out = np.empty((len(x) - order, x.shape[1]))
    for c, b in enumerate(coef):
        channel = np.ascontiguousarray(x[:, c])
        out[:, c] = channel[order:] - (b[0] + np.correlate(channel[:-1], b[1:], mode="valid"))
    return np.abs(out)


def polynomial_residual(x: NDArray, window: int, degree: int, neighbourhood: int) -> NDArray[np.float64]:
    """Root mean square distance of each block from a polynomial fitted to its surroundings, block excluded.

    Blocks [s, s + p), s = 0, p, 2p, ...; the fit uses m = min(neighbourhood * p, n) points from
    a = clip(s + p//2 - m//2, 0, n - m) without the block. Where fewer than degree + 1 points are left the least
    squares solution of smallest norm is taken. Interior blocks share one design, hence one matrix; O(n * neighbourhood
    * degree) altogether, scratch memory bounded.

    Parameters
    ----------
    x : float64 array of shape (n, C)
    window, degree, neighbourhood : int

    Returns
    -------
    float64 array of shape (n, C): all steps of a block share its value; unit of x
    """
    n, width = x.shape
    m = min(neighbourhood * window, n)
    shift = window // 2 - m // 2  # a = s + shift where nothing is clipped
    blocks = np.arange(0, n, window)
    interior = blocks[(blocks + shift >= 0) & (blocks + shift <= n - m) & (blocks + window <= n)]
    value = np.empty((len(blocks), width))
    if len(interior):
        fit, evaluate = _polynomial_design(m, -shift, window, degree)
        views = sliding_window_view(x, m, axis=0)  # (n - m + 1, C, m)
        chunk = max(_CELLS // (m * width), 1)
        for begin in range(0, len(interior), chunk):
            s = interior[begin : begin + chunk]
            surroundings = views[s + shift].reshape(-1, m)
            residual = surroundings[:, -shift : window - shift] - surroundings @ fit.T @ evaluate.T
            value[s // window] = np.sqrt(np.mean(residual**2, axis=1)).reshape(-1, width)
    for s in np.setdiff1d(blocks, interior, assume_unique=True):
        a = min(max(s + shift, 0), n - m)
        length = min(window, n - s)
        fit, evaluate = _polynomial_design(m, s - a, length, degree)
        residual = x[s : s + length] - evaluate @ (fit @ x[a : a + m])
        value[s // window] = np.sqrt(np.mean(residual**2, axis=0))
    return np.repeat(value, window, axis=0)[:n]


def _polynomial_design(m: int, begin: int, length: int, degree: int) -> tuple[NDArray, NDArray]:
    """Coefficients = fit @ surroundings (columns of the block are zero); values in the block = evaluate @ coefficients.

    Legendre polynomials on u = (t - m/2) / (m/2) span the same space as powers of u and are better conditioned.
    """
    basis = np.polynomial.legendre.legvander((np.arange(m) - m / 2) / (m / 2), degree)
    outside = np.ones(m, dtype=bool)
    outside[begin : begin + length] = False
    fit = np.zeros((degree + 1, m))
    fit[:, outside] = np.linalg.pinv(basis[outside])
    return fit, basis[begin : begin + length]


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


def exact_threshold(values: NDArray, z_min: float) -> float:
    """The cut of Hundman et al. that lowers mean and deviation most per marked point and squared run, found exactly.

    Among eps >= mu + z_min sd it minimises -[(mu - mean(w <= eps))/mu + (sd - sd(w <= eps))/sd] / (n_above + runs^2).
    The cost changes only at values of w, so the k largest are marked for every k at which a lower value follows:
    with r_i the rank of point i, two neighbours are both marked from k = max(r_i, r_{i+1}) on, hence
    runs(k) = k - #{i: max(r_i, r_{i+1}) <= k}. O(m log m).

    Parameters
    ----------
    values : float64 array of shape (m,), >= 0
    z_min : float

    Returns
    -------
    float: max(next lower value, mu + z_min sd) of the best k; nan where no value lies above mu + z_min sd, or mu or
    sd is 0
    """
    m = len(values)
    mu, sd = (values.mean(), values.std()) if m else (0.0, 0.0)
    lowest = mu + z_min * sd
    if mu == 0 or sd == 0:
        return np.nan
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    above = np.searchsorted(-ordered, -lowest, side="left")  # candidates are among the values > lowest
    k = np.arange(1, min(above, m - 1) + 1)
    k = k[ordered[k - 1] > ordered[k]]
    if len(k) == 0:
        return np.nan
    rank = np.empty(m, dtype=np.int64)
    rank[order] = np.arange(m)
    joined = np.cumsum(np.bincount(np.maximum(rank[1:], rank[:-1]), minlength=m))
    centred = ordered - mu
    tail = np.cumsum(centred[::-1])[::-1][k] / (m - k)  # mean of the unmarked, less mu
    square = np.cumsum((centred**2)[::-1])[::-1][k] / (m - k)
    rest = np.sqrt(np.maximum(square - tail**2, 0.0))
    runs = k - joined[k - 1]
    cost = -(-tail / mu + (sd - rest) / sd) / (k + runs.astype(np.float64) ** 2)
    return float(max(ordered[k[np.argmin(cost)]], lowest))


def vus_counts(
    is_outlier: NDArray, anomaly_score: NDArray, max_window: int, n_thresholds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts behind the volume under the surface, for every border length l = 0..L and threshold k.

    Thresholds are the scores at positions int(linspace(0, n-1, K)) in descending order, a step is alarmed where
    score >= threshold. The soft label of a step outside the events is the sum over events of sqrt(1 - d/l) for
    distances d <= l//2, capped at 1. Every step is put once into the bin of the first threshold it reaches, so that
    each l costs one pass over the steps near an event instead of one over all steps and thresholds.

    Parameters
    ----------
    is_outlier : bool array of shape (n,), with both classes
    anomaly_score : float64 array of shape (n,)
    max_window, n_thresholds : int, L and K

    Returns
    -------
    alarmed : (K,) steps alarmed
    inside : (K,) alarmed steps inside events
    outside : (L + 1, K) soft labels of alarmed steps outside events
    touched : (L + 1, K) share of the widened and merged events that contain an alarmed step
    """
    n = len(anomaly_score)
    thresholds = -np.sort(-anomaly_score)[np.linspace(0, n - 1, n_thresholds).astype(np.int64)]
    bins = np.searchsorted(-thresholds, -anomaly_score, side="left")  # < K: the last threshold is the minimum
    alarmed = np.cumsum(np.bincount(bins, minlength=n_thresholds)).astype(np.float64)
    inside = np.cumsum(np.bincount(bins[is_outlier], minlength=n_thresholds)).astype(np.float64)
    edges = np.diff(np.concatenate([[False], is_outlier, [False]]).astype(np.int8))
    begin, end = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)  # half open
    reach = np.arange(1, max_window // 2 + 1)
    near = np.concatenate([(begin[:, None] - reach).ravel(), (end[:, None] + reach - 1).ravel()])
    distance = np.tile(reach, 2 * len(begin))
    free = (near >= 0) & (near < n)
    free[free] = ~is_outlier[near[free]]
    steps, place = np.unique(near[free], return_inverse=True)
    distance = distance[free]
    outside = np.zeros((max_window + 1, n_thresholds))
    touched = np.empty((max_window + 1, n_thresholds))
    for length in range(max_window + 1):
        half = length // 2
        if length % 2 == 0:  # the widened events depend on half alone
            share = _touched(bins, begin, end, half, n_thresholds)
        touched[length] = share
        if half:
            close = distance <= half
            soft = np.bincount(place[close], np.sqrt(1 - distance[close] / length), minlength=len(steps))
            weights = np.minimum(soft, 1.0)
            outside[length] = np.cumsum(np.bincount(bins[steps], weights, minlength=n_thresholds))
    return alarmed, inside, outside, touched


def _touched(bins: NDArray, begin: NDArray, end: NDArray, half: int, n_thresholds: int) -> NDArray[np.float64]:
    """Share of the events, widened by `half` and merged where they meet, alarmed at each threshold."""
    apart = begin[1:] - half > end[:-1] - 1 + half
    first = np.maximum(begin[np.append(True, apart)] - half, 0)
    last = np.minimum(end[np.append(apart, True)] + half, len(bins))
    earliest = np.minimum.reduceat(np.append(bins, n_thresholds), np.column_stack([first, last]).ravel())[::2]
    return np.cumsum(np.bincount(earliest, minlength=n_thresholds)) / len(first)
