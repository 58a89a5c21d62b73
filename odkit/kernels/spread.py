"""Whether rows have a spread to measure distances by, and one that float64 can square twice."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROUNDING", "check_range", "lacks"]

ROUNDING = 4 * np.finfo(np.float64).eps  # a spread below this share of the values is rounding
NO_SQUARE = 1e-154  # squares of smaller numbers are subnormal or 0


def lacks(state: dict[str, Any]) -> str:
    """Why a state of `odkit.kernels.level` makes no Gaussian yet, "" if it makes one.

    It has fewer than two rows, or rows that are all equal; merged with others it may do.
    """
    rows = state.get("rows")
    n, location = (state["n"], state["mean"]) if rows is None else (len(rows), rows.mean(axis=0, dtype=np.float64))
    if n < 2:
        return f"a Gaussian needs two rows or more, n_samples={n} was given"
    with np.errstate(over="ignore", invalid="ignore"):
        if rows is not None:
            squares = float(np.square(rows - location).sum())
        else:
            squares = float(state["scatter"].sum() if state["scatter"].ndim == 1 else state["scatter"].trace())
    return _equal(location, squares / n)


def check_range(fourth: float) -> None:
    """`fourth` is the largest power of the values that is used."""
    if not 0 < fourth < np.inf:
        raise ValueError(
            f"covariance: fourth powers of the values leave the range of float64 (they sum to {float(fourth):g}); "
            "rescale the columns"
        )


def _equal(location: NDArray, variance: float) -> str:
    """What to say of rows without a spread, "" if they have one; `variance` is the total one."""
    largest = np.abs(location).max()
    if not np.sqrt(variance / len(location)) <= ROUNDING * largest:
        return ""
    if largest < NO_SQUARE:
        return (
            f"all rows are equal, or their spread is below {NO_SQUARE:g} and its square vanishes in float64; rescale "
            "the columns, or give rows that differ"
        )
    return "all rows are equal, so no direction has a spread to measure distances by"
