"""Whether a fitted mixture of Gaussians is one, and whether it is worth its parameters."""

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu.em import Mixture

__all__ = ["aic", "bic", "collapsed", "n_parameters", "singular"]


def collapsed(mixture: Mixture, n_rows: int, reg_covar: float) -> NDArray[np.intp]:
    """Components that hold fewer than two rows, or whose mean variance is not above its floor `reg_covar`."""
    kind, d = mixture.covariance_type, mixture.means.shape[1]
    if kind in ("full", "tied"):
        variance = np.trace(mixture.covariances, axis1=-2, axis2=-1) / d
    else:
        variance = mixture.covariances.reshape(len(mixture.weights), -1).mean(axis=1)
    return np.flatnonzero((mixture.weights * n_rows < 2) | (variance - reg_covar <= reg_covar))


def singular(mixture: Mixture, n_rows: int) -> NDArray[np.intp]:
    """Components with a covariance of their own ("full") and no more rows than columns: only the floor inverts it."""
    if mixture.covariance_type != "full":
        return np.empty(0, np.intp)
    return np.flatnonzero(mixture.weights * n_rows < mixture.means.shape[1] + 1)


def n_parameters(mixture: Mixture) -> int:
    """Free parameters: the distinct entries of the covariances, the means, and all weights but one."""
    n_components, d = mixture.means.shape
    covariances = {
        "full": n_components * d * (d + 1) // 2,
        "tied": d * (d + 1) // 2,
        "diag": n_components * d,
        "spherical": n_components,
    }[mixture.covariance_type]
    return covariances + n_components * d + n_components - 1


def aic(mixture: Mixture, log_likelihood: float) -> float:
    """Akaike's criterion 2 p - 2 log L, with the rows' summed log-likelihood log L."""
    return float(2 * n_parameters(mixture) - 2 * log_likelihood)


def bic(mixture: Mixture, log_likelihood: float, n_rows: int) -> float:
    """Schwarz's criterion p log n - 2 log L."""
    return float(n_parameters(mixture) * np.log(n_rows) - 2 * log_likelihood)
