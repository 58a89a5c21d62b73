"""Minimum covariance determinant: the h of n rows whose covariance has the smallest determinant, without chance.

Robust starts (`mcd_starts`) are followed by concentration steps (`mcd_steps`), and what comes out is reweighted.

Inputs are float64 (n, d) and are not written to; equal rows in equal order give equal answers.
"""

import warnings
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtri

from odkit.kernels.cpu.blas import one_thread
from odkit.kernels.cpu.gaussian import mahalanobis_sq
from odkit.kernels.cpu.mcd_starts import median_and_spread, promising
from odkit.kernels.cpu.mcd_steps import Search, Subset, by_logdet, inverse_triangle
from odkit.kernels.cpu.moments import SMALL

__all__ = ["DegenerateError", "consistency_factor", "default_size", "mcd", "robust_rows"]


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
    squares = mahalanobis_sq(Z, best.location, inverse_triangle(best.covariance))
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
    d, search = X.shape[1], Search(X, h, ridge)
    if d == 1:
        best = search.estimate(_best_window(X[:, 0], h))
    else:
        with one_thread() if d <= SMALL else nullcontext():
            best = min((search.descend(start) for start in promising(search)), key=by_logdet)
    if np.isinf(best.logdet):
        raise DegenerateError(np.linalg.eigh(best.covariance)[1][:, 0])
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
