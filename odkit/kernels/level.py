"""One Gaussian from rows to squared distances, on the backend it is given: what rows and levels of features share.

`gather` blocks of rows into states, `merge` states, `fit` a `Level`, then score rows by `distance_sq`, `left_out_sq`
and `contributions`. Levels are read-only numpy on the host; k is what `kernels.on(device)` returned.
"""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels import Backend
from odkit.kernels.cpu import shrinkage as algebra
from odkit.kernels.cpu.moments import column_moments, merge_moments
from odkit.kernels.spread import ROUNDING, check_range, lacks

__all__ = [
    "Level",
    "check",
    "check_options",
    "check_pair",
    "conditional_means",
    "contributions",
    "distance_sq",
    "fit",
    "gather",
    "gradient",
    "left_out_sq",
    "merge",
]


class Level(NamedTuple):
    """A shrunken covariance of rank r over d columns around its mean; notation of `odkit.kernels.cpu.gaussian`."""

    location: NDArray[np.float64]  # (d,)
    components: NDArray[np.float64] | None  # (r, d); None: the columns themselves, r = d
    eigenvalues: NDArray[np.float64]  # (r,), divisor n
    weights: NDArray[np.float64]  # (r,), inf where ignored
    floor: float  # inf where ignored or r = d
    shrinkage: float  # share of the identity
    logdet: float
    n_directions: int  # that count
    whitener: NDArray[np.float64] | None  # (d, d) triangle, where every direction has a weight


def check(level: Any, d: int) -> None:
    """Refuse what is no Gaussian over d columns: the state of a model file may be anything.

    Raises
    ------
    ValueError
        Naming the field.
    """
    if not isinstance(level, Level):
        raise ValueError(f"covariance: a Level is needed, a {type(level).__name__} was given")
    rank = d if level.components is None else len(np.atleast_1d(level.components))
    shapes: dict[str, tuple[int, ...]] = {"location": (d,), "eigenvalues": (rank,), "weights": (rank,)}
    shapes |= {"components": (rank, d)} if level.components is not None else {}
    shapes |= {"whitener": (d, d)} if level.whitener is not None else {}
    for name, shape in shapes.items():
        array = np.asarray(getattr(level, name))
        if array.shape != shape or array.dtype != np.float64 or np.isnan(array).any():
            raise ValueError(f"covariance: {name} must be float64 of shape {shape}, is {array.dtype} {array.shape}")
    if not (min(level.weights.min(), level.floor) > 0 and np.isfinite(level.logdet) and 0 <= level.shrinkage <= 1):
        raise ValueError("covariance: weights and floor must be positive, logdet finite, shrinkage within [0, 1]")


def check_options(who: str, shrinkage: Any, subspace: Any) -> None:
    """Refuse what `fit` cannot take, on behalf of a detector of this name."""
    check_pair(who, "shrinkage", shrinkage, ("ridge",), np.inf)
    check_pair(who, "subspace", subspace, ("pca", "npca"), 1.0)
    if subspace is not None and shrinkage == "diag":
        raise ValueError(f"{who}: shrinkage='diag' knows no components, so subspace must be None")


def check_pair(who: str, name: str, value: Any, kinds: tuple[str, ...], most: float) -> None:
    """Refuse a tuple that is no pair of one of these words and a number in (0, most]."""
    if isinstance(value, tuple) and not (
        len(value) == 2 and value[0] in kinds and isinstance(value[1], Real) and 0 < float(value[1]) <= most
    ):
        allowed = f"a pair of {' or '.join(map(repr, kinds))} and a number in (0, {most:g}]"
        raise ValueError(f"{who}: {name}={value!r} is not {allowed}")


@np.errstate(over="ignore", invalid="ignore")  # `fit` names what overflowed
def gather(k: Backend, X: NDArray, *, diagonal: bool = False) -> dict[str, Any]:
    """State of a block of rows: up to 2 d of them the rows themselves, exact and no larger, then their sums."""
    if diagonal:
        return column_moments(X)
    return {"rows": np.array(X)} if len(X) <= 2 * X.shape[1] else _moments(k, X)


