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
FLAT = 1e-12  # share of a column's variance that the columns after it leave unexplained, taken for 0
FAR = 1e8  # variance in a subset, in squared median deviations, beside which FLAT of it is no hyperplane


class Subset(NamedTuple):
    """h rows, their mean and covariance (divisor h), its log-determinant, and upper triangle R with R'R its inverse.

    Without a triangle the log-determinant is -inf, the rows lie on a hyperplane, or inf: that cannot be told beside
    rows that are too far away, or a ridge says that they do not.
    """

    rows: NDArray[np.intp]
    location: NDArray[np.float64]
    covariance: NDArray[np.float64]
    logdet: float
    triangle: NDArray[np.float64] | None


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
        if estimate.triangle is None:
            return estimate
        squares = mahalanobis_sq(self.X, estimate.location, estimate.triangle)
        return self.estimate(np.argpartition(squares, self.h - 1)[: self.h])

    def estimate(self, rows: NDArray) -> Subset:
        chosen = self.X[rows]
        location = chosen.mean(axis=0)
        chosen -= location
        covariance = chosen.T @ chosen * ((1 - self.ridge) / len(rows))
        covariance.flat[:: len(covariance) + 1] += self.ridge
        triangle = inverse_triangle(covariance)
        if triangle is not None:
            logdet = float(np.linalg.slogdet(covariance)[1])
        else:  # next to a spread of a million, rounding looks like a hyperplane too; under a ridge nothing else does
            logdet = np.inf if self.ridge or covariance.diagonal().max() >= FAR else -np.inf
        return Subset(rows, location, covariance, logdet, triangle)


def by_logdet(subset: Subset) -> float:
    return subset.logdet


def _overshoot(last: Subset, new: Subset) -> Subset | None:
    """The estimate that lies beyond the new one as seen from the last; None if that is no covariance."""
    location = new.location + OVERSHOOT * (new.location - last.location)
    covariance = new.covariance + OVERSHOOT * (new.covariance - last.covariance)
    triangle = inverse_triangle(covariance)
    return None if triangle is None else Subset(new.rows, location, covariance, new.logdet, triangle)


def inverse_triangle(covariance: NDArray) -> NDArray[np.float64] | None:
    """Upper triangle R with R'R the inverse: the inverted Cholesky factor of the columns in reverse order.

    None where a column leaves next to nothing of its variance unexplained by those after it.
    """
    backwards = covariance[::-1, ::-1]
    try:
        lower = np.linalg.cholesky(backwards)
    except np.linalg.LinAlgError:
        return None
    if not (lower.diagonal() ** 2 > FLAT * backwards.diagonal()).all():
        return None
    return np.asfortranarray(scipy.linalg.lapack.dtrtri(lower, lower=1)[0][::-1, ::-1])
