"""The parameters of a Gaussian mixture and their statistics: K d^2 numbers, on the host whatever the device.

The passes over the rows are in `mixture.py`; what they add up becomes new parameters here. Everything is float64.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

__all__ = [
    "Mixture",
    "Run",
    "SingularError",
    "digest",
    "empty_sums",
    "from_covariances",
    "from_precisions",
    "kernel_arguments",
    "m_step",
    "merge_sums",
    "run",
]


TINY = 2.0**-970  # a variance below this, some 1e-292, has lost digits, and so has what is computed from it


class Mixture(NamedTuple):
    """K weighted Gaussians in d dimensions, in scikit-learn's shapes.

    `covariances` and `precisions_cholesky` are (K, d, d) for "full", (d, d) for "tied", (K, d) for "diag" and (K,)
    for "spherical". A precision factor U is upper triangular with U U^T = Sigma^-1, or 1 / standard deviation.
    """

    covariance_type: str
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    precisions_cholesky: NDArray[np.float64]


class SingularError(ValueError):
    """A covariance without an inverse: a component collapsed and no `reg_covar` held it."""


class Run(NamedTuple):
    """Where EM stopped: the mixture, the mean log-likelihood before its last step, and how it came there."""

    mixture: Mixture
    lower_bound: float
    n_iter: int
    converged: bool


def from_covariances(covariance_type: str, weights: NDArray, means: NDArray, covariances: NDArray) -> Mixture:
    """The mixture with these covariances; a singular one is a SingularError that names the component."""
    stack = covariances[None] if covariance_type == "tied" else covariances
    if covariance_type in ("diag", "spherical"):
        variances = stack.reshape(len(stack), -1)
        _check_definite(covariance_type, ((variances > TINY) & np.isfinite(variances)).all(axis=1))
        return Mixture(covariance_type, weights, means, covariances, 1 / np.sqrt(covariances))
    try:
        lower = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        lower = np.full(covariances.shape, np.nan)
    if not (np.isfinite(lower).all() and (np.diagonal(lower, axis1=-2, axis2=-1) ** 2 > TINY).all()):
        _check_definite(covariance_type, np.array([_is_definite(one) for one in stack]))
    # one by one: numpy would solve a batch as if it were not triangular
    inverse = [dtrtri(one, lower=1)[0] for one in lower.reshape(-1, *lower.shape[-2:])]
    upper = np.swapaxes(np.reshape(inverse, lower.shape), -1, -2)
    return Mixture(covariance_type, weights, means, covariances, np.ascontiguousarray(upper))


def from_precisions(covariance_type: str, weights: NDArray, means: NDArray, precisions: NDArray) -> Mixture:
    """The mixture with these inverse covariances, the `precisions_init` of a user."""
    if covariance_type in ("diag", "spherical"):
        if (precisions <= 0).any():
            raise ValueError("mixture: precisions_init must be above 0.")
        return from_covariances(covariance_type, weights, means, 1 / precisions)
    # U U^T with U upper triangular is the Cholesky form of the matrix read backwards
    try:
        backwards = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    except np.linalg.LinAlgError:
        raise ValueError("mixture: precisions_init must be symmetric and positive definite matrices.") from None
    upper = np.ascontiguousarray(backwards[..., ::-1, ::-1])
    return Mixture(covariance_type, weights, means, np.linalg.inv(precisions), upper)


def kernel_arguments(mixture: Mixture) -> tuple[NDArray, NDArray, NDArray]:
    """What the passes over the rows take: means (K, d), factors and offsets (K,).

    factors is (K, d, d), lower triangular A with |A (x - mean)|^2 = squared Mahalanobis distance, or (K, d) for
    diagonal covariances; offsets is log weight + log det A - d/2 log 2 pi.
    """
    n_components, d = mixture.means.shape
    factors = mixture.precisions_cholesky
    if mixture.covariance_type in ("full", "tied"):
        factors = np.broadcast_to(np.swapaxes(factors, -1, -2), (n_components, d, d))
        log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    else:
        factors = np.broadcast_to(factors.reshape(n_components, -1), (n_components, d))
        log_det = np.log(factors).sum(axis=1)
    with np.errstate(divide="ignore"):  # a weight of 0 is a component that explains nothing
        offsets = np.log(mixture.weights) + log_det - d / 2 * np.log(2 * np.pi)
    return mixture.means, np.ascontiguousarray(factors), offsets


def digest(means: NDArray, factors: NDArray, offsets: NDArray) -> str:
    """A fingerprint of the parameters under which statistics were taken."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in (means, factors, offsets):
        hashed.update(repr(part.shape).encode())
        hashed.update(np.ascontiguousarray(part, dtype=np.float64).tobytes())
    return hashed.hexdigest()


