"""Warnings that point at whoever called the package, however deep in it they arise."""

import sys
import warnings

__all__ = ["warn"]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning whose place is the first line outside of odkit and scikit-learn, whose `fit_transform` and the like
    may lie between; a line of odkit would say nothing, and a filter by place would hide the warnings of all callers.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] in ("odkit", "sklearn"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
