"""Torch twin of `odkit.kernels.cpu.windows`: same names, signatures and quantities, tensors in, tensors out."""

import math

import torch
from torch import Tensor

__all__ = ["unroll"]

BLOCK = 1 << 24  # cells of a scratch tensor


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
