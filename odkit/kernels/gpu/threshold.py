"""Torch twin of `odkit.kernels.cpu.threshold`: same names, signatures and quantities, tensors in, tensors out."""

import math

import torch
from torch import Tensor

__all__ = ["exact_threshold"]


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
