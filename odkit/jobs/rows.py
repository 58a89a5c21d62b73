"""Which rows a detector takes: the questions that files in memory and files in parts must answer alike."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from odkit.scores import last_step
from odkit.series.base import is_series
from odkit.words import listed

__all__ = ["NAN", "good_rows"]

NAN = ("error", "null")  # what becomes of rows with missing or infinite values


def good_rows(name: str, detector: Any, X: pd.DataFrame, *, nan: str) -> NDArray[np.bool_]:
    """The rows of X, read from the file `name` and labelled by their numbers in it, that the detector takes.

    Raises
    ------
    ValueError
        If there are others and `nan` is "error", or the rows are steps of a series.
    """
    matrix = X.to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):
            return np.ones(len(X), bool)
    bad = np.isinf(matrix) if _takes_nan(detector) else ~np.isfinite(matrix)
    good = ~bad.any(axis=1)
    if nan == "error" and not good.all():
        names = X.columns[bad.any(axis=0)].tolist()
        neutral = "nan_policy" in last_step(detector).get_params()
        raise ValueError(
            f"{name}: {(~good).sum():,} of {len(X):,} rows have missing or infinite values, in column"
            f"{'s' * (len(names) > 1)} {listed(names)} (the first is row {X.index[np.argmin(good)]}, counted from 0); "
            "mend them, or say --nan null to leave such rows without a score"
            + " or --param nan_policy=neutral to judge them by their other columns"
            * neutral
        )
    if not good.all() and is_series(detector):
        raise ValueError(f"{name}: a series with steps left out is another series; fill the gaps instead")
    return good


def _takes_nan(detector: Any) -> bool:
    """Whether missing values can be handed in: an imputer stops them, a scaler passes them on."""
    for step in [step for _, step in detector.steps] if isinstance(detector, Pipeline) else [detector]:
        if type(step).__name__ == "SimpleImputer":  # importing the class costs as much as scoring 10,000 rows
            return True
        if step not in (None, "passthrough") and not get_tags(step).input_tags.allow_nan:
            return False
    return True
