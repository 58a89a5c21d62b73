"""The one door to the names of scikit-learn that are private or have moved between releases.

Whoever needs one of them imports it from here, so that a new release of scikit-learn is one file of work.
"""

from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.utils import validation
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, StrOptions
from sklearn.utils.validation import validate_data

__all__ = ["HasMethods", "Hidden", "Interval", "StrOptions", "check_is_fitted", "fit_context", "validate_data"]


def check_is_fitted(estimator: Any) -> None:
    """scikit-learn's check; the error has the estimator's own words where it knows what it waits for."""
    validation.check_is_fitted(estimator, msg=getattr(estimator, "_waits_for", None))
