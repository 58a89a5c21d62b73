"""The loops of `odkit.kernels.cpu.patches`: scatter, factors and substitution for 64 positions at a time.

Arrays are flat runs of entries of 64 lanes, a lane being a position, and all the work is one step,
`_subtract_products`: flat slices of a constant length are what the compiler makes vector code of.
"""

from functools import partial

import numpy as np

from odkit.kernels.cpu.jit import njit

__all__ = ["absorb", "substitute"]

LANES = 64
STEP = 8  # products between two stores of their sum, spelled out below
IMAGES = 32  # images in the cache together
ROWS = 8  # rows that one above serves before the next is read
# a product and its sum in one instruction; no path has others, so that a batch gives the bits of its images alone
_fused = partial(njit, fastmath={"contract"})


@_fused
def _subtract_products(rest, a, b, n):
    """rest -= the sum over k < n of a[k] b[k], entries of 64 lanes, in the order of k."""
    k = 0
    while k + STEP <= n:
        x = a[k * LANES : (k + STEP) * LANES]
        y = b[k * LANES : (k + STEP) * LANES]
        for lane in range(LANES):
            s = rest[lane] - x[lane] * y[lane]
            s -= x[lane + LANES] * y[lane + LANES]
            s -= x[lane + 2 * LANES] * y[lane + 2 * LANES]
            s -= x[lane + 3 * LANES] * y[lane + 3 * LANES]
            s -= x[lane + 4 * LANES] * y[lane + 4 * LANES]
            s -= x[lane + 5 * LANES] * y[lane + 5 * LANES]
            s -= x[lane + 6 * LANES] * y[lane + 6 * LANES]
            rest[lane] = s - x[lane + 7 * LANES] * y[lane + 7 * LANES]
        k += STEP
    while k < n:
        x = a[k * LANES : (k + 1) * LANES]
        y = b[k * LANES : (k + 1) * LANES]
        for lane in range(LANES):
            rest[lane] -= x[lane] * y[lane]
        k += 1


