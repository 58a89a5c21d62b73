"""torch twins of `odkit.kernels.cpu.mixture`: same names, same signatures, tensors in, tensors out.

A mixture is given as `em.kernel_arguments` makes it, as tensors on the device of the rows. Rows of another dtype than
the parameters are raised to theirs block by block. Statistics come back as numpy, because they are merged and turned
into parameters on the host; `n_jobs` has no meaning here.
"""

from typing import Any

import numpy as np
import torch

from odkit.kernels.cpu.em import empty_sums

__all__ = ["conditional_means", "distance_parts", "em_sums", "log_densities", "log_prob"]

BLOCK_CELLS = 1 << 25  # numbers x - mean of one block: 256 MiB in float64


def log_densities(X, means, factors, offsets, n_jobs=1) -> torch.Tensor:
    """log(weight_k N(x; mean_k, Sigma_k)) of each row and component, shape (n, K)."""
    out = torch.empty((len(X), len(means)), dtype=means.dtype, device=X.device)
    for block in _blocks(len(X), means):
        out[block] = _log_densities(X[block], means, factors, offsets)[1].T
    return out


def log_prob(X, means, factors, offsets, n_jobs=1) -> torch.Tensor:
    """log p(x) = log sum_k weight_k N(x; mean_k, Sigma_k), shape (n,)."""
    out = torch.empty(len(X), dtype=means.dtype, device=X.device)
    for block in _blocks(len(X), means):
        out[block] = torch.logsumexp(_log_densities(X[block], means, factors, offsets)[1], dim=0)
    return out


def em_sums(X, means, factors, offsets, n_jobs=1) -> dict[str, Any]:
    """One pass of EM: the statistics of X under these parameters, with the keys of `em.empty_sums`, in numpy."""
    mass, first, second = (torch.zeros_like(like) for like in (offsets, means, factors))
    log_likelihood = torch.zeros((), dtype=means.dtype, device=X.device)
    for block in _blocks(len(X), means):
        z, densities = _log_densities(X[block], means, factors, offsets)
        log_p = torch.logsumexp(densities, dim=0)
        r = torch.where(torch.isneginf(log_p), 0.0, torch.exp(densities - log_p))
        rz = z * r[:, :, None]
        log_likelihood += log_p.sum()
        mass += r.sum(dim=1)
        first += rz.sum(dim=1)
        second += rz.transpose(1, 2) @ z if factors.ndim == 3 else (rz * z).sum(dim=1)
    sums = empty_sums(*(part.cpu().numpy() for part in (means, factors, offsets)))
    totals = {"mass": mass, "first": first, "second": second}
    return sums | {
        "n": len(X),
        "log_likelihood": float(log_likelihood),
        **{key: value.cpu().numpy().astype(np.float64) for key, value in totals.items()},
    }


def distance_parts(X, means, factors, component) -> torch.Tensor:
    """Share of each feature in half the squared Mahalanobis distance to the named component, shape (n, d)."""
    parts = torch.empty(X.shape, dtype=means.dtype, device=X.device)
    for k in range(len(means)):
        mine = component == k
        z = X[mine] - means[k]
        parts[mine] = (z * factors[k]) ** 2 / 2 if factors.ndim == 2 else z * ((z @ factors[k].T) @ factors[k]) / 2
    return parts


def conditional_means(X, means, factors, component) -> torch.Tensor:
    """What the named component expects in each cell given the row's other cells, shape (n, d)."""
    expected = torch.empty(X.shape, dtype=means.dtype, device=X.device)
    for k in range(len(means)):
        mine = component == k
        if factors.ndim == 2:
            expected[mine] = means[k]
        else:
            precision = factors[k].T @ factors[k]
            expected[mine] = X[mine] - ((X[mine] - means[k]) @ precision) / precision.diagonal()
    return expected


def _log_densities(x, means, factors, offsets) -> tuple[torch.Tensor, torch.Tensor]:
    """x - mean (K, b, d), and the weighted log densities (K, b)."""
    z = x[None] - means[:, None]
    y = z * factors[:, None] if factors.ndim == 2 else z @ factors.transpose(1, 2)
    return z, offsets[:, None] - (y * y).sum(dim=2) / 2


def _blocks(n_rows: int, means: torch.Tensor) -> list[slice]:
    step = max(1, BLOCK_CELLS // means.numel())
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
