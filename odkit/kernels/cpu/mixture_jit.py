"""The passes of EM over the rows of a Gaussian mixture, compiled. Imported on first need by `mixture.py`.

Rows are taken 64 at a time and turned feature-major, so that every inner loop runs over the 64 lanes of one feature,
in L1. Half the work of a matrix product is left out: factors are triangular and second moments symmetric. Features are
padded with zeros to a multiple of four, so that tiles of 4 x 4 and 4 x 2 have no remainder.
"""

from functools import partial

import numpy as np

from odkit.kernels.cpu.jit import njit

LANES = 64
NEGLIGIBLE = -100.0  # log of a responsibility that counts as 0: 4e-44 adds nothing, and its squares would be subnormal

# fused multiply-adds, and sums over lanes that may change places: without them the moments take 3 times as long.
# Neither flag assumes anything about NaN or infinity.
fused = partial(njit, fastmath={"contract", "reassoc"})


@fused
def _norms(z, factor, tile, norms):
    """norms[l] = |A z_l|^2 with A lower triangular, four rows of A by four columns at a time."""
    p, q, r, s = tile[0], tile[1], tile[2], tile[3]
    norms[:] = 0.0
    for i in range(0, z.shape[0], 4):
        tile[:] = 0.0
        for j in range(0, i + 4, 4):
            p0, p1, p2, p3 = factor[i, j], factor[i, j + 1], factor[i, j + 2], factor[i, j + 3]
            q0, q1, q2, q3 = factor[i + 1, j], factor[i + 1, j + 1], factor[i + 1, j + 2], factor[i + 1, j + 3]
            r0, r1, r2, r3 = factor[i + 2, j], factor[i + 2, j + 1], factor[i + 2, j + 2], factor[i + 2, j + 3]
            s0, s1, s2, s3 = factor[i + 3, j], factor[i + 3, j + 1], factor[i + 3, j + 2], factor[i + 3, j + 3]
            z0, z1, z2, z3 = z[j], z[j + 1], z[j + 2], z[j + 3]
            for lane in range(LANES):
                p[lane] += p0 * z0[lane] + p1 * z1[lane] + p2 * z2[lane] + p3 * z3[lane]
                q[lane] += q0 * z0[lane] + q1 * z1[lane] + q2 * z2[lane] + q3 * z3[lane]
                r[lane] += r0 * z0[lane] + r1 * z1[lane] + r2 * z2[lane] + r3 * z3[lane]
                s[lane] += s0 * z0[lane] + s1 * z1[lane] + s2 * z2[lane] + s3 * z3[lane]
        for lane in range(LANES):
            norms[lane] += p[lane] ** 2 + q[lane] ** 2 + r[lane] ** 2 + s[lane] ** 2


@fused
def _scaled_norms(z, factor, norms):
    """norms[l] = sum_j (factor_j z_jl)^2."""
    norms[:] = 0.0
    for j in range(factor.shape[0]):
        for lane in range(LANES):
            norms[lane] += (factor[j] * z[j, lane]) ** 2


@fused
def _second_moments(z, rz, second):
    """second += sum_l r z z^T, its lower triangle in tiles of 4 x 2, so that some of the upper one is filled too."""
    for i in range(0, z.shape[0], 4):
        p, q, r, s = rz[i], rz[i + 1], rz[i + 2], rz[i + 3]
        for j in range(0, i + 4, 2):
            u, v = z[j], z[j + 1]
            pu, qu, ru, su = 0.0, 0.0, 0.0, 0.0
            pv, qv, rv, sv = 0.0, 0.0, 0.0, 0.0
            for lane in range(LANES):
                pu += p[lane] * u[lane]
                qu += q[lane] * u[lane]
                ru += r[lane] * u[lane]
                su += s[lane] * u[lane]
                pv += p[lane] * v[lane]
                qv += q[lane] * v[lane]
                rv += r[lane] * v[lane]
                sv += s[lane] * v[lane]
            second[i, j] += pu
            second[i + 1, j] += qu
            second[i + 2, j] += ru
            second[i + 3, j] += su
            second[i, j + 1] += pv
            second[i + 1, j + 1] += qv
            second[i + 2, j + 1] += rv
            second[i + 3, j + 1] += sv


