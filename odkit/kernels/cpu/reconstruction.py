"""Batched dense autoencoders in numpy, and the error of a reconstruction with and without a predicted variance.

Everything is float64: the trained float32 weights are widened. A row's numbers do not depend on the rows beside it, to
the bit. An error that no float holds is infinite, without a warning: it is the score of a row beyond all numbers. All
functions are pure and thread-safe.
"""

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.blas import ROWS, one_thread, row_product

__all__ = ["INPUT_LIMIT", "VARIANCE_FLOOR", "apre_terms", "errors", "mean_terms", "mse_terms", "reconstruct"]

INPUT_LIMIT = 1e4  # the network sees scaled values cut at this; residuals are taken from the values themselves
VARIANCE_FLOOR = 1e-5  # added to the softplus of the variance head, in training and in scoring
CELLS = 1 << 16  # numbers of one layer of all members at once: 512 KiB, so that a handful of them stay in the cache


def reconstruct(
    X: NDArray, weights: list[NDArray], biases: list[NDArray], two_heads: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean and variance that every member predicts for every row.

    h = relu(h W + b) through all layers but the heads; mean = h W + b; variance = log(1 + exp(h W + b)) + 1e-5.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, scaled
    weights : list of ndarrays of shape (n_members, n_inputs, n_outputs)
        The mean head is the last, or, with two heads, the last but one, and the variance head the last.
    biases : list of ndarrays of shape (n_members, 1, n_outputs)
    two_heads : bool

    Returns
    -------
    mean : ndarray of shape (n_members, n, d), float64
    variance : ndarray of the same shape, or None without the second head
    """
    h = np.clip(X, -INPUT_LIMIT, INPUT_LIMIT)
    layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in zip(weights, biases, strict=True)]
    n_hidden = len(layers) - (2 if two_heads else 1)
    with one_thread():
        for weight, bias in layers[:n_hidden]:
            h = _affine(h, weight, bias)
            np.maximum(h, 0.0, out=h)
        mean, *z = (_affine(h, weight, bias) for weight, bias in layers[n_hidden:])
    return mean, _variance(z[0]) if z else None


def mse_terms(X: NDArray, mean: NDArray) -> NDArray[np.float64]:
    """Squared error of every feature, (x_j - mean_j)^2, shape (..., n, d); its sum over the features is MSE."""
    with np.errstate(over="ignore"):
        return np.square(X - mean)


def apre_terms(
    X: NDArray, mean: NDArray, variance: NDArray, alpha: float, beta: float, min_variance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two parts of the adjusted probabilistic reconstruction error for every feature, each (..., n, d).

    alpha (x_j - mean_j)^2 / w_j and beta log w_j with w = max(variance, min_variance); the sum of both over the
    features is APRE. With alpha = beta = 1 it is PRE, twice the negative log-density of N(mean, diag w) at x less
    d log 2 pi.
    """
    used = np.maximum(variance, min_variance)
    with np.errstate(over="ignore"):
        deviation = X - mean
        deviation *= deviation
        deviation /= used
        deviation *= alpha
    np.log(used, out=used)
    used *= beta
    return deviation, used


def mean_terms(
    target: NDArray, mean: NDArray, variance: NDArray | None, alpha: float, beta: float, min_variance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two parts of the error for every feature, mean over the members, each (n, d).

    target (n, d); mean and variance (n_members, n, d). Without a variance the parts are the squared error and 0, and
    the weights do not count.
    """
    if variance is None:
        return _member_mean(mse_terms(target, mean)), np.zeros(target.shape)
    deviation, log_variance = apre_terms(target, mean, variance, alpha, beta, min_variance)
    return _member_mean(deviation), _member_mean(log_variance)


def errors(
    X: NDArray,
    weights: list[NDArray],
    biases: list[NDArray],
    two_heads: bool,
    alpha: float,
    beta: float,
    min_variance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`mean_terms` of scaled rows X (n, d) against their own reconstruction, chunk by chunk."""
    deviation, log_variance = np.empty(X.shape), np.empty(X.shape)
    step = ROWS * min(170, max(2, CELLS // (weights[0].shape[0] * X.shape[1] * ROWS)))
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        made = reconstruct(X[rows], weights, biases, two_heads)
        deviation[rows], log_variance[rows] = mean_terms(X[rows], *made, alpha, beta, min_variance)
    return deviation, log_variance


def _affine(h: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    out = row_product(h, weight)
    out += bias
    return out


def _variance(z: NDArray) -> NDArray:
    """max(z, 0) + log(1 + exp(-|z|)) + floor, in place of z but for one array."""
    small = np.abs(z)
    np.negative(small, out=small)
    np.log1p(np.exp(small, out=small), out=small)
    np.maximum(z, 0.0, out=z)
    z += small
    z += VARIANCE_FLOOR
    return z


def _member_mean(terms: NDArray) -> NDArray[np.float64]:
    """Mean over the first axis, added in its order: `mean` adds a single cell of many members in pairs."""
    with np.errstate(over="ignore"):
        return sum(terms[1:], start=terms[0]) / len(terms)
