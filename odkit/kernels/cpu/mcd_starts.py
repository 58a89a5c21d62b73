"""Where the search for the minimum covariance determinant starts: robust guesses that owe nothing to chance.

They are those of Hubert, Rousseeuw and Verdonck (J. Comput. Graph. Statist. 21, 2012) and more, taken on a sample of
the rows where there are many.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from odkit.kernels.cpu.mcd_steps import Search, Subset, by_logdet

__all__ = ["median_and_spread", "promising"]

SAMPLE_ROWS = 2000  # where starts are taken and ranked if there are more than twice as many rows
FOLLOWED_ROWS = 40_000  # number of starts on a sample that are followed to the end on all rows, times rows; at least 2
RANDOM_ROWS = 30_000  # where there is no sample: number of random starts times rows, at least 20 starts
NORMAL_MAD = 0.6744897501960817  # median absolute deviation of a unit normal


def promising(search: Search) -> list[Subset]:
    """Where to start from: the ends of a search in a sample of many rows, else robust starts and random ones, which
    among few rows lead lower now and then: the best of d + 1 rows each, clean by luck, and of h rows each, which lie
    in the middle of mixed columns.
    """
    n, d = search.X.shape
    m = max(SAMPLE_ROWS, 10 * d)
    rng = np.random.default_rng(n)
    if n > 2 * m:
        sample = Search(search.X[rng.choice(n, m, replace=False)], -(-search.h * m // n), search.ridge)
        ends = sorted((sample.descend(start) for start in _robust_starts(sample)), key=by_logdet)
        proper = [end for end in ends if np.isfinite(end.logdet)]  # a flat sample is no proof about all rows
        if proper:
            return proper[: max(2, FOLLOWED_ROWS // n)]
    n_random = min(max(RANDOM_ROWS // n, 20), 300)
    few = [search.estimate(rng.choice(n, min(d + 1, n), replace=False)) for _ in range(n_random)]
    ahead = sorted((search.step(search.step(start)) for start in few if np.isfinite(start.logdet)), key=by_logdet)
    halves = [search.estimate(rng.choice(n, search.h, replace=False)) for _ in range(n_random // 5)]
    return [*_robust_starts(search), *ahead[: n_random // 5], *halves]


def _robust_starts(search: Search) -> Iterator[Subset]:
    """The half of the rows that is nearest to the medians, in units of the median deviations, along each of six sets of
    axes; h rows if that half lies on a hyperplane.

    Five sets are eigenvectors of covariances that outliers cannot move far: of bounded columns, of ranks, of normal
    scores, of directions, of the rows nearest to the medians. The sixth are the directions of extreme kurtosis, which a
    cluster of outliers, however large, gives away in any mixture of columns.
    """
    n, half = len(search.X), -(-len(search.X) // 2)
    center, spread = median_and_spread(search.X)
    Z = (search.X - center) / spread
    norms = np.sqrt(np.einsum("ij,ij->i", Z, Z))
    ranks = np.argsort(np.argsort(Z, axis=0), axis=0) + 1.0
    guesses = (
        np.tanh(Z),
        ranks,
        ndtri((ranks - 1 / 3) / (n + 1 / 3)),
        Z / np.where(norms > 0, norms, 1.0)[:, None],
        Z[np.argpartition(norms, half - 1)[:half]],
    )
    for axes in (*(np.linalg.eigh(np.cov(guess.T))[1] for guess in guesses), _kurtosis_axes(Z)):
        along = Z @ axes
        middle, deviations = median_and_spread(along)
        along = (along - middle) / deviations
        nearest = np.argsort(np.einsum("ij,ij->i", along, along))
        start = search.estimate(nearest[:half])
        yield start if start.logdet > -np.inf else search.estimate(nearest[: search.h])


def _kurtosis_axes(Z: NDArray) -> NDArray[np.float64]:
    """Axes (d, d) in which covariance and the covariance weighted by squared Mahalanobis distance are both diagonal
    (Tyler et al., J. R. Stat. Soc. B 71, 2009): they do not depend on how the columns were mixed.
    """
    Z = Z - Z.mean(axis=0)
    variances, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
    whitening = vectors / np.sqrt(np.maximum(variances, variances[-1] * np.finfo(float).eps))
    Y = Z @ whitening
    return whitening @ np.linalg.eigh(Y.T @ (Y * np.einsum("ij,ij->i", Y, Y)[:, None]) / len(Y))[1]


def median_and_spread(X: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scaled median absolute deviation of each column; the standard deviation, or 1, where that is 0."""
    median = np.median(X, axis=0)
    spread = np.median(np.abs(X - median), axis=0) / NORMAL_MAD
    flat = spread == 0
    if flat.any():
        deviation = X[:, flat].std(axis=0)
        spread[flat] = np.where(deviation > 0, deviation, 1.0)
    return median, spread
