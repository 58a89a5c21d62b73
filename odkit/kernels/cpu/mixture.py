"""Passes over the rows of a Gaussian mixture: log densities, EM statistics, reasons.

A mixture is given as `em.kernel_arguments` makes it: means (K, d), factors and offsets (K,). A factor is a lower
triangular A (K, d, d) with |A (x - mean)|^2 = squared Mahalanobis distance, or 1 / standard deviation (K, d). Rows are
float32 or float64 and C-order, everything else and every result is float64; nothing given is written to.
"""

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.blas import ROWS, row_product
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.em import empty_sums, merge_sums
from odkit.kernels.cpu.sizes import EM_FEATURES, EM_WORK

__all__ = ["conditional_means", "distance_parts", "em_sums", "log_densities", "log_prob"]

BLOCK_CELLS = 1 << 16  # float64 numbers x - mean of one block: 512 KiB
SLICE_ROWS = 170 * ROWS  # rows of one task; results do not depend on the number of threads
NEGLIGIBLE = -100.0  # log of a responsibility that counts as 0: 4e-44 adds nothing, and its squares would be subnormal


def log_densities(X: NDArray, means: NDArray, factors: NDArray, offsets: NDArray, n_jobs: int = 1) -> NDArray:
    """log(weight_k N(x; mean_k, Sigma_k)) of each row and component, shape (n, K).

    offset_k - |A_k (x - mean_k)|^2 / 2; the mean is subtracted first, because A x - A mean cancels.
    """
    out, columns = np.empty((len(X), len(means))), _columns(factors)

    def fill(rows: slice) -> None:
        for block in _blocks(rows, means):
            out[block] = _log_densities(X[block], means, columns, offsets)[1].T

    over_items(fill, _slices(len(X)), n_jobs)
    return out


def log_prob(X: NDArray, means: NDArray, factors: NDArray, offsets: NDArray, n_jobs: int = 1) -> NDArray:
    """log p(x) = log sum_k weight_k N(x; mean_k, Sigma_k), shape (n,); -inf where it is below exp(-1e308).

    Never by the jitted loops, which pay for many rows alone and round in another way.
    """
    out, columns = np.empty(len(X)), _columns(factors)

    def fill(rows: slice) -> None:
        for block in _blocks(rows, means):
            out[block] = _log_sum_exp(_log_densities(X[block], means, columns, offsets)[1])[0]

    over_items(fill, _slices(len(X)), n_jobs)
    return out


def em_sums(X: NDArray, means: NDArray, factors: NDArray, offsets: NDArray, n_jobs: int = 1) -> dict[str, Any]:
    """One pass of EM: the statistics of X under these parameters, with the keys of `em.empty_sums`.

    They are numpy on every backend, add up by `em.merge_sums`, and become parameters by `em.m_step`.
    """
    X, slices, jit = _frozen(X), _slices(len(X)), _compiled(X, factors)
    columns = _columns(factors)
    parts: list[Any] = [None] * len(slices)

    def collect(i: int) -> None:
        sums = empty_sums(means, factors, offsets)
        sums["n"] = slices[i].stop - slices[i].start
        if jit is not None:
            arrays = (sums["mass"], sums["first"], sums["second"])
            sums["log_likelihood"] = jit.add_em_sums(X[slices[i]], means, factors, offsets, *arrays)
        else:
            for block in _blocks(slices[i], means):
                _add_em_sums(sums, X[block], means, columns, offsets)
        parts[i] = sums

    over_items(collect, range(len(slices)), n_jobs)
    total = empty_sums(means, factors, offsets)
    for part in parts:
        total = merge_sums(total, part)
    return total


