"""Spectra of centred rows and Mahalanobis distances, in float64 blocks that stay in cache.

A covariance over d columns is held by r of its eigenvectors: `components` V (r, d) with orthonormal rows, variances
`weights` w (r,) along them and one variance `floor` f for the d - r directions that are left. A weight or floor of inf
ignores its directions; V = None stands for the identity. Inputs X are float32 or float64 in any order, everything else
float64; nothing is written to, and all functions are safe to call from several threads.
"""

from collections.abc import Iterator

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm

from odkit.kernels.cpu.blas import ROWS, one_thread, row_product, whole_blocks

__all__ = ["lowrank_distance", "mahalanobis_sq", "precision_product", "row_spectrum", "scatter_spectrum"]

BLOCK_CELLS = 1 << 16  # float64 numbers of a centred block: half of a one-megabyte L2 cache
MIN_ROWS = 11 * ROWS
ROUNDING = 16 * np.finfo(np.float64).eps  # length of a residual that is nothing, in units of its row's
TRIANGULAR = 64  # columns from which leaving out half of a product pays for a call each block


def row_spectrum(X: NDArray) -> tuple[NDArray, NDArray, NDArray, float]:
    """Mean (d,), eigenvalues (r,) falling and components (r, d) of the covariance (divisor n) of rows X (n, d), and
    sum |x - mean|^4: by the singular values of the centred rows, O(n d min(n, d)), for n up to some 2 d rows.
    """
    n = len(X)
    location = X.mean(axis=0, dtype=np.float64)
    Z = X - location
    fourth = float(np.square(np.vecdot(Z, Z)).sum())
    _, s, components = scipy.linalg.svd(Z, full_matrices=False, overwrite_a=True, check_finite=False)
    kept = s > s[0] * max(X.shape) * np.finfo(float).eps
    return location, s[kept] ** 2 / n, components[kept], fourth


def scatter_spectrum(scatter: NDArray, n: int) -> tuple[NDArray, NDArray]:
    """Eigenvalues (r,) falling and components (r, d) of scatter / n, (d, d) symmetric: O(d^3)."""
    eigenvalues, vectors = scipy.linalg.eigh(scatter / n, check_finite=False)
    kept = eigenvalues > eigenvalues[-1] * max(n, len(scatter)) * np.finfo(float).eps
    return eigenvalues[kept][::-1].copy(), np.ascontiguousarray(vectors.T[kept][::-1])


def mahalanobis_sq(X: NDArray, location: NDArray, triangle: NDArray) -> NDArray[np.float64]:
    """|R (x - location)|^2 for each row x, with R = `triangle` (d, d) upper triangular: R'R is the precision. (n,)"""
    out = np.empty(len(X))
    upper = np.asfortranarray(triangle)
    with one_thread(), np.errstate(over="ignore"):  # far beyond: inf
        for rows, Z in _centred_blocks(X, location):
            P = _triangular_product(Z, upper)
            np.vecdot(P, P, out=out[rows])
    return out


def lowrank_distance(
    X: NDArray, location: NDArray, components: NDArray | None, weights: NDArray, floor: float
) -> NDArray[np.float64]:
    """sum_i (v_i.z)^2 / w_i + |z - V'V z|^2 / f for each z = x - location, shape (n,).

    The residual is formed, not taken as |z|^2 - |V z|^2: the difference would cancel where the floor is small.
    """
    out = np.empty(len(X))
    scale = 1 / np.sqrt(weights)
    with one_thread(), np.errstate(over="ignore"):
        for rows, Z in _centred_blocks(X, location):
            P = Z if components is None else row_product(Z, components.T)
            residual = None if components is None or np.isinf(floor) else Z - row_product(P, components)
            P = P * scale
            np.vecdot(P, P, out=out[rows])
            if residual is not None:
                out[rows] += np.vecdot(residual, residual) / floor
    return out


def precision_product(
    X: NDArray, location: NDArray, components: NDArray | None, weights: NDArray, floor: float
) -> NDArray[np.float64]:
    """V'(V z / w) + (z - V'V z) / f for each z = x - location: the precision matrix times z, shape (n, d).

    Projected once, the residual keeps rounding along the components, which a small f would blow up to numbers that look
    like reasons: it is projected twice, and 0 where it is no longer than the rounding of z.
    """
    out = np.empty(X.shape)
    with one_thread(), np.errstate(over="ignore"):
        for rows, Z in _centred_blocks(X, location):
            if components is None:
                np.divide(Z, weights, out=out[rows])
                continue
            P = row_product(Z, components.T)
            out[rows] = row_product(P / weights, components)
            if np.isfinite(floor):
                residual = Z - row_product(P, components)
                residual -= row_product(row_product(residual, components.T), components)
                kept = np.vecdot(residual, residual) > ROUNDING**2 * np.vecdot(Z, Z)
                out[rows] += np.where(kept[:, None], residual, 0.0) / floor
    return out


def _triangular_product(Z: NDArray, upper: NDArray) -> NDArray:
    """R z for each row z of Z, which may be overwritten; a triangular product takes half the operations of a full one.

    Block by block and with the last one filled up, as `row_product`: a row's bits do not depend on the others.
    """
    if Z.shape[1] < TRIANGULAR:
        return row_product(Z, upper.T)
    filled = whole_blocks(Z)
    for start in range(0, len(filled), ROWS):
        # transposed rows are in Fortran order, as BLAS wants them, so that it writes where it reads
        dtrmm(1.0, upper, filled[start : start + ROWS].T, overwrite_b=True)
    return filled[: len(Z)]


def _centred_blocks(X: NDArray, location: NDArray) -> Iterator[tuple[slice, NDArray]]:
    """Row slices that cover X, each with its centred rows in one scratch array that the next block overwrites."""
    n, d = X.shape
    step = max(MIN_ROWS, BLOCK_CELLS // d // ROWS * ROWS)
    scratch = np.empty((min(step, n), d))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        yield rows, np.subtract(X[rows], location, out=scratch[: rows.stop - start])
