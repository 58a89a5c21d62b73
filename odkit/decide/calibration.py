"""What a p-value is read from: calibration scores with their folds, weights and groups."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "check_resolution", "p_values", "threshold"]

TIE = 1e-9  # relative: a row's score may come back with other last bits from another batch, and must still meet itself


class Calibration(NamedTuple):
    """Calibration rows, one entry each.

    Attributes
    ----------
    scores : (n,) float64
        Normality, by the model of the row's fold.
    fold : (n,) int64
        Model that scored the row without having seen it; 0 where there is one model.
    weight : (n,) float64
        Density ratio new / old; 1 without covariate shift.
    group : (n,)
        Label within which rows are compared.
    """

    scores: NDArray
    fold: NDArray
    weight: NDArray
    group: NDArray


def p_values(calibration: Calibration, scores: NDArray, weight: NDArray, group: NDArray) -> NDArray[np.float64]:
    """(weight of the calibration rows with at most the row's normality + own weight) / (all weight + own weight).

    scores (n_models, m): normality of the m rows by every model, each compared within that model's fold; weight, group
    (m,): of the rows. Raises ValueError for a group without calibration rows.
    """
    unknown = np.setdiff1d(group, calibration.group)
    if unknown.size:
        raise ValueError(f"Conformal: no calibration row in group(s) {unknown[:5].tolist()}; fit with such rows")
    p = np.empty(weight.size)
    for label in np.unique(group):
        rows, known = group == label, calibration.group == label
        at_most = weight[rows].copy()  # a row counts itself
        for fold in np.unique(calibration.fold[known]):
            cell = known & (calibration.fold == fold)
            order = np.argsort(calibration.scores[cell])
            cumulative = np.concatenate(([0.0], np.cumsum(calibration.weight[cell][order])))
            at_most += cumulative[np.searchsorted(calibration.scores[cell][order], _reach(scores[fold, rows]), "right")]
        p[rows] = at_most / (calibration.weight[known].sum() + weight[rows])
    return np.minimum(p, 1.0)  # the two sums are rounded apart


def _reach(scores: NDArray) -> NDArray:
    """The largest normality that counts as equal to the row's own."""
    return scores + TIE * np.abs(scores)


def threshold(scores: NDArray, alpha: float) -> float:
    """The normality below which p <= alpha, for one model without weights and groups."""
    grid = np.arange(1, scores.size + 1) / (scores.size + 1)
    flagged = int(np.searchsorted(grid, alpha, side="right"))  # how many of the possible p-values are <= alpha
    line = np.sort(scores)[flagged - 1]
    lowest = line / (1 + np.sign(line) * TIE)
    while _reach(lowest) >= line:  # the smallest number that reaches the line: below it, and only there, p <= alpha
        lowest = np.nextafter(lowest, -np.inf)
    while _reach(lowest) < line:
        lowest = np.nextafter(lowest, np.inf)
    return float(lowest)


def check_resolution(calibration: Calibration, alpha: float) -> None:
    """Raise ValueError where no row of some group could ever get p <= alpha."""
    groups, sizes = np.unique(calibration.group, return_counts=True)
    smallest, needed = 1 / (sizes.min() + 1), int(np.ceil(1 / alpha - 1 - 1e-9))
    if smallest > alpha:
        where = "" if groups.size == 1 else f" in group {groups.tolist()[sizes.argmin()]!r}"
        raise ValueError(
            f"Conformal: {sizes.min()} calibration rows{where} give p-values of {smallest:.3g} at the least, so "
            f"alpha={alpha:g} could never be met; at least {needed} are needed: "
            "raise calibration_size, use method='cv+' or 'loo', or raise alpha"
        )
