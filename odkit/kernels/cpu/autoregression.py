"""Linear prediction of a series from its own past: normal equations without the regression matrix, and errors.

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["autoregression_moments", "autoregression_residual"]


def autoregression_moments(x: NDArray, order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phi'Phi and Phi'y of the regression of x_t on phi_t = [1, x_{t-p}, ..., x_{t-1}], without building Phi.

    The first row of the lag block is p dot products; each later entry follows from its upper left neighbour by one
    product that leaves and one that enters, so that the cost is O(n p + p^2) and the memory O(n).

    Parameters
    ----------
    x : float64 array of shape (n,), n > order; values of the order of 1
    order : int

    Returns
    -------
    gram : float64 array of shape (order + 1, order + 1)
    cross : float64 array of shape (order + 1,)
    """
    rows = len(x) - order
    full = np.empty((order + 1, order + 1))  # products of x_{t-p}, ..., x_{t-1}, x_t
    full[0] = np.correlate(x, x[:rows], mode="valid")
    for i in range(order):
        full[i + 1, i + 1 :] = full[i, i:-1] - x[i] * x[i:order] + x[rows + i] * x[rows + i : rows + order]
    full = np.triu(full) + np.triu(full, 1).T
    sums = np.cumsum(x)
    sums = np.append(sums[rows - 1], sums[rows:] - sums[:order])
    gram = np.empty((order + 1, order + 1))
    gram[0, 0] = rows
    gram[0, 1:] = gram[1:, 0] = sums[:order]
    gram[1:, 1:] = full[:order, :order]
    return gram, np.append(sums[order], full[:order, order])


def autoregression_residual(x: NDArray, coef: NDArray) -> NDArray[np.float64]:
    """|x_t - phi_t b| for t = p..n-1 and every channel; phi_t = [1, x_{t-p}, ..., x_{t-1}]. O(n p) time, O(n) memory.

    Parameters
    ----------
    x : float64 array of shape (n, C), n > p
    coef : float64 array of shape (C, p + 1), intercept first

    Returns
    -------
    float64 array of shape (n - p, C), in the unit of x
    """
    order = coef.shape[1] - 1
    out = np.empty((len(x) - order, x.shape[1]))
    for c, b in enumerate(coef):
        channel = np.ascontiguousarray(x[:, c])
        out[:, c] = channel[order:] - (b[0] + np.correlate(channel[:-1], b[1:], mode="valid"))
    return np.abs(out)
