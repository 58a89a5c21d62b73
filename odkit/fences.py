"""Tukey's fence: where ordinary scores end if nobody knows the share of outliers."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["upper_fence"]


def upper_fence(scores: NDArray, k: float = 1.5) -> float:
    """Upper quartile + k interquartile ranges of the scores (n,)."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return float(high + k * (high - low))
