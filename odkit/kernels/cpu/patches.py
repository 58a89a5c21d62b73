"""One Gaussian per position of a map: fitting, distances, and the way from the grid to pixels.

Triangles of Cholesky factors lie packed in blocks of 64 positions, (n_blocks, d (d + 1) / 2, 64): entry (i, j), j <= i,
of the factor of position 64 b + l is `packed[b, i (i + 1) / 2 + j, l]`. Neighbouring positions share a vector register,
so substitution needs neither a transposed copy of the features nor a second half of zeros. Positions that fill up the
last block have the identity.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled

__all__ = ["LANES", "Absorbed", "absorb", "embed", "pack", "packed_triangular_distance", "resample", "smooth", "unpack"]

LANES = 64  # positions per block
_JIT = "odkit.kernels.cpu.patches_jit"


class Absorbed(NamedTuple):
    """`mean` (d, P) and `packed` factors of the covariances, and `left_out` (n, P): squared leave-one-out distances."""

    mean: NDArray
    packed: NDArray
    left_out: NDArray[np.float64]


def pack(factors: NDArray, out: NDArray) -> None:
    """Lower triangles (64 or fewer, d, d) into one block `out` (d (d + 1) / 2, 64)."""
    rows, columns = np.tril_indices(factors.shape[1])
    out[:] = (rows == columns)[:, None]
    out[:, : len(factors)] = factors[:, rows, columns].T


def unpack(block: NDArray, d: int) -> NDArray[np.float64]:
    """The 64 lower triangles (64, d, d) of one block."""
    factors = np.zeros((block.shape[1], d, d))
    rows, columns = np.tril_indices(d)
    factors[:, rows, columns] = block.T
    return factors


def absorb(
    Z: NDArray, eps: float, n_seen: int = 0, mean: NDArray | None = None, packed: NDArray | None = None, n_jobs: int = 1
) -> Absorbed:
    """Mean and covariance + eps I at each position, of these images or of these and those that were absorbed before.

    Parameters
    ----------
    Z : ndarray of shape (n, d, P), float32 or float64
        One feature vector per image and position; n_seen + n >= 3.
    eps : float > 0
        Variance added in every direction; the covariance has the divisor n - 1.
    n_seen, mean, packed
        Number of images absorbed before, and what came of them.
    n_jobs : int
        Threads over blocks of positions.

    Notes
    -----
    The scatter of the images before is (n_seen - 1)(L L' - eps I), so nothing but the factors is kept. Leave-one-out:
    with N = n_seen + n, A = scatter / (N - 2) + eps I and h = z' A^-1 z of an absorbed image,

        M^2 = c^2 h / (1 - b h),   c = N / (N - 1),   b = N / ((N - 1)(N - 2)).

    O(P (n d^2 + d^3)); the sums in float64, the result in the dtype of Z.
    """
    n, d, P = Z.shape
    N = n_seen + n
    means = np.empty((d, P), Z.dtype)
    triangles = np.empty((-(-P // LANES), d * (d + 1) // 2, LANES), Z.dtype)
    left_out = np.empty((n, P))
    c, b = N / (N - 1), N / ((N - 1) * (N - 2))
    ridge = eps * np.eye(d)

    def work(number: int) -> None:
        here = slice(number * LANES, min((number + 1) * LANES, P))
        rows = np.array(Z[:, :, here].transpose(2, 0, 1), dtype=np.float64, order="C")  # (positions, n, d), a copy
        center = rows.mean(axis=1)
        rows -= center[:, None]
        scatter = rows.transpose(0, 2, 1) @ rows
        if n_seen:
            assert mean is not None
            assert packed is not None
            old = unpack(packed[number], d)[: len(rows)]
            scatter += (n_seen - 1) * (old @ old.transpose(0, 2, 1) - ridge)
            step = center - mean[:, here].T
            scatter += (n_seen * n / N) * step[:, :, None] * step[:, None, :]
            moved = step * (n_seen / N)
            rows += moved[:, None]
            center -= moved
        means[:, here] = center.T
        pack(np.linalg.cholesky(scatter / (N - 1) + ridge), triangles[number])
        inflated = np.linalg.cholesky(scatter / (N - 2) + ridge)
        white = np.linalg.solve(inflated, rows.transpose(0, 2, 1))
        h = np.einsum("pdn,pdn->np", white, white)
        left_out[:, here] = c * c * h / (1 - b * h)

    with one_thread():
        over_items(work, range(len(triangles)), n_jobs)
    return Absorbed(means, triangles, left_out)


def packed_triangular_distance(Z: NDArray, mean: NDArray, packed: NDArray, n_jobs: int = 1) -> NDArray[np.float64]:
    """Squared Mahalanobis distance |L^-1 (z - mean)|^2 at each position, shape (n, P).

    Z (n, d, P), mean (d, P) and packed as `absorb` gives them, of one dtype, float32 or float64; C order or not.
    O(n P d^2) and no copy of the factors; threads over images share nothing that is written.
    """
    jit: Any = compiled(_JIT, np.inf)
    out = np.empty((Z.shape[0], Z.shape[2]))
    Z, mean, packed = (np.ascontiguousarray(part, dtype=packed.dtype) for part in (Z, mean, packed))
    step = max(1, -(-len(out) // max(n_jobs, 1)))

    def work(images: slice) -> None:
        jit.substitute(Z[images], mean, packed, out[images])

    over_items(work, [slice(start, start + step) for start in range(0, len(out), step)], n_jobs)
    return out


def embed(levels: Sequence[NDArray], mixture: NDArray | None, shape: tuple[int, int]) -> NDArray:
    """Levels of maps as one vector per position of a grid.

    Parameters
    ----------
    levels : sequence of ndarrays (n, c_l, h_l, w_l) of one dtype
    mixture : ndarray of shape (d, sum of c_l) or None
        Rows of weights over all channels; None: the channels side by side.
    shape : (H, W)

    Returns
    -------
    ndarray of shape (n, d, H W)

    Notes
    -----
    mixture @ (the channels of all levels, resampled). A mixture of channels and a mean over pixels can change places,
    so each level is mixed where it has the fewer pixels.
    """
    n = len(levels[0])
    if mixture is None:
        return np.concatenate([resample(level, shape).reshape(n, level.shape[1], -1) for level in levels], axis=1)
    out = np.zeros((n, len(mixture), *shape), levels[0].dtype)
    first = 0
    for level in levels:
        weights = mixture[:, first : first + level.shape[1]]
        first += level.shape[1]
        small = resample(level, shape) if level[0, 0].size > out[0, 0].size else level
        mixed = weights @ small.reshape(n, small.shape[1], -1)
        out += resample(mixed.reshape(n, len(mixture), *small.shape[2:]), shape)
    return out.reshape(n, len(mixture), -1)


def resample(maps: NDArray, shape: tuple[int, int]) -> NDArray:
    """Maps (n, C, h, w) on a grid: averaged along an axis that shrinks, the nearest value repeated where it grows.

    A cell averages the pixels floor(i h / H) to ceil((i + 1) h / H), so cells overlap where H does not divide h.
    """
    if maps.shape[2:] == shape:
        return maps
    down, across = (axis_cells(old, new).astype(maps.dtype) for old, new in zip(maps.shape[2:], shape, strict=True))
    return down @ maps @ across.T


def smooth(maps: NDArray, shape: tuple[int, int], sigma: float) -> NDArray:
    """Maps (n, h, w) at (H, W): bilinear between cell centres, then a Gaussian of `sigma` output pixels.

    Both are linear and separable, so each axis is one matrix: blurred = (G_y U_y) map (G_x U_x)'. The kernel is cut
    at 4 sigma, borders are reflected (d c b a | a b c d | d c b a).
    """
    down, across = (
        axis_widening(old, new, sigma).astype(maps.dtype) for old, new in zip(maps.shape[1:], shape, strict=True)
    )
    return down @ maps @ across.T


def axis_cells(old: int, new: int) -> NDArray[np.float64]:
    """(new, old): averages of cells, or nearest neighbours."""
    matrix = np.zeros((new, old))
    i = np.arange(new)
    if new >= old:
        matrix[i, i * old // new] = 1
        return matrix
    for row in i:
        first, last = row * old // new, -(-(row + 1) * old // new)
        matrix[row, first:last] = 1 / (last - first)
    return matrix


def axis_widening(old: int, new: int, sigma: float) -> NDArray[np.float64]:
    """(new, old): bilinear between the centres of pixels, flat beyond the outer ones, then the blur."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(at.astype(int), max(old - 2, 0))
    matrix = np.zeros((new, old))
    rows = np.arange(new)
    matrix[rows, low] = 1 - (at - low)
    matrix[rows, np.minimum(low + 1, old - 1)] += at - low
    radius = int(4 * sigma + 0.5)
    if radius == 0:
        return matrix
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    blurred = np.zeros_like(matrix)
    for shift, weight in zip(range(-radius, radius + 1), weights, strict=True):
        source = (rows + shift) % (2 * new)
        blurred += weight * matrix[np.where(source < new, source, 2 * new - 1 - source)]
    return blurred