@fused
def _dot(u, v):
    total = 0.0
    for lane in range(LANES):
        total += u[lane] * v[lane]
    return total


@njit
def _load(X, start, stop, lanes):
    """Rows start..stop of X as columns of lanes; lanes beyond keep finite numbers that nobody reads."""
    for row in range(start, stop):
        for j in range(X.shape[1]):
            lanes[j, row - start] = X[row, j]


@njit
def _center(lanes, mean, z):
    for j in range(mean.shape[0]):
        for lane in range(LANES):
            z[j, lane] = lanes[j, lane] - mean[j]


@njit
def _block(lanes, means, factors, offsets, z, tile, densities):
    """densities[k, l] = offset_k - |A_k (x_l - mean_k)|^2 / 2."""
    for k in range(means.shape[0]):
        _center(lanes, means[k], z)
        if factors.ndim == 3:  # known when compiling: one of the branches is all there is
            _norms(z, factors[k], tile, densities[k])
        else:
            _scaled_norms(z, factors[k], densities[k])
        for lane in range(LANES):
            densities[k, lane] = offsets[k] - densities[k, lane] / 2


@njit
def _to_responsibilities(densities, n_lanes, log_p):
    """log_p[l] = log sum_k exp(densities[k, l]); densities become responsibilities, 0 in lanes without a row."""
    n_components = densities.shape[0]
    for lane in range(LANES):
        top = densities[0, lane]
        for k in range(1, n_components):
            top = max(top, densities[k, lane])
        if lane >= n_lanes or top == -np.inf:
            log_p[lane] = 0.0 if lane >= n_lanes else -np.inf
            densities[:, lane] = 0.0
            continue
        total = 0.0
        for k in range(n_components):
            below = densities[k, lane] - top
            densities[k, lane] = np.exp(below) if below > NEGLIGIBLE else 0.0
            total += densities[k, lane]
        log_p[lane] = top + np.log(total)
        for k in range(n_components):
            densities[k, lane] /= total


@njit
def _padded(factors):
    if factors.ndim == 2:
        return factors
    d = factors.shape[1]
    wide = np.zeros((factors.shape[0], (d + 3) // 4 * 4, (d + 3) // 4 * 4))
    wide[:, :d, :d] = factors
    return wide


@njit
def add_em_sums(X, means, factors, offsets, mass, first, second):
    """Add the rows of X to mass (K,), first (K, d), second (K, d, d) or (K, d); return their log-likelihood."""
    n, d = X.shape
    width = (d + 3) // 4 * 4
    lanes, z, rz, tile = (np.zeros((width, LANES)), np.zeros((width, LANES)), np.zeros((width, LANES)),
                          np.empty((4, LANES)))  # fmt: skip
    densities, log_p, ones = np.empty((means.shape[0], LANES)), np.empty(LANES), np.ones(LANES)
    wide = _padded(factors)
    moments = np.zeros_like(wide)
    log_likelihood = 0.0
    for start in range(0, n, LANES):
        stop = min(start + LANES, n)
        _load(X, start, stop, lanes)
        _block(lanes, means, wide, offsets, z, tile, densities)
        _to_responsibilities(densities, stop - start, log_p)
        log_likelihood += _dot(log_p, ones)
        for k in range(means.shape[0]):
            here = _dot(densities[k], ones)
            if here == 0:
                continue
            mass[k] += here
            _center(lanes, means[k], z)
            for j in range(d):
                for lane in range(LANES):
                    rz[j, lane] = densities[k, lane] * z[j, lane]
                first[k, j] += _dot(rz[j], ones)
            if factors.ndim == 3:
                _second_moments(z, rz, moments[k])
            else:
                for j in range(d):
                    moments[k, j] += _dot(rz[j], z[j])
    if factors.ndim == 2:
        second += moments
    else:
        for i in range(d):
            for j in range(i + 1):
                second[:, i, j] += moments[:, i, j]
                if j < i:
                    second[:, j, i] += moments[:, i, j]
    return log_likelihood
