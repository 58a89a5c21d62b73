"""Torch twin of `odkit.kernels.cpu.matrix_profile`: same names, signatures and quantities, tensors in, tensors out."""

import math

import torch
from torch import Tensor

__all__ = ["matrix_profile"]

BLOCK = 1 << 24  # cells of a scratch tensor
ROUNDING = 1e-12  # of a correlation


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
