"""Clusters of a sample, where EM starts: k-means++ seeds, and a few steps of k-means from them.

Distances are taken in standardised columns, so that the units of columns do not matter. Random numbers are drawn for
the seeds alone: clusters of several starts can be sought on threads.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.neighbors import candidates, place_of

__all__ = ["Standardised", "clusters", "seeds", "standardised"]

STEPS = 10  # of k-means from the seeds of a start


class Standardised(NamedTuple):
    """Rows minus `center`, divided by `spread`."""

    rows: NDArray[np.float64]
    center: NDArray[np.float64]
    spread: NDArray[np.float64]


def standardised(rows: NDArray) -> Standardised:
    """Columns of mean 0 and standard deviation 1; constant ones are 0."""
    with np.errstate(over="ignore"):  # squares out of float64's reach: the covariances will not be finite, which raises
        center, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread == 0] = 1.0
    return Standardised((rows - center) / spread, center, spread)


def seeds(rows: NDArray, n_seeds: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """k-means++: a new seed is the best of a few rows drawn in proportion to their squared distance from the seeds."""
    found = rows[[rng.integers(len(rows))]]
    distance = ((rows - found[0]) ** 2).sum(axis=1)
    for _ in range(1, n_seeds):
        total = distance.sum()
        drawn = rng.choice(len(rows), 2 + int(np.log(n_seeds)), p=distance / total if total > 0 else None)
        tries = [np.minimum(distance, ((rows - rows[i]) ** 2).sum(axis=1)) for i in drawn]
        best = int(np.argmin([near.sum() for near in tries]))
        found, distance = np.vstack([found, rows[drawn[best]]]), tries[best]
    return found


def clusters(sample: Standardised, start: NDArray) -> tuple[NDArray, NDArray]:
    """Labels (n,) and means (k, d), in the units of the data, after at most ten steps of k-means from k seeds.

    Seeds that no row is nearest to (fewer distinct rows than clusters) keep their place and no label.
    """
    means, labels = start.copy(), np.full(len(sample.rows), -1)
    for _ in range(STEPS):
        before, labels = labels, candidates(sample.rows, means, 1, place_of(means))[1][:, 0]
        if np.array_equal(before, labels):
            break
        for k in np.unique(labels):
            means[k] = sample.rows[labels == k].mean(axis=0)
    with np.errstate(invalid="ignore"):
        return labels, means * sample.spread + sample.center
