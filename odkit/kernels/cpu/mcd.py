"""Minimum covariance determinant: the h of n rows whose covariance has the smallest determinant, without chance.

Robust starts (`mcd_starts`) are followed by concentration steps (`mcd_steps`), and what comes out is reweighted.

Inputs are float64 (n, d) and are not written to; equal rows in equal order give equal answers.
"""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from odkit.kernels import cautions
from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.gaussian import mahalanobis_sq
from odkit.kernels.cpu.mcd_factors import consistency_factor, degrees_of_freedom, small_sample_factor
from odkit.kernels.cpu.mcd_starts import median_and_spread, promising
from odkit.kernels.cpu.mcd_steps import Search, Subset, by_logdet
from odkit.kernels.cpu.moments import SMALL

__all__ = ["DegenerateError", "Robust", "default_size", "mcd", "robust_rows"]


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


class Robust(NamedTuple):
    """Rows whose mean and covariance are the estimate, which rows of X they are, and its degrees of freedom."""

    rows: NDArray[np.float64]  # (n_support, d)
    support: NDArray[np.bool_]  # (n,)
    degrees: float | None  # None: under a ridge they depend on the rows


def robust_rows(X: NDArray, support_fraction: float | None = None, ridge: float = 0.0) -> Robust:
    """The reweighted estimate.

    Rows in the 97.5 % ellipsoid of the minimum covariance determinant of h = int(support_fraction n) rows (None: of
    `default_size`), spread about their mean by the root of the consistency factor and, without a ridge, of the
    small-sample factor. Directions in which no row differs from another (constant columns, duplicates) are left out of
    the search; `ridge` is in units of the squared spreads (median absolute deviations) of the columns.

    Raises
    ------
    DegenerateError
        If h rows lie on a hyperplane that other rows leave, and ridge is 0.
    ValueError
        If h is not in [(n + r + 1) / 2, n] with r the rank of the rows, or n <= r + 1, and ridge is 0.
    """
    n = len(X)
    center, scale = median_and_spread(X)
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
        cautions.warn(
            f"minimum covariance determinant: {n} rows in {r} independent columns, fewer than 5 for each, are noisy"
        )
    if not ridge:
        _check_ties(X, h)
    try:
        best = mcd(Z, h, ridge)
    except DegenerateError as error:
        raise DegenerateError(basis @ error.normal) from None
    assert best.triangle is not None  # or mcd would have raised
    squares = mahalanobis_sq(Z, best.location, best.triangle)
    support = squares < chdtri(r, 0.025) * consistency_factor(h / n, r)
    if ridge:
        support[best.rows] = True
    if (X[support] == X[best.rows[0]]).all():
        raise ValueError(
            f"minimum covariance determinant: the {support.sum()} of n_samples={n} rows that the estimate rests on are "
            "all equal, so that no direction has a spread to measure distances by, with a ridge or without. Raise "
            "support_fraction above their share, drop columns in which most values are equal, or use robust=None"
        )
    location = X[support].mean(axis=0)
    degrees = None if ridge else degrees_of_freedom(n, r, h / n)
    factor = consistency_factor(0.975, r) * (1.0 if degrees is None else small_sample_factor(r, degrees))
    return Robust(location + np.sqrt(factor) * (X[support] - location), support, degrees)


def mcd(X: NDArray, h: int, ridge: float = 0.0) -> Subset:
    """The h rows of smallest covariance determinant that were found, d < h <= n; exact for one column.

    Columns must be independent over all rows, and of about the same spread. With a ridge in (0, 1) the determinant is
    that of (1 - ridge) covariance + ridge I (Boudt et al., Stat. Comput. 30, 2020), which rows on a hyperplane do not
    bring to 0; h may then be any number of rows.

    Raises
    ------
    DegenerateError
        If h rows lie on a hyperplane and ridge is 0.
    ValueError
        If rows are too far apart for float64, wherever the search led.
    """
    d, search = X.shape[1], Search(X, h, ridge)
    if d == 1:
        best = search.estimate(_best_window(X[:, 0], h))
    else:
        with one_thread() if d <= SMALL else nullcontext():
            best = min((search.descend(start) for start in promising(search)), key=by_logdet)
    if best.logdet == -np.inf:
        raise DegenerateError(np.linalg.eigh(best.covariance)[1][:, 0])
    if best.triangle is None:
        widest = int(np.argmax(best.covariance.diagonal()))
        raise ValueError(
            f"minimum covariance determinant: among any {h} of n_samples={len(X)} rows some are so far away (column "
            f"{widest}: {np.sqrt(best.covariance[widest, widest]):.0e} median absolute deviations) that rounding hides "
            "the others. Drop such rows, lower support_fraction, or rescale columns whose values are equal in most rows"
        )
    return best


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
