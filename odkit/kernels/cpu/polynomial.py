"""Blocks of a series against polynomials fitted to their surroundings.

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["polynomial_residual"]

_CELLS = 1 << 22  # scratch memory: 32 MiB of float64


def polynomial_residual(x: NDArray, window: int, degree: int, neighbourhood: int) -> NDArray[np.float64]:
    """Root mean square distance of each block from a polynomial fitted to its surroundings, block excluded.

    Blocks [s, s + p), s = 0, p, 2p, ...; the fit uses m = min(neighbourhood * p, n) points from
    a = clip(s + p//2 - m//2, 0, n - m) without the block. Where fewer than degree + 1 points are left the least
    squares solution of smallest norm is taken. Interior blocks share one design, hence one matrix; O(n * neighbourhood
    * degree) altogether, scratch memory bounded.

    Parameters
    ----------
    x : float64 array of shape (n, C)
    window, degree, neighbourhood : int

    Returns
    -------
    float64 array of shape (n, C): all steps of a block share its value; unit of x
    """
    n, width = x.shape
    m = min(neighbourhood * window, n)
    shift = window // 2 - m // 2  # a = s + shift where nothing is clipped
    blocks = np.arange(0, n, window)
    interior = blocks[(blocks + shift >= 0) & (blocks + shift <= n - m) & (blocks + window <= n)]
    value = np.empty((len(blocks), width))
    if len(interior):
        fit, evaluate = _polynomial_design(m, -shift, window, degree)
        views = sliding_window_view(x, m, axis=0)  # (n - m + 1, C, m)
        chunk = max(_CELLS // (m * width), 1)
        for begin in range(0, len(interior), chunk):
            s = interior[begin : begin + chunk]
            surroundings = views[s + shift].reshape(-1, m)
            residual = surroundings[:, -shift : window - shift] - surroundings @ fit.T @ evaluate.T
            value[s // window] = np.sqrt(np.mean(residual**2, axis=1)).reshape(-1, width)
    for s in np.setdiff1d(blocks, interior, assume_unique=True):
        a = min(max(s + shift, 0), n - m)
        length = min(window, n - s)
        fit, evaluate = _polynomial_design(m, s - a, length, degree)
        residual = x[s : s + length] - evaluate @ (fit @ x[a : a + m])
        value[s // window] = np.sqrt(np.mean(residual**2, axis=0))
    return np.repeat(value, window, axis=0)[:n]


def _polynomial_design(m: int, begin: int, length: int, degree: int) -> tuple[NDArray, NDArray]:
    """Coefficients = fit @ surroundings (columns of the block are zero); values in the block = evaluate @ coefficients.

    Legendre polynomials on u = (t - m/2) / (m/2) span the same space as powers of u and are better conditioned.
    """
    basis = np.polynomial.legendre.legvander((np.arange(m) - m / 2) / (m / 2), degree)
    outside = np.ones(m, dtype=bool)
    outside[begin : begin + length] = False
    fit = np.zeros((degree + 1, m))
    fit[:, outside] = np.linalg.pinv(basis[outside])
    return fit, basis[begin : begin + length]
