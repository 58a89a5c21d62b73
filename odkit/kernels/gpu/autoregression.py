"""Torch twin of `odkit.kernels.cpu.autoregression`: same names, signatures and quantities, tensors in, tensors out."""

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

__all__ = ["autoregression_moments", "autoregression_residual"]

BLOCK = 1 << 24  # cells of a scratch tensor


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
