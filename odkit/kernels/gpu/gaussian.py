"""torch twins of `odkit.kernels.cpu.gaussian`: same names, same signatures, tensors in, tensors out, float64."""

from collections.abc import Iterator

import torch

__all__ = ["lowrank_distance", "mahalanobis_sq", "precision_product", "row_spectrum", "scatter_spectrum"]

BLOCK_CELLS = 1 << 25  # float64 numbers of a centred block: 256 MiB
ROUNDING = 16 * torch.finfo(torch.float64).eps  # length of a residual that is nothing, in units of its row's
EPS = torch.finfo(torch.float64).eps


def row_spectrum(X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """Mean, eigenvalues falling, components and sum |x - mean|^4 of rows X, by singular values of the centred rows."""
    X = X.double()
    location = X.mean(dim=0)
    Z = X - location
    fourth = float((Z * Z).sum(dim=1).square().sum())
    _, s, components = torch.linalg.svd(Z, full_matrices=False)
    kept = s > s[0] * max(X.shape) * EPS
    return location, s[kept] ** 2 / len(X), components[kept], fourth


def scatter_spectrum(scatter: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues falling and components of scatter / n."""
    eigenvalues, vectors = torch.linalg.eigh(scatter / n)
    kept = eigenvalues > eigenvalues[-1] * max(n, len(scatter)) * EPS
    return eigenvalues[kept].flip(0), vectors.T[kept].flip(0).contiguous()


def mahalanobis_sq(X: torch.Tensor, location: torch.Tensor, triangle: torch.Tensor) -> torch.Tensor:
    """|R (x - location)|^2 for each row x with R = `triangle`, upper triangular."""
    return torch.cat([((z @ triangle.T) ** 2).sum(dim=1) for z in _centred_blocks(X, location)])


def lowrank_distance(
    X: torch.Tensor, location: torch.Tensor, components: torch.Tensor | None, weights: torch.Tensor, floor: float
) -> torch.Tensor:
    """sum_i (v_i.z)^2 / w_i + |z - V'V z|^2 / f for each z = x - location."""
    out = []
    for z in _centred_blocks(X, location):
        p = z if components is None else z @ components.T
        squares = (p * p / weights).sum(dim=1)
        if components is not None and floor != float("inf"):
            squares += (z - p @ components).square().sum(dim=1) / floor
        out.append(squares)
    return torch.cat(out)


def precision_product(
    X: torch.Tensor, location: torch.Tensor, components: torch.Tensor | None, weights: torch.Tensor, floor: float
) -> torch.Tensor:
    """V'(V z / w) + (z - V'V z) / f for each z = x - location; the residual is projected twice, 0 below rounding."""
    out = []
    for z in _centred_blocks(X, location):
        if components is None:
            out.append(z / weights)
            continue
        p = z @ components.T
        product = (p / weights) @ components
        if floor != float("inf"):
            residual = z - p @ components
            residual = residual - (residual @ components.T) @ components
            kept = residual.square().sum(dim=1) > ROUNDING**2 * z.square().sum(dim=1)
            product = product + torch.where(kept[:, None], residual, 0.0) / floor
        out.append(product)
    return torch.cat(out)


def _centred_blocks(X: torch.Tensor, location: torch.Tensor) -> Iterator[torch.Tensor]:
    for x in X.split(max(1, BLOCK_CELLS // X.shape[1])):
        yield x.double() - location
