"""From the distances of normal rows to a threshold that a share `fpr` of further normal rows exceeds."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv

__all__ = ["chi2_quantile", "conformal_quantile", "conformal_quantile_of_parts", "conformal_rank", "gamma_quantile"]


def conformal_quantile(values: NDArray, fpr: float) -> float:
    """The value of rank ceil((n + 1)(1 - fpr)), the largest where that exceeds n.

    For exchangeable values, one more of them lies above it with probability at most fpr, if n >= 1/fpr - 1.
    """
    rank = conformal_rank(len(values), fpr)
    return float(np.partition(values, rank - 1)[rank - 1])


def conformal_quantile_of_parts(parts: Iterable[NDArray], n: int, fpr: float) -> float:
    """`conformal_quantile` of n values that come in parts, of which those that can be above it are kept, no more."""
    n_highest = n - conformal_rank(n, fpr) + 1
    highest = np.empty(0, np.float32)
    for part in parts:
        highest = np.concatenate([highest, part.ravel()])
        if len(highest) > n_highest:
            highest = np.partition(highest, len(highest) - n_highest)[-n_highest:]
    return float(highest.min())


def conformal_rank(n: int, fpr: float) -> int:
    """Rank of the conformal quantile among n values, from 1 (the smallest) to n."""
    return min(math.ceil((n + 1) * (1 - fpr) - 1e-9), n)  # 1e-9: 0.99 * 100 is not 99 in binary


def gamma_quantile(values: NDArray, fpr: float) -> float:
    """The 1 - fpr quantile of the gamma law with the mean and the variance (divisor n) of the values."""
    mean, variance = float(values.mean()), float(values.var())
    return float(gammainccinv(mean**2 / variance, fpr)) * variance / mean if variance > 0 else mean


def chi2_quantile(dims: int, fpr: float) -> float:
    """The 1 - fpr quantile of the chi-square law with `dims` degrees of freedom."""
    return 2 * float(gammainccinv(dims / 2, fpr))
