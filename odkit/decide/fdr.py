"""Which rows to flag so that few of the flagged are false: control of the false discovery rate (FDR).

Plain functions on p-values or e-values. They look at the whole batch, so whether a row is flagged depends on the others
tested with it: that is the point of them, and the reason why they are no `predict`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

__all__ = ["benjamini_hochberg", "e_benjamini_hochberg", "storey", "storey_null_share"]


def benjamini_hochberg(p_values: ArrayLike, level: float = 0.05, *, dependence: str = "positive") -> NDArray[np.bool_]:
    """Rows flagged by the Benjamini-Hochberg procedure at false discovery rate `level`.

    Sorted p-values p_(1) <= ... <= p_(m): flag the k smallest, k the largest i with p_(i) <= level i / m. Conformal
    p-values that share one calibration set are positively dependent, for which the procedure keeps its promise
    (Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 2023).

    Parameters
    ----------
    p_values : array-like of shape (n_samples,), in [0, 1]
    level : float in (0, 1), default=0.05
        Largest expected share of false alarms among the flagged.
    dependence : {'positive', 'any'}, default='positive'
        'any' divides the level by 1 + 1/2 + ... + 1/m (Benjamini-Yekutieli).

    Returns
    -------
    ndarray of bool, shape (n_samples,)

    Examples
    --------
    >>> from odkit.decide.fdr import benjamini_hochberg
    >>> benjamini_hochberg([0.001, 0.8, 0.015, 0.04, 0.6], level=0.05)
    array([ True, False,  True, False, False])
    """
    p = _probabilities(p_values, "p_values")
    _check_level(level)
    if dependence not in ("positive", "any"):
        raise ValueError(f"benjamini_hochberg: dependence={dependence!r}; allowed are 'positive' and 'any'")
    if p.size == 0:
        return np.zeros(0, bool)
    return false_discovery_control(p, method="bh" if dependence == "positive" else "by") <= level


def storey_null_share(p_values: ArrayLike, cut: float = 0.5) -> float:
    """Estimated share of ordinary rows: (1 + #{p > cut}) / (m (1 - cut)), at most 1 (Storey, 2002)."""
    p = _probabilities(p_values, "p_values")
    if not 0 < cut < 1:
        raise ValueError(f"storey_null_share: cut={cut!r} must lie between 0 and 1")
    return float(min(1.0, (1 + np.count_nonzero(p > cut)) / (max(p.size, 1) * (1 - cut))))


def storey(p_values: ArrayLike, level: float = 0.05, *, cut: float = 0.5) -> NDArray[np.bool_]:
    """Rows flagged by Benjamini-Hochberg at `level / storey_null_share(p_values, cut)`.

    Flags more where many rows of the batch are outliers; equal to `benjamini_hochberg` where few are.

    Examples
    --------
    >>> from odkit.decide.fdr import storey
    >>> storey([0.001, 0.02, 0.03, 0.04, 0.06], level=0.05)
    array([ True,  True,  True,  True,  True])
    """
    p = _probabilities(p_values, "p_values")
    _check_level(level)
    return benjamini_hochberg(p, min(level / storey_null_share(p, cut), 1 - 1e-12))


def e_benjamini_hochberg(e_values: ArrayLike, level: float = 0.05) -> NDArray[np.bool_]:
    """Rows flagged by the e-BH procedure: the k largest, k the largest i with e_(i) >= m / (level i).

    e-values (non-negative, expectation at most 1 for an ordinary row) keep the promise under any dependence and may be
    averaged over detectors or runs, which p-values may not (Wang and Ramdas, JRSS B 2022).

    Examples
    --------
    >>> from odkit.decide.fdr import e_benjamini_hochberg
    >>> e_benjamini_hochberg([120.0, 0.3, 60.0, 1.2], level=0.05)
    array([ True, False,  True, False])
    """
    e = np.asarray(e_values, dtype=np.float64)
    _check_level(level)
    if e.ndim != 1 or np.isnan(e).any() or (e < 0).any():
        raise ValueError("e_benjamini_hochberg: e_values must be one-dimensional, not negative and not NaN")
    ordered = np.sort(e)[::-1]
    ranks = np.arange(1, e.size + 1)
    passing = np.flatnonzero(ordered >= e.size / (level * ranks))
    return e >= ordered[passing[-1]] if passing.size else np.zeros(e.size, bool)


def _probabilities(values: ArrayLike, name: str) -> NDArray[np.float64]:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"fdr: {name} must be one-dimensional and within [0, 1]; given shape {p.shape}")
    return p


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"fdr: level={level!r} must lie between 0 and 1")
