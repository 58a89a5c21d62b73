"""Torch twin of `odkit.kernels.cpu.vus`: same names, signatures and quantities, tensors in, tensors out."""

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["vus_counts"]


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
