"""torch twins of `odkit.kernels.cpu.reconstruction`: same names, same signatures, tensors in, tensors out.

They compute in the dtype of the rows: float64 agrees with the cpu to rounding, float32 to about 1e-6.
"""

import torch

from odkit.kernels.cpu.reconstruction import INPUT_LIMIT, VARIANCE_FLOOR

__all__ = ["INPUT_LIMIT", "VARIANCE_FLOOR", "apre_terms", "errors", "mean_terms", "mse_terms", "reconstruct"]

ROWS = 65_536  # rows of all members at once


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


def mean_terms(
    target: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor | None,
    alpha: float,
    beta: float,
    min_variance: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two parts of the error for every feature, mean over the members, each (n, d)."""
    if variance is None:
        return mse_terms(target, mean).mean(dim=0), torch.zeros_like(target)
    deviation, log_variance = apre_terms(target, mean, variance, alpha, beta, min_variance)
    return deviation.mean(dim=0), log_variance.mean(dim=0)


def errors(
    X: torch.Tensor,
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
    two_heads: bool,
    alpha: float,
    beta: float,
    min_variance: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`mean_terms` of scaled rows X (n, d) against their own reconstruction, chunk by chunk."""
    parts = [
        mean_terms(rows, *reconstruct(rows, weights, biases, two_heads), alpha, beta, min_variance)
        for rows in X.split(ROWS)
    ]
    deviation, log_variance = zip(*parts, strict=True)
    return torch.cat(deviation), torch.cat(log_variance)
