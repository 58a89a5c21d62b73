"""Scores and reasons as free functions: they take any detector, alone or at the end of a pipeline."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["anomaly_score", "expected", "explain", "last_step"]


def last_step(detector: Any) -> Any:
    """The detector itself, also at the end of a pipeline."""
    return detector[-1] if isinstance(detector, Pipeline) else detector


def anomaly_score(detector: Any, X: ArrayLike) -> NDArray[np.float64]:
    """Anomaly score of each row: `-detector.score_samples(X)`, higher = more anomalous.

    Parameters
    ----------
    detector : fitted outlier detector of odkit or scikit-learn, or a Pipeline that ends in one
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_samples,), float64, in the detector's own unit

    Raises
    ------
    TypeError
        If the detector has no `score_samples`.

    Examples
    --------
    >>> from odkit import ECOD, anomaly_score
    >>> detector = ECOD().fit([[1.0], [2.0], [2.0], [3.0], [10.0]])
    >>> anomaly_score(detector, [[2.0], [10.0], [50.0]]).round(3)
    array([ 0.511,  1.609, 13.917])
    """
    if not hasattr(detector, "score_samples"):
        raise TypeError(
            f"anomaly_score: {type(detector).__name__} has no score_samples; "
            "give a fitted outlier detector or a pipeline that ends in one"
        )
    return -np.asarray(detector.score_samples(X), dtype=np.float64)


def explain(detector: Any, X: ArrayLike) -> NDArray[np.float64]:
    """Contribution of each feature to each row's anomaly score, as the detector's own `explain` defines it.

    Through a pipeline the rows pass its transformers first. The answer is about the original columns only where every
    transformer keeps them, in place and under their names (scalers, imputers); `get_feature_names_out` tells.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    TypeError
        If the detector has no `explain`, or a transformer of the pipeline mixes columns (PCA) or drops some.
    """
    if isinstance(detector, Pipeline):
        check_is_fitted(detector)
        for _, step in detector.steps[:-1]:
            if step is None or step == "passthrough":
                continue
            if not _keeps_columns(step):
                raise TypeError(
                    f"explain: {type(step).__name__} mixes columns or does not say that it keeps them, so parts of "
                    "the score belong to no single input feature; explain the last step on the transformed rows"
                )
            X = step.transform(X)
        detector = detector.steps[-1][1]
    if not hasattr(detector, "explain"):
        raise TypeError(f"explain: {type(detector).__name__} gives no contributions per feature")
    return np.asarray(detector.explain(X), dtype=np.float64)


def expected(detector: Any, X: ArrayLike) -> NDArray[np.float64]:
    """What the model would have found normal in every cell of X, given the row, in the units of X.

    A detector's `expected` says what that is: the training median (ECOD), the value predicted from the row's other
    features (Mahalanobis, GMM), the neighbours' mean (KNN), the reconstruction (AutoEncoder). Through a pipeline the
    answer goes back through `inverse_transform` of every step.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    TypeError
        If the detector has no `expected`, or a step of the pipeline no `inverse_transform`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from odkit import ECOD, expected
    >>> X = np.array([[1.0, 200], [2, 300], [3, 400], [4, 500], [50, 600]])
    >>> expected(make_pipeline(StandardScaler(), ECOD()).fit(X), [[7.0, 100]])
    array([[  3., 400.]])
    """
    if not isinstance(detector, Pipeline):
        if not hasattr(detector, "expected"):
            raise TypeError(f"expected: {type(detector).__name__} does not say what it would have found normal")
        return np.asarray(detector.expected(X), dtype=np.float64)
    check_is_fitted(detector)
    steps = [step for _, step in detector.steps[:-1] if step not in (None, "passthrough")]
    for step in steps:
        if not hasattr(step, "inverse_transform"):
            raise TypeError(f"expected: the step {type(step).__name__} has no inverse_transform to go back through")
        X = step.transform(X)
    values = expected(detector.steps[-1][1], X)
    for step in reversed(steps):
        values = step.inverse_transform(values)
    return np.asarray(values, dtype=np.float64)


def _keeps_columns(step: Any) -> bool:
    names_out = getattr(step, "get_feature_names_out", None)
    names_in = getattr(step, "feature_names_in_", None)
    if names_in is None:
        names_in = [f"x{j}" for j in range(getattr(step, "n_features_in_", 0))]
    return names_out is not None and list(names_out()) == list(names_in)
