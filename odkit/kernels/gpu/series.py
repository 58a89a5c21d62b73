"""Torch twins of `odkit.kernels.cpu.series`: same names, signatures and quantities, tensors in, tensors out.

Where the cpu twin walks along the series, these gather or multiply whole blocks; scratch memory is bounded by BLOCK.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

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

BLOCK = 1 << 24  # cells of a scratch tensor
ROUNDING = 1e-12  # of a correlation in the matrix profile


def moving_energy(x: Tensor, mean: Tensor, scale: Tensor, window: int, clip: float | None = None) -> Tensor:
    """Mean square of the standardised values in every window, (n - window + 1, C)."""
    z = (x - mean) / scale
    if clip is not None:
        z = z.clamp(-clip, clip)
    n, width = z.shape
    n_windows = n - window + 1
    blocks = pad(z * z, (0, 0, 0, -n % window)).reshape(-1, window, width)
    ends = blocks.flip(1).cumsum(1).flip(1).reshape(-1, width)
    beginnings = pad(blocks.cumsum(1)[:, :-1], (0, 0, 1, 0)).reshape(-1, width)
    following = pad(beginnings[window:], (0, 0, 0, window))
    return (ends[:n_windows] + following[:n_windows]) / window


def unroll(values: Tensor, starts: Tensor, n: int, window: int, how: str) -> Tensor:
    """Mean, median or maximum over the windows that cover each step, (n,)."""
    values = values.to(torch.float64)
    steps = torch.arange(n, device=values.device)
    first = torch.searchsorted(starts, steps - window, right=True)
    last = torch.searchsorted(starts, steps, right=True)
    most = int((last - first).max())
    out = torch.empty(n, dtype=torch.float64, device=values.device)
    chunk = max(BLOCK // most, 1)
    for begin in range(0, n, chunk):
        t = steps[begin : begin + chunk]
        i = first[t, None] + torch.arange(most, device=values.device)
        valid = i < last[t, None]
        i = torch.where(valid, i, 0)
        gathered = values[i] if values.ndim == 1 else values[i, torch.where(valid, t[:, None] - starts[i], 0)]
        count = valid.sum(1, keepdim=True)
        if how == "mean":
            out[t] = torch.where(valid, gathered, 0.0).sum(1) / count[:, 0]
        elif how == "max":
            out[t] = torch.where(valid, gathered, -math.inf).amax(1)
        else:
            ordered = torch.where(valid, gathered, math.inf).sort(1).values
            middle = ordered.gather(1, (count - 1) // 2) + ordered.gather(1, count // 2)
            out[t] = 0.5 * middle[:, 0]
    return out


def autoregression_moments(x: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Phi'Phi (order + 1, order + 1) and Phi'y (order + 1,), Phi = [1, x_{t-p}, ..., x_{t-1}]."""
    lags = x.unfold(0, order + 1, 1)  # the last column is y
    total = torch.zeros((order + 2, order + 2), dtype=x.dtype, device=x.device)
    for part in lags.split(max(BLOCK // (order + 1), 1)):
        design = pad(part, (1, 0), value=1.0)
        total += design.T @ design
    return total[:-1, :-1], total[:-1, -1]


def autoregression_residual(x: Tensor, coef: Tensor) -> Tensor:
    """|x_t - phi_t b| for t = p..n-1 and every channel, (n - p, C)."""
    order, width = coef.shape[1] - 1, x.shape[1]
    predicted = conv1d(x[:-1].T[None], coef[:, None, 1:].to(x.dtype), bias=coef[:, 0].to(x.dtype), groups=width)[0].T
    return (x[order:] - predicted).abs()


def polynomial_residual(x: Tensor, window: int, degree: int, neighbourhood: int) -> Tensor:
    """Root mean square distance of each block from a polynomial fitted to its surroundings, (n, C)."""
    n, width = x.shape
    m = min(neighbourhood * window, n)
    shift = window // 2 - m // 2
    blocks = torch.arange(0, n, window, device=x.device)
    plain = (blocks + shift >= 0) & (blocks + shift <= n - m) & (blocks + window <= n)
    value = torch.empty((len(blocks), width), dtype=x.dtype, device=x.device)
    if plain.any():
        fit, evaluate = _polynomial_design(x, m, -shift, window, degree)
        views = x.unfold(0, m, 1)
        for s in blocks[plain].split(max(BLOCK // (m * width), 1)):
            surroundings = views[s + shift].reshape(-1, m)
            residual = surroundings[:, -shift : window - shift] - surroundings @ fit.T @ evaluate.T
            value[s // window] = residual.square().mean(1).sqrt().reshape(-1, width)
    for s in blocks[~plain].tolist():
        a = min(max(s + shift, 0), n - m)
        length = min(window, n - s)
        fit, evaluate = _polynomial_design(x, m, s - a, length, degree)
        residual = x[s : s + length] - evaluate @ (fit @ x[a : a + m])
        value[s // window] = residual.square().mean(0).sqrt()
    return value.repeat_interleave(window, 0)[:n]


def _polynomial_design(x: Tensor, m: int, begin: int, length: int, degree: int) -> tuple[Tensor, Tensor]:
    u = (torch.arange(m, dtype=x.dtype, device=x.device) - m / 2) / (m / 2)
    columns = [torch.ones_like(u), u]
    for j in range(1, degree):  # Legendre's recurrence
        columns.append(((2 * j + 1) * u * columns[j] - j * columns[j - 1]) / (j + 1))
    basis = torch.stack(columns[: degree + 1], 1)
    outside = torch.ones(m, dtype=torch.bool, device=x.device)
    outside[begin : begin + length] = False
    fit = torch.zeros((degree + 1, m), dtype=x.dtype, device=x.device)
    fit[:, outside] = torch.linalg.pinv(basis[outside])
    return fit, basis[begin : begin + length]


def matrix_profile(x: Tensor, window: int, reference: Tensor | None = None, n_jobs: int = 1) -> Tensor:
    """Distance of every window to the z-normalised window most like it, (n - window + 1,); `n_jobs` has no effect.

    Correlations come from products of blocks of normalised windows: O(n^2 window) operations, all in one matrix
    product, instead of the cpu twin's recurrence along diagonals.
    """
    unit, constant = _unit_windows(x, window)
    other, other_constant = (unit, constant) if reference is None else _unit_windows(reference, window)
    zone = -(-window // 4)
    place = torch.arange(len(other), device=x.device)
    best = torch.empty(len(unit), dtype=x.dtype, device=x.device)
    for rows in torch.arange(len(unit), device=x.device).split(max(BLOCK // len(other), 1)):
        correlation = unit[rows] @ other.T
        correlation[constant[rows][:, None] ^ other_constant] = 0.5  # distance sqrt(m)
        correlation[constant[rows][:, None] & other_constant] = 1.0
        if reference is None:
            correlation[(rows[:, None] - place).abs() <= zone] = -math.inf
        best[rows] = correlation.amax(1)
    profile = (2 * window * torch.where(best > 1 - ROUNDING, 0.0, (1 - best).clamp(max=2))).sqrt()
    lonely = best.isneginf()
    profile[lonely] = profile[~lonely].max() if not lonely.all() else 0.0
    return profile


def _unit_windows(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    views = x.unfold(0, window, 1)
    constant = (views == views[:, :1]).all(1)
    centred = views - views.mean(1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    return torch.where(constant[:, None] | (norm == 0), 0.0, centred / norm), constant


def exact_threshold(values: Tensor, z_min: float) -> float:
    """The cut of lowest cost at or above mu + z_min sd; nan where there is none."""
    m = len(values)
    if m == 0:
        return math.nan
    mu, sd = values.mean(), values.std(correction=0)
    lowest = mu + z_min * sd
    if mu == 0 or sd == 0:
        return math.nan
    ordered, order = values.sort(descending=True, stable=True)
    k = torch.arange(1, min(int((values > lowest).sum()), m - 1) + 1, device=values.device)
    k = k[ordered[k - 1] > ordered[k]]
    if len(k) == 0:
        return math.nan
    rank = torch.empty_like(order)
    rank[order] = torch.arange(m, device=values.device)
    joined = torch.bincount(torch.maximum(rank[1:], rank[:-1]), minlength=m).cumsum(0)
    centred = ordered - mu
    tail = centred.flip(0).cumsum(0).flip(0)[k] / (m - k)
    square = centred.square().flip(0).cumsum(0).flip(0)[k] / (m - k)
    rest = (square - tail**2).clamp(min=0).sqrt()
    runs = (k - joined[k - 1]).to(values.dtype)
    cost = -(-tail / mu + (sd - rest) / sd) / (k + runs**2)
    return float(torch.maximum(ordered[k[cost.argmin()]], lowest))


def vus_counts(
    is_outlier: Tensor, anomaly_score: Tensor, max_window: int, n_thresholds: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """alarmed (K,), inside (K,), outside (L + 1, K), touched (L + 1, K) as in the cpu twin."""
    n, device = len(anomaly_score), anomaly_score.device
    at = (torch.arange(n_thresholds, dtype=torch.float64) * ((n - 1) / max(n_thresholds - 1, 1))).to(torch.int64)
    at[-1] = n - 1
    thresholds = anomaly_score.sort(descending=True).values[at.to(device)]
    bins = torch.searchsorted((-thresholds).contiguous(), -anomaly_score, right=False)

    def cumulative(where: Tensor, weights: Tensor | None = None) -> Tensor:
        return torch.bincount(where, weights, minlength=n_thresholds).to(torch.float64).cumsum(0)

    edges = torch.diff(pad(is_outlier.to(torch.int8), (1, 1)))
    begin, end = (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]
    reach = torch.arange(1, max_window // 2 + 1, device=device)
    near = torch.cat([(begin[:, None] - reach).ravel(), (end[:, None] + reach - 1).ravel()])
    distance = reach.repeat(2 * len(begin))
    free = (near >= 0) & (near < n)
    free[free.clone()] = ~is_outlier[near[free]]
    near, distance = near[free], distance[free]
    outside = torch.zeros((max_window + 1, n_thresholds), dtype=torch.float64, device=device)
    touched = torch.empty_like(outside)
    for length in range(max_window + 1):
        half = length // 2
        apart = begin[1:] - half > end[:-1] - 1 + half
        edge = torch.ones(1, dtype=torch.bool, device=device)
        first = (begin[torch.cat([edge, apart])] - half).clamp(min=0)
        last = (end[torch.cat([apart, edge])] + half).clamp(max=n)
        event = torch.searchsorted(first, torch.arange(n, device=device), right=True) - 1
        covered = (event >= 0) & (torch.arange(n, device=device) < last[event.clamp(min=0)])
        earliest = torch.full((len(first),), n_thresholds, dtype=bins.dtype, device=device)
        earliest.scatter_reduce_(0, event[covered], bins[covered], "amin")
        touched[length] = cumulative(earliest) / len(first)
        if half:
            close = distance <= half
            soft = torch.zeros(n, dtype=torch.float64, device=device)
            soft.index_add_(0, near[close], (1 - distance[close].to(torch.float64) / length).sqrt())
            outside[length] = cumulative(bins, soft.clamp(max=1.0))
    return cumulative(bins), cumulative(bins[is_outlier]), outside, touched
