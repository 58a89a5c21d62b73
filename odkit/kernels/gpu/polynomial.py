"""Torch twin of `odkit.kernels.cpu.polynomial`: same names, signatures and quantities, tensors in, tensors out."""

import torch
from torch import Tensor

__all__ = ["polynomial_residual"]

BLOCK = 1 << 24  # cells of a scratch tensor


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
