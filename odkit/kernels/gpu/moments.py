"""torch twins of `odkit.kernels.cpu.moments`: same names, same signatures, tensors in, tensors out, float64 sums."""

from typing import Any

import torch

# plain arithmetic on the states: the same lines serve tensors
from odkit.kernels.cpu.moments import centred, merge_moments

__all__ = ["centred", "column_moments", "merge_moments", "moments"]

BLOCK_CELLS = 1 << 25  # float64 numbers of a centred block: 256 MiB


def moments(X: torch.Tensor) -> dict[str, Any]:
    """State of the rows of X (n, d), n >= 1: `n`, `mean`, `scatter`, `third` and `fourth` about the mean."""
    n, d = X.shape
    shift = _near_mean(X)
    total = torch.zeros((d + 2, d + 2), dtype=torch.float64, device=X.device)
    for x in X.split(max(1, BLOCK_CELLS // (d + 2))):
        y = x.double() - shift
        norm = (y * y).sum(dim=1, keepdim=True)
        a = torch.cat([y, norm, torch.ones_like(norm)], dim=1)
        total += a.T @ a
    away = total[:d, d + 1] / n
    about_shift = {"n": n, "scatter": total[:d, :d], "third": total[:d, d], "fourth": total[d, d]}
    return {"mean": shift + away, **centred(about_shift, away)}


def column_moments(X: torch.Tensor) -> dict[str, Any]:
    """Count, mean and sum of squares about the mean of each column of X (n, d)."""
    shift = _near_mean(X)
    sums = sum((x.double() - shift).sum(dim=0) for x in X.split(max(1, BLOCK_CELLS // X.shape[1])))
    mean = shift + sums / len(X)
    squares = sum((x.double() - mean).square().sum(dim=0) for x in X.split(max(1, BLOCK_CELLS // X.shape[1])))
    return {"n": len(X), "mean": mean, "scatter": squares}


def _near_mean(X: torch.Tensor) -> torch.Tensor:
    return X[:: -(-len(X) // 4096)].double().mean(dim=0)
