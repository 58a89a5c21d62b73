"""The one door to the names of scikit-learn that are private or have moved between releases.

Whoever needs one of them imports it from here, so that a new release of scikit-learn is one file of work.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["HasMethods", "Hidden", "Interval", "StrOptions", "check_is_fitted", "fit_context", "validate_data"]