def empty_sums(means: NDArray, factors: NDArray, offsets: NDArray) -> dict[str, Any]:
    """The statistics of no rows under these parameters.

    Keys: `digest`; `n` rows; `log_likelihood`, summed; and, with responsibilities r and z = x - mean of the component,
    `mass` (K,) = sum r, `first` (K, d) = sum r z, `second` = sum r z z^T (K, d, d), or sum r z^2 (K, d).
    """
    return {
        "digest": digest(means, factors, offsets),
        "n": 0,
        "log_likelihood": 0.0,
        "mass": np.zeros(len(means)),
        "first": np.zeros(means.shape),
        "second": np.zeros(factors.shape),
    }


def merge_sums(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The statistics of the rows of both, which must have been taken under the same parameters."""
    _same_digest("merge_sums", a["digest"], b["digest"])
    return {key: value if key == "digest" else value + b[key] for key, value in a.items()}


def m_step(sums: dict[str, Any], mixture: Mixture, reg_covar: float) -> Mixture:
    """The mixture that maximises the expected log-likelihood, `reg_covar` added to every variance.

    The sums are about the means they were taken under, so Sigma = Q / N - (F / N)(F / N)^T loses no digits once the
    means have settled.
    """
    _same_digest("m_step", digest(*kernel_arguments(mixture)), sums["digest"])
    mass = sums["mass"] + 10 * np.finfo(np.float64).eps  # a component without rows stays where it is
    step = sums["first"] / mass[:, None]
    diagonal = mixture.covariance_type in ("diag", "spherical")
    outer = step**2 if diagonal else step[:, :, None] * step[:, None, :]
    covariances = sums["second"] / mass.reshape(-1, *(1,) * (outer.ndim - 1)) - outer
    weights = mass / mass.sum()
    if mixture.covariance_type == "tied":
        covariances = np.tensordot(weights, covariances, axes=1)
    elif mixture.covariance_type == "spherical":
        covariances = covariances.mean(axis=1)
    covariances = covariances + reg_covar * (1.0 if diagonal else np.eye(step.shape[1]))
    return from_covariances(mixture.covariance_type, weights, mixture.means + step, covariances)


def run(
    pass_over: Callable[[NDArray, NDArray, NDArray], dict[str, Any]],
    mixture: Mixture,
    n_rows: int,
    reg_covar: float,
    tol: float,
    max_iter: int,
    verbose: bool = False,
) -> Run:
    """EM from `mixture` until the mean log-likelihood changes by less than `tol`, at most `max_iter` times.

    `pass_over(means, factors, offsets)` returns the statistics of all rows under these parameters, wherever the rows
    are: it is called once per iteration, and must give the same `n_rows` rows each time.
    """
    lower_bound = -np.inf
    log_level = logging.INFO if verbose else logging.DEBUG
    for iteration in range(1, max_iter + 1):
        sums = pass_over(*kernel_arguments(mixture))
        if sums["n"] != n_rows:
            raise ValueError(
                f"EM: a pass over the rows gave {sums['n']} of {n_rows}; every pass must give the same rows. A "
                "generator is empty the second time: give a function that makes a new one."
            )
        before, lower_bound = lower_bound, sums["log_likelihood"] / n_rows
        if not np.isfinite(lower_bound):
            raise ValueError(
                f"EM: the mean log-likelihood of {n_rows} rows is {lower_bound}: some are further from every component "
                "than float64 can square. Scale the columns, or start nearer to the data."
            )
        mixture = m_step(sums, mixture, reg_covar)
        logging.getLogger("odkit").log(log_level, "EM iteration %d: mean log-likelihood %.6f", iteration, lower_bound)
        if abs(lower_bound - before) < tol:
            return Run(mixture, lower_bound, iteration, True)
    return Run(mixture, lower_bound, max_iter, False)


def _is_definite(matrix: NDArray) -> bool:
    try:
        lower = np.linalg.cholesky(matrix)
        return bool(np.isfinite(lower).all() and (np.diagonal(lower) ** 2 > TINY).all())
    except np.linalg.LinAlgError:
        return False


def _check_definite(covariance_type: str, definite: NDArray[np.bool_]) -> None:
    if definite.all():
        return
    bad = ", ".join(str(k) for k in np.flatnonzero(~definite))
    raise SingularError(
        f"mixture: {'the shared covariance' if covariance_type == 'tied' else f'the covariance of component {bad}'} is "
        "singular or not finite: the component has collapsed, or squares of the values leave the range of float64. "
        "Raise reg_covar, lower n_components, scale the columns to similar units, or drop duplicated rows and constant "
        "columns."
    )


def _same_digest(who: str, mine: str, given: str) -> None:
    if mine != given:
        raise ValueError(
            f"{who}: statistics of different parameters, digests {mine} and {given}. Take the statistics of all parts "
            "under the same mixture before they are added."
        )
