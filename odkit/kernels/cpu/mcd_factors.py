"""What the covariance of the innermost rows is multiplied by, and how far away few rows let further normal rows lie."""

import math

from scipy.special import betaincinv, chdtr, chdtri

__all__ = ["consistency_factor", "degrees_of_freedom", "distance_quantile", "scaled_quantile", "small_sample_factor"]

# log(rows per degree of freedom), fitted to simulated normal rows: `python -m benchmarks.speed.mcd --false-alarms`
LEVEL, PER_ROOT_ROWS, PER_ROOT_COLUMNS, TRIMMED_SQ, TRIMMED_COLUMNS, PER_ROW = -1.04, 15.50, 1.00, 0.77, 7.89, -53.96


def consistency_factor(share: float, d: int) -> float:
    """What the covariance of the innermost `share` of d-variate normal rows is multiplied by to be that of all rows.

    share / P(chi2_{d+2} <= q) with q the `share` quantile of chi2_d.
    """
    return 1.0 if share >= 1 else share / float(chdtr(d + 2, chdtri(d, 1 - share)))


def degrees_of_freedom(n: int, d: int, share: float) -> float:
    """The m > d for which further normal rows are as far from a reweighted estimate, of n rows, as from mean and
    covariance of m rows; `share` is that of the rows that the determinant was minimised over.

    The search picks rows that lie too close together, and reweighting takes back a part of it only: of 200 rows of 10
    columns 75 count, of 100,000 nearly all. Fitted for 5 to 200 rows a column, 1 to 20 columns and shares of half to
    0.9; with n >= 10 d, a nominal 1 % comes out between 0.4 and 1.5 %, and lower for fewer than 40 rows of one column.
    """
    trimmed = 2 * (1 - share)
    rows_per_degree = (
        LEVEL
        + PER_ROOT_ROWS / math.sqrt(n)
        + PER_ROOT_COLUMNS / math.sqrt(d)
        + TRIMMED_SQ * trimmed**2
        + TRIMMED_COLUMNS * trimmed * d / n
        + PER_ROW / n
    )
    return d + n / math.exp(max(rows_per_degree, 0.0))


def distance_quantile(d: int, m: float, fpr: float) -> float:
    """The squared distance, from mean and covariance (divisor m) of m normal rows, that a share fpr of others exceeds.

    Hotelling's law d (m^2 - 1) / (m (m - d)) F(d, m - d), its F quantile by that of a beta law, which keeps its digits
    for small fpr.
    """
    inside = float(betaincinv((m - d) / 2, d / 2, fpr))
    return (m * m - 1) / m * (1 - inside) / inside


def small_sample_factor(d: int, m: float) -> float:
    """What the covariance is multiplied by besides: new normal rows then have the median distance of chi2_d.

    Pison, Van Aelst and Willems (Metrika 55, 2002) simulate such a factor for the determinant; this one follows from
    `degrees_of_freedom`, and agrees with theirs where rows are not few (`tests/kernels/test_mcd.py`).
    """
    return distance_quantile(d, m, 0.5) / float(chdtri(d, 0.5))


def scaled_quantile(dims: int, d: int, m: float, fpr: float) -> float:
    """`distance_quantile` in `dims` of the d columns, under a covariance that `small_sample_factor` has been put to."""
    return distance_quantile(dims, m, fpr) / small_sample_factor(d, m)
