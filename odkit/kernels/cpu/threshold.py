"""The cut of a score that explains most of its mean and spread by fewest points and runs (Hundman et al., 2018).

Series are float64, time along the first axis. Free of side effects and safe in threads.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_threshold"]


def exact_threshold(values: NDArray, z_min: float) -> float:
    """The cut of Hundman et al. that lowers mean and deviation most per marked point and squared run, found exactly.

    Among eps >= mu + z_min sd it minimises -[(mu - mean(w <= eps))/mu + (sd - sd(w <= eps))/sd] / (n_above + runs^2).
    The cost changes only at values of w, so the k largest are marked for every k at which a lower value follows:
    with r_i the rank of point i, two neighbours are both marked from k = max(r_i, r_{i+1}) on, hence
    runs(k) = k - #{i: max(r_i, r_{i+1}) <= k}. O(m log m).

    Parameters
    ----------
    values : float64 array of shape (m,), >= 0
    z_min : float

    Returns
    -------
    float: max(next lower value, mu + z_min sd) of the best k; nan where no value lies above mu + z_min sd, or mu or
    sd is 0
    """
    m = len(values)
    mu, sd = (values.mean(), values.std()) if m else (0.0, 0.0)
    lowest = mu + z_min * sd
    if mu == 0 or sd == 0:
        return np.nan
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    above = np.searchsorted(-ordered, -lowest, side="left")  # candidates are among the values > lowest
    k = np.arange(1, min(above, m - 1) + 1)
    k = k[ordered[k - 1] > ordered[k]]
    if len(k) == 0:
        return np.nan
    rank = np.empty(m, dtype=np.int64)
    rank[order] = np.arange(m)
    joined = np.cumsum(np.bincount(np.maximum(rank[1:], rank[:-1]), minlength=m))
    centred = ordered - mu
    tail = np.cumsum(centred[::-1])[::-1][k] / (m - k)  # mean of the unmarked, less mu
    square = np.cumsum((centred**2)[::-1])[::-1][k] / (m - k)
    rest = np.sqrt(np.maximum(square - tail**2, 0.0))
    runs = k - joined[k - 1]
    cost = -(-tail / mu + (sd - rest) / sd) / (k + runs.astype(np.float64) ** 2)
    return float(max(ordered[k[np.argmin(cost)]], lowest))
