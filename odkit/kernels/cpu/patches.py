"""One Gaussian per position of a map: fitting, distances, and the way from the grid to pixels.

Triangles of Cholesky factors lie packed in blocks of 64 positions, (n_blocks, d (d + 1) / 2, 64): entry (i, j), j <= i,
of the factor of position 64 b + l is `packed[b, i (i + 1) / 2 + j, l]`. Neighbouring positions share a vector register,
so substitution needs neither a transposed copy of the features nor a second half of zeros. Positions that fill up the
last block have the identity.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled

__all__ = ["LANES", "Absorbed", "absorb", "embed", "packed_triangular_distance", "resample", "smooth"]

LANES = 64  # positions per block
_JIT = "odkit.kernels.cpu.patches_jit"


class Absorbed(NamedTuple):
    """`mean` (d, P) and `packed` factors of the covariances, and `left_out` (n, P): squared leave-one-out distances."""

    mean: NDArray
    packed: NDArray
    left_out: NDArray[np.float64]


def absorb(
    Z: NDArray,
    eps: float,
    n_seen: int = 0,
    mean: NDArray | None = None,
    packed: NDArray | None = None,
    n_jobs: int = 1,
    *,
    left_out: bool = True,
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
    left_out : bool
        False leaves `left_out` without rows, for half of the time.

    Notes
    -----
    The scatter of the images before is (n_seen - 1)(L L' - eps I), so nothing but the factors is kept. Leave-one-out:
    with N = n_seen + n, A = scatter / (N - 2) + eps I and h = z' A^-1 z of an absorbed image,

        M^2 = c^2 h / (1 - b h),   c = N / (N - 1),   b = N / ((N - 1)(N - 2)).

    O(P (n d^2 + d^3)); sums, factors and h in float64, `mean` and `packed` in the dtype of Z.
    """
    jit: Any = compiled(_JIT, np.inf)
    Z = np.ascontiguousarray(Z)
    n, d, P = Z.shape
    n_blocks = -(-P // LANES)
    nothing = np.empty((0, 0)), np.empty((0, 0, 0))
    before = [np.ascontiguousarray(x, dtype=Z.dtype) for x in ((mean, packed) if n_seen else nothing)]
    out = Absorbed(
        np.empty((d, P), Z.dtype),
        np.empty((n_blocks, d * (d + 1) // 2, LANES), Z.dtype),
        np.empty((n if left_out else 0, P)),
    )
    over_items(lambda blocks: jit.absorb(Z, eps, n_seen, *before, *blocks, *out), _shares(n_blocks, n_jobs), n_jobs)
    return out


def packed_triangular_distance(Z: NDArray, mean: NDArray, packed: NDArray, n_jobs: int = 1) -> NDArray[np.float64]:
    """Squared Mahalanobis distance |L^-1 (z - mean)|^2 at each position, shape (n, P).

    Z (n, d, P), mean (d, P) and packed as `absorb` gives them, of one dtype, float32 or float64; C order or not.
    O(n P d^2), each factor read once for 16 images; threads over blocks of positions share nothing that is written. The
    bits of an image do not depend on the others.
    """
    jit: Any = compiled(_JIT, np.inf)
    out = np.empty((Z.shape[0], Z.shape[2]))
    Z, mean, packed = (np.ascontiguousarray(part, dtype=packed.dtype) for part in (Z, mean, packed))
    over_items(lambda blocks: jit.substitute(Z, mean, packed, *blocks, out), _shares(len(packed), n_jobs), n_jobs)
    return out


def check(mean: NDArray, packed: NDArray, n_positions: int) -> None:
    """Refuse a state that the compiled loops, which check no bounds, must not see."""
    d = len(mean)
    fits = mean.shape == (d, n_positions) and packed.shape == (-(-n_positions // LANES), d * (d + 1) // 2, LANES)
    if not (
        fits and mean.dtype == packed.dtype == np.float32 and np.isfinite(mean).all() and np.isfinite(packed).all()
    ):
        raise ValueError(
            f"means {np.shape(mean)} and packed factors {np.shape(packed)} do not fit {n_positions} positions, or are "
            "not finite float32 numbers"
        )


def _shares(n_blocks: int, n_jobs: int) -> list[tuple[int, int]]:
    """Blocks from first to before last for each thread."""
    step = max(1, -(-n_blocks // max(n_jobs, 1)))
    return [(first, min(first + step, n_blocks)) for first in range(0, n_blocks, step)]


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
    with one_thread():
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


@lru_cache(maxsize=8)
def axis_widening(old: int, new: int, sigma: float) -> NDArray[np.float64]:
    """(new, old): bilinear between the centres of pixels, flat beyond the outer ones, then the blur.

    Kept from map to map, so it is not to be written to: for a single image it would take longer than all the rest.
    """
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