@np.errstate(over="ignore", invalid="ignore")
def merge(k: Backend, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """State of two states together; neither is changed."""
    if "rows" in a and "rows" in b:
        return gather(k, np.concatenate([a["rows"], b["rows"]]))
    return merge_moments(*(_moments(k, state["rows"]) if "rows" in state else state for state in (a, b)))


@np.errstate(over="ignore", invalid="ignore")
def fit(
    k: Backend,
    state: dict[str, Any],
    *,
    shrinkage: str | float | tuple[str, float] = "ledoit_wolf",
    subspace: tuple[str, float] | None = None,
    keep_null: bool = True,
) -> Level:
    """The Gaussian of a state. Ledoit-Wolf in a subspace needs a state of rows, however many: {"rows": X}.

    Raises
    ------
    ValueError
        For fewer than two rows, rows that are all equal, and values whose fourth powers leave the range of float64.
    """
    rows = state.get("rows")
    n, d = (state["n"], len(state["mean"])) if rows is None else rows.shape
    if lack := lacks(state):
        raise ValueError(f"covariance: {lack}")
    if shrinkage == "diag":
        return _fit_columns(state)
    if rows is not None and n <= 2 * d:
        *arrays, fourth = k.gaussian.row_spectrum(k.array(rows))
        location, eigenvalues, components = map(k.numpy, arrays)
        check_range(fourth)
    else:
        sums = state if rows is None else _moments(k, rows)
        location, fourth = sums["mean"], sums["fourth"]
        check_range(fourth)
        eigenvalues, components = map(k.numpy, k.gaussian.scatter_spectrum(k.array(sums["scatter"]), n))
    used, complement = algebra.subspace(eigenvalues, d, subspace, keep_null)
    if subspace is not None and shrinkage == "ledoit_wolf":
        plain = Level(location, components, eigenvalues, used, complement, 0.0, 0.0, 0, None)
        fourth = float(np.square(distance_sq(k, plain, state["rows"])).sum())
    shrunken = algebra.shrink(eigenvalues, d, n, shrinkage, float(fourth), used, complement)
    return _level(location, components, eigenvalues, shrunken)


def distance_sq(k: Backend, level: Level, X: NDArray) -> NDArray[np.float64]:
    """Squared Mahalanobis distance of each row of X (n, d), shape (n,)."""
    rows, location = k.array(X), k.state(level.location)
    if level.whitener is not None:
        return k.numpy(k.gaussian.mahalanobis_sq(rows, location, k.state(level.whitener)))
    components = None if level.components is None else k.state(level.components)
    return k.numpy(k.gaussian.lowrank_distance(rows, location, components, k.state(level.weights), level.floor))


def left_out_sq(k: Backend, level: Level, X: NDArray, n: int) -> NDArray[np.float64]:
    """Squared distance of training rows X, each under the model of the other n - 1 rows, the shrinkage being kept."""
    if level.components is None:
        return algebra.leave_one_out_columns(X, level.location, level.weights, n)
    weights = algebra.leave_one_out_weights(level.eigenvalues, level.weights, level.shrinkage, n)
    inflated = level._replace(weights=weights, whitener=algebra.whitener(level.components, weights))
    return algebra.leave_one_out(distance_sq(k, inflated, X), level.shrinkage, n)


@np.errstate(over="ignore")  # far beyond: inf
def contributions(k: Backend, level: Level, X: NDArray, kind: str) -> NDArray[np.float64]:
    """Part of each feature in the squared distance of each row, (n, d).

    With z = x - location and g = precision z: "share" is z_j g_j, rows sum to the squared distance; "conditional" is
    g_j^2 / precision_jj, what the squared distance falls by when feature j is taken out.
    """
    product = _precision_product(k, level, X)
    if kind == "share":
        return (X - level.location) * product
    precision = algebra.precision_diagonal(level.components, level.weights, level.floor)
    return np.divide(product**2, precision, out=np.zeros(X.shape), where=precision > 0)


def gradient(k: Backend, level: Level, X: NDArray) -> NDArray[np.float64]:
    """Gradient of the squared distance at each row of X, (n, d): 2 precision (x - location)."""
    return 2 * _precision_product(k, level, X)


def conditional_means(k: Backend, level: Level, X: NDArray) -> NDArray[np.float64]:
    """Expected value of each feature given the other features of its row, (n, d): x_j - g_j / precision_jj."""
    precision = algebra.precision_diagonal(level.components, level.weights, level.floor)
    product = _precision_product(k, level, X)
    return X - np.divide(product, precision, out=X - level.location, where=precision > 0)


def _precision_product(k: Backend, level: Level, X: NDArray) -> NDArray[np.float64]:
    arrays = (level.location, level.components, level.weights)
    location, components, weights = (None if a is None else k.state(a) for a in arrays)
    return k.numpy(k.gaussian.precision_product(k.array(X), location, components, weights, level.floor))


def _moments(k: Backend, X: NDArray) -> dict[str, Any]:
    return {name: value if name == "n" else k.numpy(value) for name, value in k.moments.moments(k.array(X)).items()}


def _fit_columns(state: dict[str, Any]) -> Level:
    """Diagonal covariance; constant columns are ignored."""
    location, variances = state["mean"], state["scatter"] / state["n"]
    check_range(float(variances @ variances))
    variances = np.where(np.sqrt(variances) > ROUNDING * np.abs(location), variances, np.inf)
    kept = np.isfinite(variances)
    shrunken = algebra.Shrunken(variances, np.inf, 0.0, float(np.log(variances[kept]).sum()), int(kept.sum()))
    return _level(location, None, variances, shrunken)


def _level(location: NDArray, components: NDArray | None, eigenvalues: NDArray, fitted: algebra.Shrunken) -> Level:
    whitener = algebra.whitener(components, fitted.weights)
    for array in (location, components, eigenvalues, fitted.weights, whitener):
        if array is not None:
            array.flags.writeable = False  # fitted state: a device keeps its copy as long as the array lives
    return Level(
        location,
        components,
        eigenvalues,
        fitted.weights,
        fitted.floor,
        fitted.delta,
        fitted.logdet,
        fitted.dims,
        whitener,
    )
