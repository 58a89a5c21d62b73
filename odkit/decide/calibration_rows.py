"""Which rows calibrate which model, and what a user's functions say of rows: their weights and their groups."""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

__all__ = ["held_out_parts", "row_groups", "row_weights"]


def held_out_parts(
    n: int, method: str, calibration_size: float, n_folds: int, random: np.random.RandomState
) -> list[tuple[NDArray, NDArray]]:
    """(rows to fit on, rows to calibrate on) of every model; the parameters are those of `Conformal`."""
    if method == "loo":
        return [(np.arange(n), np.arange(n))]
    if method == "split":
        size = calibration_size
        held = int(size) if isinstance(size, Integral) else max(1, round(float(size) * n))
        if held >= n:
            raise ValueError(f"Conformal: calibration_size={size} of n_samples={n} leaves no row to fit on")
        order = random.permutation(n)
        return [(np.sort(order[held:]), np.sort(order[:held]))]
    folds = n if method == "jackknife+" else min(n_folds, n)
    return list(KFold(folds, shuffle=True, random_state=random).split(np.empty(n)))


def row_weights(function: Callable[[NDArray], NDArray] | None, X: NDArray) -> NDArray[np.float64]:
    """The density ratio of each row, (n,); 1 where there is no function."""
    if function is None:
        return np.ones(X.shape[0])
    weights = np.asarray(function(X), dtype=np.float64)
    if weights.shape != (X.shape[0],) or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"Conformal: weight must give one positive number per row, gave shape {weights.shape}")
    return weights


def row_groups(function: Callable[[NDArray], NDArray] | None, X: NDArray) -> NDArray:
    """The label of each row, (n,); 0 where there is no function."""
    if function is None:
        return np.zeros(X.shape[0], np.int64)
    groups = np.asarray(function(X))
    if groups.shape != (X.shape[0],):
        raise ValueError(f"Conformal: group must give one label per row, gave shape {groups.shape}")
    missing = groups != groups  # NaN and NaT
    if groups.dtype == object:
        missing |= groups == np.array(None)
    if missing.any():
        raise ValueError("Conformal: group gave a missing label (None or NaN); give such rows a label of their own")
    if groups.dtype == object:
        try:
            np.unique(groups)
        except TypeError:
            kinds = ", ".join(sorted({type(label).__name__ for label in groups}))
            raise ValueError(
                f"Conformal: group gave labels that have no order among them, of types {kinds}; give labels of one type"
            ) from None
    return groups
