"""Concentration steps (Rousseeuw and Van Driessen, Technometrics 41, 1999) towards a smaller covariance determinant.

They overshoot: they go on past the new estimate in the direction of the last move, and fall back to the plain step
where that does not lower the determinant. Plain steps stop as soon as no row changes sides; overshooting ones end
lower.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from odkit.kernels.cpu.gaussian import mahalanobis_sq

__all__ = ["Search", "Subset", "by_logdet", "inverse_triangle"]

OVERSHOOT = 2.0  # in units of the last move
STEPS = 100
FLAT = 1e-12  # share of a column's variance that the columns before it leave unexplained, taken for 0
FAR = 1e12  # variance in a subset, in squared median deviations


class Subset(NamedTuple):
    """h rows, their mean and covariance (divisor h), and its log-determinant: -inf if they lie on a hyperplane, inf if
    that cannot be told beside rows that are too far away.
    """

    rows: NDArray[np.intp]
    location: NDArray[np.float64]
    covariance: NDArray[np.float64]
    logdet: float


class Search:
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
        squares = mahalanobis_sq(self.X, estimate.location, inverse_triangle(estimate.covariance))
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


def by_logdet(subset: Subset) -> float:
    return subset.logdet


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


def inverse_triangle(covariance: NDArray) -> NDArray[np.float64]:
    """Upper triangle R with R'R the inverse: the inverted Cholesky factor of the columns in reverse order."""
    lower = scipy.linalg.lapack.dtrtri(np.linalg.cholesky(covariance[::-1, ::-1]), lower=1)[0]
    return np.asfortranarray(lower[::-1, ::-1])
