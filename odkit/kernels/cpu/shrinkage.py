"""From the spectrum of a covariance to the Gaussian that is scored: subspace, shrinkage, leave-one-out.

Small algebra on eigenvalues, on the host for every device. Notation as in `odkit.kernels.cpu.gaussian`: eigenvalues
lambda (r,) falling, of a covariance with divisor n over d columns; weights w (r,) and floor f are the variances under
the shrunken covariance, inf where a direction is ignored.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

__all__ = [
    "Shrunken",
    "leave_one_out",
    "leave_one_out_columns",
    "leave_one_out_weights",
    "precision_diagonal",
    "shrink",
    "subspace",
    "whitener",
]

ROUNDING = 16 * np.finfo(np.float64).eps  # share of a column outside the components that is none
UNDERFLOW = 1e-12  # floor of an empirical covariance, in units of the mean variance


class Shrunken(NamedTuple):
    """Weights (r,), floor, the share `delta` of the identity in [0, 1], and log det over the `dims` directions used."""

    weights: NDArray[np.float64]
    floor: float
    delta: float
    logdet: float
    dims: int


def subspace(
    eigenvalues: NDArray, d: int, kept: tuple[str, float] | None = None, keep_null: bool = True
) -> tuple[NDArray[np.float64], float]:
    """Which directions count: 1 or inf for each component, and for the complement of all components.

    `kept` = (rule, t): with i the first component at which the cumulative share of variance exceeds t (the last one if
    none does), "pca" keeps components 0..i, "npca" keeps i - 1 and all after it, and with `keep_null` the complement.
    """
    r = len(eigenvalues)
    complement = 1.0 if r < d else np.inf
    used = np.ones(r)
    if kept is None:
        return used, complement
    rule, share = kept
    cumulative = np.cumsum(eigenvalues)
    above = np.flatnonzero(cumulative / cumulative[-1] > share)
    i = above[0] if above.size else r - 1
    if rule == "pca":
        used[i + 1 :] = np.inf
    else:
        used[: max(i - 1, 0)] = np.inf
    return used, complement if rule == "npca" and keep_null else np.inf


def shrink(
    eigenvalues: NDArray,
    d: int,
    n: int,
    shrinkage: str | float | tuple[str, float],
    fourth: float = np.nan,
    used: NDArray | None = None,
    complement: float | None = None,
) -> Shrunken:
    """Shrunken covariance within the directions that count.

    Parameters
    ----------
    eigenvalues : ndarray of shape (r,)
    d, n : int
        Columns and rows.
    shrinkage : {"ledoit_wolf", "oas", "empirical"}, float in [0, 1] or ("ridge", eps)
    fourth : float
        sum |z|^4 over the rows within the directions that count; read for "ledoit_wolf" only.
    used, complement
        What `subspace` returned; None: every direction counts.
    """
    if used is None or complement is None:
        used, complement = subspace(eigenvalues, d)
    counted = np.isfinite(used)
    kept = eigenvalues[counted]
    n_null = d - len(eigenvalues) if np.isfinite(complement) else 0
    dims = len(kept) + n_null
    mean, norm = kept.sum() / dims, float(kept @ kept)
    if isinstance(shrinkage, tuple):
        delta, lift, floor = 0.0, shrinkage[1], shrinkage[1]
    else:
        if not isinstance(shrinkage, str):
            delta = float(shrinkage)
        elif shrinkage == "empirical" or dims == 1:  # of one direction there is nothing to shrink
            delta = 0.0
        else:
            delta = (
                _ledoit_wolf(mean, norm, fourth, dims, n) if shrinkage == "ledoit_wolf" else _oas(mean, norm, dims, n)
            )
        lift = delta * mean
        floor = max(lift, UNDERFLOW * mean)
    weights = np.where(counted, (1 - delta) * eigenvalues + lift, np.inf)
    logdet = float(np.log(weights[counted]).sum() + (n_null * np.log(floor) if n_null else 0.0))
    return Shrunken(weights, float(floor if n_null else np.inf), delta, logdet, dims)


def _ledoit_wolf(mean: float, norm: float, fourth: float, dims: int, n: int) -> float:
    beta = (fourth / n - norm) / (dims * n)
    distance = norm / dims - mean**2  # |S - m I|^2 / d; sum(lambda) = d m
    if distance <= 0 or beta <= 0:
        return 0.0
    return min(beta, distance) / distance


def _oas(mean: float, norm: float, dims: int, n: int) -> float:
    alpha = norm / dims**2
    denominator = (n + 1) * (alpha - mean**2 / dims)
    return 1.0 if denominator <= 0 else min(1.0, (alpha + mean**2) / denominator)


def whitener(components: NDArray | None, weights: NDArray) -> NDArray[np.float64] | None:
    """Upper triangle R (d, d), Fortran order, with R'R = the precision; None unless all d directions have a weight."""
    if components is None or len(components) < components.shape[1] or not np.isfinite(weights).all():
        return None
    return np.asfortranarray(scipy.linalg.qr(components / np.sqrt(weights)[:, None], mode="r", check_finite=False)[0])


def precision_diagonal(components: NDArray | None, weights: NDArray, floor: float) -> NDArray[np.float64]:
    """Diagonal (d,) of V'diag(1/w)V + (I - V'V)/f."""
    if components is None:
        return 1 / weights
    squares = components**2
    left = 1 - squares.sum(axis=0)
    left[left < ROUNDING] = 0.0  # a column that the components span; a small f would make it look like one they do not
    return (1 / weights) @ squares + left / floor


def leave_one_out_weights(eigenvalues: NDArray, weights: NDArray, delta: float, n: int) -> NDArray[np.float64]:
    """Weights of A = (1 - delta) n/(n-1) S + the same shrinkage, under which `leave_one_out` wants its distances."""
    return weights + (1 - delta) * eigenvalues / (n - 1)


def leave_one_out(distance_sq: NDArray, delta: float, n: int) -> NDArray[np.float64]:
    """M^2 of each training row under the model of the other n - 1 rows, shrinkage kept: c^2 h / (1 - b h).

    h = `distance_sq` is the distance under A (`leave_one_out_weights`) to the mean of all rows; c = n/(n-1) moves the
    mean, b = (1 - delta) n/(n-1)^2 takes the row out of A (Sherman-Morrison). A row that is alone in its direction
    leaves a variance of 0 there without shrinkage; it is then counted as the underflow floor.
    """
    c, b = n / (n - 1), (1 - delta) * n / (n - 1) ** 2
    return c**2 * distance_sq / np.maximum(1 - b * distance_sq, UNDERFLOW)


def leave_one_out_columns(X: NDArray, location: NDArray, variances: NDArray, n: int) -> NDArray[np.float64]:
    """The same for a diagonal covariance: one-column formula with delta = 0, summed over the columns.

    A column that is constant without the row drops out, as it does from a fit; a variance of inf is ignored. A row
    without which every column is constant is not near the others but far: it gets the underflow floor, as above.
    """
    h = (X - location) ** 2 / (variances * (n / (n - 1)))
    left = 1 - h * (n / (n - 1) ** 2)
    varies = (left > UNDERFLOW) & np.isfinite(variances)
    varies |= ~varies.any(axis=1, keepdims=True)
    return np.divide((n / (n - 1)) ** 2 * h, np.maximum(left, UNDERFLOW), out=np.zeros(h.shape), where=varies).sum(1)
