"""Labels of known things: which there are, and whether all rows have one."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["known_classes"]


def known_classes(y: NDArray, who: str) -> tuple[NDArray, NDArray[np.intp]]:
    """The sorted classes of the labels y (n,), and the number of each label among them (n,).

    Raises
    ------
    ValueError
        For missing labels (NaN, None, NA, NaT), which are no class, and for labels of several kinds.
    """
    try:
        classes, numbers = np.unique(y, return_inverse=True)
        gaps = [label for label in classes.tolist() if label is None or bool(label != label)]
    except TypeError:  # words beside numbers or None have no order, NA has no truth
        kinds = ", ".join(sorted({type(label).__name__ for label in y.tolist()}))
        raise ValueError(
            f"{who}: labels y of kinds {kinds}; one kind is needed and none may be missing: leave out rows without a "
            "label, or make all labels str"
        ) from None
    if gaps:
        raise ValueError(f"{who}: labels y with {gaps[0]}, which is no class; leave out rows without a label")
    return classes, numbers