@_fused
def _row(triangle, i):
    """Entries (i, 0) to (i, i) of a packed triangle."""
    return triangle[i * (i + 1) // 2 * LANES : (i + 1) * (i + 2) // 2 * LANES]


@_fused
def _factorise(triangle, d):
    """Cholesky factors in place of the matrices."""
    inverse = np.empty(d * LANES)
    for top in range(0, d, ROWS):
        bottom = min(top + ROWS, d)
        for j in range(bottom):
            above = _row(triangle, j)
            own = inverse[j * LANES : (j + 1) * LANES]
            for i in range(max(top, j), bottom):
                row = _row(triangle, i)
                entry = row[j * LANES : (j + 1) * LANES]
                _subtract_products(entry, row, above, j)
                if i > j:
                    entry *= own
                    continue
                for lane in range(LANES):
                    entry[lane] = np.sqrt(entry[lane])
                    own[lane] = np.reciprocal(entry[lane])  # `/` would look for a 0 in every lane


@_fused
def _squares(triangle, y, n, d, out):
    """out[q] = |L^-1 y[q]|^2 of n vectors; y becomes the solutions.

    A row of the factors serves all the vectors before the next is read: the factors come from memory once.
    """
    out[: n * LANES] = 0
    inverse = np.empty(LANES, triangle.dtype)
    for i in range(d):
        row = _row(triangle, i)
        diagonal = row[i * LANES : (i + 1) * LANES]
        for lane in range(LANES):
            inverse[lane] = np.reciprocal(diagonal[lane])
        for q in range(n):
            solved = y[q * d * LANES : (q + 1) * d * LANES]
            entry = solved[i * LANES : (i + 1) * LANES]
            _subtract_products(entry, row, solved, i)
            total = out[q * LANES : (q + 1) * LANES]
            for lane in range(LANES):
                entry[lane] *= inverse[lane]
                total[lane] += np.float64(entry[lane]) * np.float64(entry[lane])


@_fused
def _centre(Z, image, n, start, center, out, per_image, per_number):
    """out[q per_image + i per_number] = Z[image + q, i, start:] - center[i] for q < n, as wide as center."""
    d, width = center.shape
    for q in range(n):
        for i in range(d):
            at = (q * per_image + i * per_number) * LANES
            entry = out[at : at + width]
            z = Z[image + q, i, start : start + width]
            for lane in range(width):
                entry[lane] = z[lane] - center[i, lane]


@_fused
def substitute(Z, mean, packed, first, last, out):
    """The blocks of positions from first to before last; shapes as in `packed_triangular_distance`."""
    n, d, P = Z.shape
    y = np.zeros(min(n, IMAGES) * d * LANES, Z.dtype)
    total = np.empty(IMAGES * LANES)
    for b in range(first, last):
        start, stop = b * LANES, min((b + 1) * LANES, P)
        for image in range(0, n, IMAGES):
            count = min(IMAGES, n - image)
            _centre(Z, image, count, start, mean[:, start:stop], y, d, 1)
            _squares(packed[b].ravel(), y, count, d, total)
            for q in range(count):
                out[image + q, start:stop] = total[q * LANES : q * LANES + stop - start]


@_fused
def _ridged(minus_scatter, divisor, eps, d, out):
    """scatter / divisor + eps I."""
    factor = -1 / divisor
    for k in range(len(out)):
        out[k] = factor * minus_scatter[k]
    for i in range(d):
        out[(i * (i + 3) // 2) * LANES : (i * (i + 3) // 2 + 1) * LANES] += eps


@_fused
def _add_before(minus_scatter, block, eps, n_seen, d, scratch):
    """Add the scatter of the images before, (n_seen - 1)(L L' - eps I), of which only the factors L are left."""
    scale = np.sqrt(n_seen - 1)
    for k in range(len(scratch)):
        scratch[k] = scale * block[k]
    for i in range(d):
        row = _row(minus_scatter, i)
        for j in range(i + 1):
            _subtract_products(row[j * LANES : (j + 1) * LANES], _row(scratch, i), _row(scratch, j), j + 1)
        row[i * LANES :] += (n_seen - 1) * eps


@_fused
def _add_images(minus_scatter, Z, start, center, rows):
    """Add the scatter of the images about `center`; gives the sum of their ways from there, as `center`."""
    n, (d, width) = len(Z), center.shape
    way = np.zeros((d, width))
    for image in range(0, n, IMAGES):
        count = min(IMAGES, n - image)
        _centre(Z, image, count, start, center, rows, 1, count)
        for i in range(d):
            for q in range(count):
                for lane in range(width):
                    way[i, lane] += rows[(i * count + q) * LANES + lane]
        for top in range(0, d, ROWS):
            bottom = min(top + ROWS, d)
            for j in range(bottom):
                other = rows[j * count * LANES : (j + 1) * count * LANES]
                for i in range(max(top, j), bottom):
                    own = rows[i * count * LANES : (i + 1) * count * LANES]
                    _subtract_products(_row(minus_scatter, i)[j * LANES : (j + 1) * LANES], own, other, count)
    return way


@_fused
def absorb(Z, eps, n_seen, mean, packed, first, last, means, factors, left_out):
    """The blocks of positions from first to before last; shapes as in `absorb` there, all of them given.

    Sums, factors and leave-one-out distances in float64, whatever Z is. A `left_out` of no rows is not wanted. The
    scatter is taken about the mean before, or the first image, and moved: one pass over Z, which lies far apart.
    """
    n, d, P = Z.shape
    N = n_seen + n
    c, b2 = N / (N - 1), N / ((N - 1) * (N - 2))
    minus_scatter = np.empty(d * (d + 1) // 2 * LANES)
    triangle = np.empty(len(minus_scatter))
    rows = np.zeros(IMAGES * d * LANES)
    total = np.empty(IMAGES * LANES)
    for b in range(first, last):
        start, stop = b * LANES, min((b + 1) * LANES, P)
        if stop - start < LANES:
            rows[:] = 0  # lanes without a position must not keep what the block before left there
        minus_scatter[:] = 0
        center = np.zeros((d, stop - start))
        if n_seen > 0:
            center += mean[:, start:stop]
            _add_before(minus_scatter, packed[b].ravel(), eps, n_seen, d, triangle)
        else:
            center += Z[0, :, start:stop]
        way = _add_images(minus_scatter, Z, start, center, rows)
        way /= N
        for i in range(d):
            for j in range(i + 1):
                entry = _row(minus_scatter, i)[j * LANES : (j + 1) * LANES]
                for lane in range(stop - start):
                    entry[lane] += N * way[i, lane] * way[j, lane]
        center += way
        means[:, start:stop] = center
        _ridged(minus_scatter, N - 1, eps, d, triangle)
        _factorise(triangle, d)
        factors[b].ravel()[:] = triangle
        for i in range(d):
            for j in range(i + 1):
                factors[b, i * (i + 1) // 2 + j, stop - start :] = 1 if i == j else 0
        if len(left_out) == 0:
            continue
        _ridged(minus_scatter, N - 2, eps, d, triangle)
        _factorise(triangle, d)
        for image in range(0, n, IMAGES):
            count = min(IMAGES, n - image)
            _centre(Z, image, count, start, center, rows, d, 1)
            _squares(triangle, rows, count, d, total)
            for q in range(count):
                for lane in range(stop - start):
                    h = total[q * LANES + lane]
                    left_out[image + q, start + lane] = c * c * h / (1 - b2 * h)