def distance_parts(X: NDArray, means: NDArray, factors: NDArray, component: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share of each feature in half the squared Mahalanobis distance to the named component, shape (n, d).

    z_j (A^T A z)_j / 2 with z = x - mean; rows sum to |A z|^2 / 2, single shares may be negative.
    """
    parts = np.empty(X.shape)
    for k in range(len(means)):
        mine = component == k
        with np.errstate(over="ignore", invalid="ignore"):  # a row out of float64's reach is infinitely far
            z = X[mine] - means[k]
            parts[mine] = (z * factors[k]) ** 2 / 2 if factors.ndim == 2 else z * _precision_product(z, factors[k]) / 2
    return parts


def conditional_means(
    X: NDArray, means: NDArray, factors: NDArray, component: NDArray[np.integer]
) -> NDArray[np.float64]:
    """What the named component expects in each cell given the row's other cells, shape (n, d).

    x_j - g_j / P_jj with P = A^T A and g = P (x - mean); for diagonal covariances that is the mean.
    """
    expected = np.empty(X.shape)
    for k in range(len(means)):
        mine = component == k
        if factors.ndim == 2:
            expected[mine] = means[k]
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                pulled = _precision_product(X[mine] - means[k], factors[k])
                expected[mine] = X[mine] - pulled / np.square(factors[k]).sum(axis=0)
    return expected


def _columns(factors: NDArray) -> NDArray:
    """A^T of every component in C-order, for products with rows: with the view A.T they take 1.7 times as long."""
    return factors if factors.ndim == 2 else np.ascontiguousarray(np.swapaxes(factors, 1, 2))


def _log_densities(x: NDArray, means: NDArray, columns: NDArray, offsets: NDArray) -> tuple[NDArray, NDArray]:
    """x - mean (K, b, d), and the weighted log densities (K, b)."""
    z = x[None] - means[:, None]
    with np.errstate(over="ignore"):  # a row out of float64's reach has density 0, not an error
        y = z * columns[:, None] if columns.ndim == 2 else row_product(z, columns)
        return z, offsets[:, None] - np.vecdot(y, y) / 2


def _precision_product(z: NDArray, factor: NDArray) -> NDArray:
    """A^T A z for each row z."""
    return row_product(row_product(z, factor.T), factor)


def _log_sum_exp(densities: NDArray) -> tuple[NDArray, NDArray]:
    """log sum_k exp(densities), shape (b,), and the responsibilities (K, b); -inf and 0 where all densities are."""
    top = densities.max(axis=0)
    top[np.isneginf(top)] = 0.0
    below = densities - top
    r = np.exp(below)
    r[below < NEGLIGIBLE] = 0.0  # arithmetic with subnormal numbers takes a hundred times as long
    total = np.add.accumulate(r, axis=0)[-1]  # in the order of the components; `sum` adds a single row's in pairs
    with np.errstate(divide="ignore"):
        return top + np.log(total), r / np.where(total > 0, total, 1.0)


def _add_em_sums(sums: dict[str, Any], x: NDArray, means: NDArray, columns: NDArray, offsets: NDArray) -> None:
    z, densities = _log_densities(x, means, columns, offsets)
    log_p, r = _log_sum_exp(densities)
    rz = z * r[:, :, None]
    sums["log_likelihood"] += log_p.sum()
    sums["mass"] += r.sum(axis=1)
    sums["first"] += rz.sum(axis=1)
    sums["second"] += np.swapaxes(rz, 1, 2) @ z if columns.ndim == 3 else np.einsum("kbd,kbd->kd", rz, z)


def _compiled(X: NDArray, factors: NDArray) -> ModuleType | None:
    """The jitted passes where they pay. The choice depends on shapes only, so that equal calls give equal bits."""
    d = X.shape[1]
    if d > EM_FEATURES or len(X) * len(factors) * d * (d + 20) < EM_WORK:
        return None
    return import_module("odkit.kernels.cpu.mixture_jit")


def _frozen(X: NDArray) -> NDArray:
    """A read-only view: numba then compiles for float32 and float64 rows, and not for who may write them."""
    X = X.view()
    X.flags.writeable = False
    return X


def _slices(n_rows: int) -> list[slice]:
    step = max(SLICE_ROWS, -(-n_rows // (1024 * ROWS)) * ROWS)  # at most 1024 parts to add up
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _blocks(rows: slice, means: NDArray) -> list[slice]:
    step = max(4, BLOCK_CELLS // (means.size * ROWS)) * ROWS
    return [slice(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]
