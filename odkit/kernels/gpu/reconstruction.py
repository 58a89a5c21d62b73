"""torch twins of `odkit.kernels.cpu.reconstruction`: same names, same signatures, tensors in, tensors out.

They compute in the dtype of the rows: float64 agrees with the cpu to rounding, float32 to about 1e-6.
"""

import torch

from odkit.kernels.cpu.reconstruction import INPUT_LIMIT, VARIANCE_FLOOR

__all__ = ["INPUT_LIMIT", "VARIANCE_FLOOR", "apre_terms", "mse_terms", "reconstruct"]


def reconstruct(
    X: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], two_heads: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Mean and variance that every member predicts for every row, each (n_members, n, d)."""
    h = X.clamp(-INPUT_LIMIT, INPUT_LIMIT)
    layers = [(w.to(X.dtype), b.to(X.dtype)) for w, b in zip(weights, biases, strict=True)]
    n_hidden = len(layers) - (2 if two_heads else 1)
    for weight, bias in layers[:n_hidden]:
        h = torch.relu(torch.matmul(h, weight) + bias)
    mean, *z = (torch.matmul(h, weight) + bias for weight, bias in layers[n_hidden:])
    return mean, torch.logaddexp(z[0], torch.zeros_like(z[0])) + VARIANCE_FLOOR if z else None


def mse_terms(X: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Squared error of every feature, shape (..., n, d)."""
    return (X - mean).square()


def apre_terms(
    X: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor, alpha: float, beta: float, min_variance: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The deviation and the log-variance part of APRE for every feature, each (..., n, d)."""
    used = variance.clamp_min(min_variance)
    return alpha * (X - mean).square() / used, beta * used.log()
