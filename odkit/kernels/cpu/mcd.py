"""Minimum covariance determinant: the h of n rows whose covariance has the smallest determinant, without chance.

Robust starts (Hubert, Rousseeuw and Verdonck, J. Comput. Graph. Statist. 21, 2012), taken on a sample of the rows where
there are many, are followed by concentration steps (Rousseeuw and Van Driessen, Technometrics 41, 1999) that overshoot:
they go on past the new estimate in the direction of the last move, and fall back to the plain step where that does not
lower the determinant. Plain steps stop as soon as no row changes sides; overshooting ones end lower.

Inputs are float64 (n, d) and are not written to; equal rows in equal order give equal answers.
"""

import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import chdtr, chdtri, ndtri

from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.gaussian import SMALL, mahalanobis_sq

__all__ = ["DegenerateError", "Subset", "consistency_factor", "default_size", "mcd", "robust_rows"]

SAMPLE_ROWS = 2000  # where starts are taken and ranked if there are more than twice as many rows
FOLLOWED_ROWS = 40_000  # number of starts on a sample that are followed to the end on all rows, times rows; at least 2
RANDOM_ROWS = 30_000  # where there is no sample: number of random starts times rows, at least 20 starts
OVERSHOOT = 2.0  # in units of the last move
STEPS = 100
FLAT = 1e-12  # share of a column's variance that the columns before it leave unexplained, taken for 0
FAR = 1e12  # variance in a subset, in squared median deviations
NORMAL_MAD = 0.6744897501960817  # median absolute deviation of a unit normal


class Subset(NamedTuple):
    """h rows, their mean and covariance (divisor h), and its log-determinant: -inf if they lie on a hyperplane, inf if
    that cannot be told beside rows that are too far away.
    """

    rows: NDArray[np.intp]
    location: NDArray[np.float64]
    covariance: NDArray[np.float64]
    logdet: float


class DegenerateError(ValueError):
    """h rows lie on the hyperplane across `normal`: the smallest determinant is 0 and tells nothing about the rest."""

    def __init__(self, normal: NDArray[np.float64]) -> None:
        columns = np.flatnonzero(np.abs(normal) > 0.1 * np.abs(normal).max())
        listed = ", ".join(map(str, columns[:5])) + ", ..." * (len(columns) > 5)
        super().__init__(
            "minimum covariance determinant: it is 0, because as many rows as it is taken over lie on a hyperplane "
            f"across column{'s' * (len(columns) > 1)} {listed}, and any row off it would be infinitely far. Drop such "
            "columns, raise support_fraction, or add a ridge: robust=('mcd', 0.05)"
        )
        self.normal = normal


def default_size(n: int, d: int) -> int:
    """The h of highest breakdown: ceil((n + d + 1) / 2)."""
    return (n + d + 2) // 2


def consistency_factor(share: float, d: int) -> float:
    """What the covariance of the innermost `share` of d-variate normal rows is multiplied by to be that of all rows.

    share / P(chi2_{d+2} <= q) with q the `share` quantile of chi2_d.
    """
    return 1.0 if share >= 1 else share / float(chdtr(d + 2, chdtri(d, 1 - share)))


