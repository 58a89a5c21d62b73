"""The substitution loop of `odkit.kernels.cpu.patches`, 64 positions at a time."""

import numpy as np

from odkit.kernels.cpu.jit import njit

__all__ = ["substitute"]

LANES = 64


@njit
def substitute(Z, mean, packed, out):
    """out[n, p] = |L_p^-1 (Z[n, :, p] - mean[:, p])|^2; shapes as in `packed_triangular_distance`."""
    n, d, P = Z.shape
    y = np.zeros(d * LANES, Z.dtype)
    total = np.empty(LANES, np.float64)
    for b in range(packed.shape[0]):
        triangle = packed[b].ravel()  # flat slices of constant length are what the compiler makes vector code of
        start = b * LANES
        width = min(LANES, P - start)
        for image in range(n):
            total[:] = 0.0
            k = 0
            for i in range(d):
                rest = y[i * LANES : (i + 1) * LANES]
                for lane in range(width):
                    rest[lane] = Z[image, i, start + lane] - mean[i, start + lane]
                for j in range(i):
                    factor = triangle[k : k + LANES]
                    solved = y[j * LANES : (j + 1) * LANES]
                    for lane in range(LANES):
                        rest[lane] -= factor[lane] * solved[lane]
                    k += LANES
                diagonal = triangle[k : k + LANES]
                for lane in range(LANES):
                    rest[lane] /= diagonal[lane]
                    total[lane] += np.float64(rest[lane]) * np.float64(rest[lane])
                k += LANES
            for lane in range(width):
                out[image, start + lane] = total[lane]
