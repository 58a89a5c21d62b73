"""torch twins of `odkit.kernels.cpu.patches`: same names, same signatures, tensors in, tensors out.

`n_jobs` is there for the signature; `resample` and `smooth` use the matrices of the cpu twin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from odkit.kernels.cpu.patches import LANES, axis_cells, axis_widening

__all__ = ["LANES", "Absorbed", "absorb", "embed", "packed_triangular_distance", "resample", "smooth"]


class Absorbed(NamedTuple):
    """`mean` (d, P) and `packed` factors of the covariances, and `left_out` (n, P): squared leave-one-out distances."""

    mean: torch.Tensor
    packed: torch.Tensor
    left_out: torch.Tensor


def _pack(factors: torch.Tensor, out: torch.Tensor) -> None:
    """Lower triangles (64 or fewer, d, d) into one block `out` (d (d + 1) / 2, 64)."""
    rows, columns = torch.tril_indices(factors.shape[1], factors.shape[1], device=factors.device)
    out[:] = (rows == columns)[:, None]
    out[:, : len(factors)] = factors[:, rows, columns].T


def _unpack(block: torch.Tensor, d: int) -> torch.Tensor:
    """The 64 lower triangles (64, d, d) of one block."""
    factors = block.new_zeros((block.shape[1], d, d), dtype=torch.float64)
    rows, columns = torch.tril_indices(d, d, device=block.device)
    factors[:, rows, columns] = block.T.double()
    return factors


def absorb(
    Z: torch.Tensor,
    eps: float,
    n_seen: int = 0,
    mean: torch.Tensor | None = None,
    packed: torch.Tensor | None = None,
    n_jobs: int = 1,
    *,
    left_out: bool = True,
) -> Absorbed:
    """Mean and covariance + eps I at each position, of these images or of these and those that were absorbed before."""
    n, d, P = Z.shape
    N = n_seen + n
    means = Z.new_empty((d, P))
    triangles = Z.new_empty((-(-P // LANES), d * (d + 1) // 2, LANES))
    distances = Z.new_empty((n if left_out else 0, P), dtype=torch.float64)
    c, b = N / (N - 1), N / ((N - 1) * (N - 2))
    ridge = eps * torch.eye(d, dtype=torch.float64, device=Z.device)
    for number in range(len(triangles)):
        here = slice(number * LANES, min((number + 1) * LANES, P))
        rows = Z[:, :, here].permute(2, 0, 1).double()
        center = rows.mean(dim=1)
        rows = rows - center[:, None]
        scatter = rows.mT @ rows
        if n_seen and mean is not None and packed is not None:
            old = _unpack(packed[number], d)[: len(rows)]
            scatter += (n_seen - 1) * (old @ old.mT - ridge)
            step = center - mean[:, here].T
            scatter += (n_seen * n / N) * step[:, :, None] * step[:, None, :]
            rows = rows + (step * (n_seen / N))[:, None]
            center = center - step * (n_seen / N)
        means[:, here] = center.T.to(Z.dtype)
        _pack(torch.linalg.cholesky(scatter / (N - 1) + ridge), triangles[number])
        if left_out:
            inflated = torch.linalg.cholesky(scatter / (N - 2) + ridge)
            white = torch.linalg.solve_triangular(inflated, rows.mT, upper=False)
            h = white.square().sum(dim=1).T
            distances[:, here] = c * c * h / (1 - b * h)
    return Absorbed(means, triangles, distances)


def packed_triangular_distance(
    Z: torch.Tensor, mean: torch.Tensor, packed: torch.Tensor, n_jobs: int = 1
) -> torch.Tensor:
    """Squared Mahalanobis distance |L^-1 (z - mean)|^2 at each position, shape (n, P)."""
    out = Z.new_empty((Z.shape[0], Z.shape[2]), dtype=torch.float64)
    for number, block in enumerate(packed):
        here = slice(number * LANES, min((number + 1) * LANES, Z.shape[2]))
        rows = (Z[:, :, here] - mean[:, here]).permute(2, 1, 0)
        factors = _unpack(block, Z.shape[1])[: len(rows)].to(Z.dtype)
        out[:, here] = torch.linalg.solve_triangular(factors, rows, upper=False).double().square().sum(dim=1).T
    return out


def embed(levels: Sequence[torch.Tensor], mixture: torch.Tensor | None, shape: tuple[int, int]) -> torch.Tensor:
    """Levels of maps (n, c_l, h_l, w_l) as one vector per position of a grid, (n, d, H W)."""
    n = len(levels[0])
    if mixture is None:
        return torch.cat([resample(level, shape).reshape(n, level.shape[1], -1) for level in levels], dim=1)
    out = levels[0].new_zeros((n, len(mixture), *shape))
    first = 0
    for level in levels:
        weights = mixture[:, first : first + level.shape[1]]
        first += level.shape[1]
        small = resample(level, shape) if level[0, 0].numel() > out[0, 0].numel() else level
        mixed = weights @ small.reshape(n, small.shape[1], -1)
        out += resample(mixed.reshape(n, len(mixture), *small.shape[2:]), shape)
    return out.reshape(n, len(mixture), -1)


def resample(maps: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Maps (n, C, h, w) on a grid: averaged along an axis that shrinks, the nearest value repeated where it grows."""
    if tuple(maps.shape[2:]) == shape:
        return maps
    down, across = (
        torch.as_tensor(axis_cells(old, new)).to(maps) for old, new in zip(maps.shape[2:], shape, strict=True)
    )
    return down @ maps @ across.T


def smooth(maps: torch.Tensor, shape: tuple[int, int], sigma: float) -> torch.Tensor:
    """Maps (n, h, w) at (H, W): bilinear between cell centres, then a Gaussian of `sigma` output pixels."""
    down, across = (
        torch.as_tensor(axis_widening(old, new, sigma)).to(maps) for old, new in zip(maps.shape[1:], shape, strict=True)
    )
    return down @ maps @ across.T
