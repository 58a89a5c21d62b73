"""Location and scale of columns, and which of them are constant."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_scales", "scales_fit"]

SAME = 1e-12  # a spread below this part of the largest value is rounding
IQR_OF_NORMAL = 1.349  # interquartile range of a normal distribution in standard deviations


def column_scales(X: NDArray, scaling: str | None) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray]:
    """Location and scale of each column, and the mask of constant columns.

    Parameters
    ----------
    X : ndarray of shape (n, d), finite
    scaling : {"standard", "robust", None}
        Mean and standard deviation (divisor n - 1); median and IQR / 1.349, the standard deviation where the IQR is
        0; 0 and 1.

    Returns
    -------
    location, scale : ndarrays of shape (d,), float64
    constant : ndarray of shape (d,), bool
        Standard deviation at most 1e-12 times the largest absolute value. Such a column has its first value as
        location and the scale 1, under every scaling.
    """
    n, d = X.shape
    location, scale = np.zeros(d), np.ones(d)
    constant = np.zeros(d, dtype=bool)
    for j in range(d):
        column = X[:, j].astype(np.float64)
        largest = float(np.abs(column).max())
        _, exponent = np.frexp(largest)
        column = np.ldexp(column, -exponent)  # exact, and no square of it can overflow or vanish
        spread = float(column.std(ddof=1)) if n > 1 else 0.0
        constant[j] = spread <= SAME * np.ldexp(largest, -exponent) or np.ldexp(spread, exponent) == 0
        if constant[j]:
            location[j] = X[0, j]
        elif scaling == "standard":
            location[j], scale[j] = np.ldexp([column.mean(), spread], exponent)
        elif scaling == "robust":
            low, middle, high = np.percentile(column, [25, 50, 75])
            width = (high - low) / IQR_OF_NORMAL
            location[j], scale[j] = np.ldexp([middle, width if width > 0 else spread], exponent)
    return location, scale, constant


def scales_fit(location: NDArray, scale: NDArray, d: int) -> bool:
    """Whether a stored location and scale are those of d columns: finite float64, every scale above 0."""
    fine = all(isinstance(a, np.ndarray) and (a.shape, a.dtype) == ((d,), np.float64) for a in (location, scale))
    return fine and bool(np.isfinite(location).all() and np.isfinite(scale).all() and (scale > 0).all())