def robust_rows(
    X: NDArray, support_fraction: float | None = None, ridge: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows whose mean and covariance are the reweighted estimate, and which rows of X they are.

    Rows in the 97.5 % ellipsoid of the minimum covariance determinant of h = int(support_fraction n) rows (None: of
    `default_size`), spread about their mean by the root of the consistency factor. Directions in which no row differs
    from another (constant columns, duplicates) are left out of the search; `ridge` is in units of the squared spreads
    (median absolute deviations) of the columns.

    Returns
    -------
    rows : ndarray of shape (n_support, d)
    support : boolean ndarray of shape (n,)

    Raises
    ------
    DegenerateError
        If h rows lie on a hyperplane that other rows leave, and ridge is 0.
    ValueError
        If h is not in [(n + r + 1) / 2, n] with r the rank of the rows, or n <= r + 1, and ridge is 0.
    """
    n = len(X)
    center, scale = _median_and_spread(X)
    Z = (X - center) / scale
    basis = _span(Z)
    Z = Z @ basis
    r = Z.shape[1]
    least = default_size(n, 0 if ridge else r)
    h = least if support_fraction is None else int(support_fraction * n)
    if r == 0 or not (ridge or n > r + 1) or not least <= h <= n:
        raise ValueError(
            f"minimum covariance determinant: {h} of n_samples={n} rows in {r} independent of n_features={X.shape[1]} "
            f"columns; needed are 1 column, {r + 2} rows and {least} of them. Give more rows, drop columns or change "
            "support_fraction"
        )
    if n < 5 * r and not ridge:
        warnings.warn(
            f"minimum covariance determinant: {n} rows in {r} independent columns, fewer than 5 for each, are noisy",
            stacklevel=2,
        )
    if not ridge:
        _check_ties(X, h)
    try:
        best = mcd(Z, h, ridge)
    except DegenerateError as error:
        raise DegenerateError(basis @ error.normal) from None
    squares = mahalanobis_sq(Z, best.location, _triangle(best.covariance))
    support = squares < chdtri(r, 0.025) * consistency_factor(h / n, r)
    if ridge:
        support[best.rows] = True
    location = X[support].mean(axis=0)
    return location + np.sqrt(consistency_factor(0.975, r)) * (X[support] - location), support


def mcd(X: NDArray, h: int, ridge: float = 0.0) -> Subset:
    """The h rows of smallest covariance determinant that were found, d < h <= n; exact for one column.

    Columns must be independent over all rows, and of about the same spread. With a ridge in (0, 1) the determinant is
    that of (1 - ridge) covariance + ridge I (Boudt et al., Stat. Comput. 30, 2020), which rows on a hyperplane do not
    bring to 0; h may then be any number of rows.

    Raises
    ------
    DegenerateError
        If h rows lie on a hyperplane and ridge is 0.
    """
    d, search = X.shape[1], _Search(X, h, ridge)
    if d == 1:
        best = search.estimate(_best_window(X[:, 0], h))
    else:
        with one_thread() if d <= SMALL else nullcontext():
            best = min((search.descend(start) for start in _promising(search)), key=_by_logdet)
    if np.isinf(best.logdet):
        raise DegenerateError(np.linalg.eigh(best.covariance)[1][:, 0])
    return best


class _Search:
    """Steps of subsets of h rows of X to subsets of smaller determinant."""

    def __init__(self, X: NDArray, h: int, ridge: float) -> None:
        self.X, self.h, self.ridge = X, h, ridge

    def descend(self, start: Subset) -> Subset:
        """Overshooting steps until a plain one no longer lowers the determinant."""
        last, best, plain = start, self.step(start), False
        for _ in range(STEPS):
            target = best if plain else _overshoot(last, best)
            found = best if target is None else self.step(target)
            if found.logdet < best.logdet:
                last, best, plain = best, found, False
            elif plain:
                break
            else:
                plain = True
        return best

    def step(self, estimate: Subset) -> Subset:
        """The h rows nearest to an estimate. Their determinant is no larger than its own, if that is of h rows too."""
        if np.isinf(estimate.logdet):
            return estimate
        squares = mahalanobis_sq(self.X, estimate.location, _triangle(estimate.covariance))
        return self.estimate(np.argpartition(squares, self.h - 1)[: self.h])

    def estimate(self, rows: NDArray) -> Subset:
        chosen = self.X[rows]
        location = chosen.mean(axis=0)
        chosen -= location
        covariance = chosen.T @ chosen * ((1 - self.ridge) / len(rows))
        covariance.flat[:: len(covariance) + 1] += self.ridge
        if _is_proper(covariance):
            logdet = float(np.linalg.slogdet(covariance)[1])
        else:  # next to a spread of a million, rounding looks like a hyperplane too
            logdet = -np.inf if covariance.diagonal().max() < FAR else np.inf
        return Subset(rows, location, covariance, logdet)


def _by_logdet(subset: Subset) -> float:
    return subset.logdet


def _promising(search: _Search) -> list[Subset]:
    """Where to start from: the ends of a search in a sample of many rows, else robust starts and the best of random
    ones, which among few rows lead lower now and then.
    """
    n, d = search.X.shape
    m = max(SAMPLE_ROWS, 10 * d)
    rng = np.random.default_rng(n)
    if n > 2 * m:
        sample = _Search(search.X[rng.choice(n, m, replace=False)], -(-search.h * m // n), search.ridge)
        ends = sorted((sample.descend(start) for start in _robust_starts(sample)), key=_by_logdet)
        proper = [end for end in ends if np.isfinite(end.logdet)]  # a flat sample is no proof about all rows
        if proper:
            return proper[: max(2, FOLLOWED_ROWS // n)]
    n_random = min(max(RANDOM_ROWS // n, 20), 300)
    random = [search.estimate(rng.choice(n, min(d + 1, n), replace=False)) for _ in range(n_random)]
    ahead = sorted((search.step(search.step(start)) for start in random if np.isfinite(start.logdet)), key=_by_logdet)
    return [*_robust_starts(search), *ahead[: n_random // 5]]


def _robust_starts(search: _Search) -> Iterator[Subset]:
    """The half of the rows that is nearest to the medians, in units of the median deviations, along each of six sets of
    axes; h rows if that half lies on a hyperplane.

    Five sets are eigenvectors of covariances that outliers cannot move far: of bounded columns, of ranks, of normal
    scores, of directions, of the rows nearest to the medians. The sixth are the directions of extreme kurtosis, which a
    cluster of outliers, however large, gives away in any mixture of columns.
    """
    n, half = len(search.X), -(-len(search.X) // 2)
    center, spread = _median_and_spread(search.X)
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
        middle, deviations = _median_and_spread(along)
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


def _overshoot(last: Subset, new: Subset) -> Subset | None:
    """The estimate that lies beyond the new one as seen from the last; None if that is no covariance."""
    location = new.location + OVERSHOOT * (new.location - last.location)
    covariance = new.covariance + OVERSHOOT * (new.covariance - last.covariance)
    return Subset(new.rows, location, covariance, new.logdet) if _is_proper(covariance) else None


def _is_proper(covariance: NDArray) -> bool:
    try:
        pivots = np.linalg.cholesky(covariance).diagonal() ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((pivots > FLAT * covariance.diagonal()).all())


def _triangle(covariance: NDArray) -> NDArray[np.float64]:
    """Upper triangle R with R'R the inverse: the inverted Cholesky factor of the columns in reverse order."""
    lower = scipy.linalg.lapack.dtrtri(np.linalg.cholesky(covariance[::-1, ::-1]), lower=1)[0]
    return np.asfortranarray(lower[::-1, ::-1])


def _median_and_spread(X: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scaled median absolute deviation of each column; the standard deviation, or 1, where that is 0."""
    median = np.median(X, axis=0)
    spread = np.median(np.abs(X - median), axis=0) / NORMAL_MAD
    flat = spread == 0
    if flat.any():
        deviation = X[:, flat].std(axis=0)
        spread[flat] = np.where(deviation > 0, deviation, 1.0)
    return median, spread


def _span(Z: NDArray) -> NDArray[np.float64]:
    """Orthonormal basis (d, r) of the directions in which rows differ; the columns themselves where these are all, for
    robust starts are looked for along them, and they are of one spread.

    Differences to a middle row are set to length 1 first, so that no far row hides the others below rounding.
    """
    Z = Z - Z[np.argmin(np.einsum("ij,ij->i", Z, Z))]
    norms = np.sqrt(np.einsum("ij,ij->i", Z, Z))
    Z /= np.where(norms > 0, norms, 1.0)[:, None]
    eigenvalues, vectors = np.linalg.eigh(Z.T @ Z)
    kept = eigenvalues > eigenvalues[-1] * max(Z.shape) * np.finfo(float).eps
    return np.eye(len(kept)) if kept.all() else vectors[:, kept]


def _check_ties(X: NDArray, h: int) -> None:
    """A value that h rows, but not all, share in one column puts them on a hyperplane that steps may miss."""
    for j in range(X.shape[1]):
        column = np.sort(X[:, j])
        if column[0] < column[-1] and (column[h - 1 :] == column[: len(X) - h + 1]).any():
            raise DegenerateError(np.eye(X.shape[1])[j])


def _best_window(x: NDArray, h: int) -> NDArray[np.intp]:
    """Exact for one column: of the n - h + 1 windows of h sorted values the one of smallest variance."""
    order = np.argsort(x, kind="stable")
    y = x[order] - np.median(x)
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (y, y * y))
    variances = (squares[h:] - squares[:-h]) / h - ((sums[h:] - sums[:-h]) / h) ** 2
    first = int(np.argmin(variances))
    return order[first : first + h]
