"""Reasons as data: which features make a row anomalous, in which direction, how much, and what would be normal.

`reasons` asks the model itself where it can (`explain` and `expected` of `odkit.scores`); `shapley` answers for any
other detector by trying: it costs score evaluations, and says how many.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement

from odkit.scores import anomaly_score, expected, explain, last_step

__all__ = ["reasons", "shapley"]

CHUNK = 65_536  # rows scored at once by `shapley`


def shapley(
    detector: Any, X: ArrayLike, background: ArrayLike, *, budget: int = 2048, random_state: Any = None
) -> NDArray[np.float64]:
    """Contributions for any detector, by trying: Shapley values of the anomaly score against background rows.

    For a random background row and a random order of the features, the features are turned from the background's value
    to the row's, one by one; the rise of the score at a turn is that feature's contribution. Orders come in pairs with
    their reverse, which halves the noise of features that act in pairs. The average over background rows and orders is
    the Shapley value (Castro et al., 2009). Rows sum to the row's score minus the mean score of the background rows
    drawn for it, whatever the budget.

    Parameters
    ----------
    detector : fitted outlier detector or pipeline with score_samples
    X : array-like of shape (n_samples, n_features)
        Rows to explain.
    background : array-like of shape (n_background, n_features)
        Ordinary rows, such as a sample of the training rows.
    budget : int, default=2048
        Score evaluations per row; at least 2 (n_features + 1). The error falls with its square root.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    ndarray of shape (n_samples, n_features), in the unit of the anomaly score

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import ECOD
    >>> from odkit.explanations import shapley
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> shapley(ECOD().fit(X), [[0.0, 9.0, 0.0]], X, random_state=0).argmax()
    np.int64(1)
    """
    X, background = np.asarray(X, dtype=np.float64), np.asarray(background, dtype=np.float64)
    if X.ndim != 2 or background.ndim != 2 or X.shape[1] != background.shape[1] or len(background) == 0:
        raise ValueError(
            f"shapley: X {X.shape} and background {background.shape} must be 2-D with the same columns, "
            "and the background not empty"
        )
    n_features = X.shape[1]
    pairs = budget // (2 * (n_features + 1))
    if pairs < 1:
        raise ValueError(
            f"shapley: budget={budget} is less than one pair of orders, {2 * (n_features + 1)} evaluations"
        )
    random = check_random_state(random_state)
    names = getattr(detector, "feature_names_in_", None)  # without them scikit-learn warns at every call
    values = np.empty(X.shape)
    for i, row in enumerate(X):
        orders = np.array([random.permutation(n_features) for _ in range(pairs)])
        orders = np.concatenate([orders, orders[:, ::-1]])
        drawn = sample_without_replacement(len(background), min(pairs, len(background)), random_state=random)
        start = np.tile(background[np.resize(drawn, pairs)], (2, 1))  # every row once before any row twice
        turn = np.empty_like(orders)  # step at which a feature takes the row's value
        np.put_along_axis(turn, orders, np.arange(n_features), axis=1)
        walk = np.where(turn[:, None, :] < np.arange(n_features + 1)[:, None], row, start[:, None, :])
        flat = walk.reshape(-1, n_features)
        named = flat if names is None else pd.DataFrame(flat, columns=names)
        scores = np.concatenate([anomaly_score(detector, named[at : at + CHUNK]) for at in range(0, len(flat), CHUNK)])
        rises = np.diff(scores.reshape(len(orders), -1), axis=1)
        values[i] = np.take_along_axis(rises, turn, axis=1).mean(axis=0)
    return values


def reasons(
    detector: Any,
    X: Any,
    *,
    top: int = 3,
    background: ArrayLike | None = None,
    budget: int = 2048,
    random_state: Any = None,
) -> pd.DataFrame:
    """The top features behind each row's score, one line per row and feature.

    Parameters
    ----------
    detector : fitted outlier detector or pipeline
    X : DataFrame or array-like of shape (n_samples, n_features)
        Rows to explain, best only those of interest.
    top : int >= 1, default=3
        Features per row: those with the largest positive contributions, fewer where fewer are positive.
    background : array-like of shape (n_background, n_features), default=None
        Ordinary rows. Needed for detectors without `explain`, which are then explained by `shapley` with `budget`
        evaluations a row; its column medians stand in for `expected` where the detector does not give that.

    Returns
    -------
    pandas.DataFrame with columns
        `row` (index label of X), `rank` (1 = largest), `feature`, `value`, `expected`, `direction` ('high', 'low' or
        'equal', of value against expected; missing where nothing is expected), `contribution` (unit of the anomaly
        score) and `share` (of the row's positive contributions)

    Examples
    --------
    >>> import pandas as pd
    >>> from odkit import ECOD, reasons
    >>> X = pd.DataFrame({"volt": [230.0, 231, 229, 230, 232], "ampere": [5.0, 4, 5, 6, 5]})
    >>> today = pd.DataFrame({"volt": [230.0], "ampere": [0.5]}, index=["mon"])
    >>> reasons(ECOD().fit(X), today, top=1).round(2)
       row  rank feature  value  expected direction  contribution  share
    0  mon     1  ampere    0.5       5.0       low          4.41    0.9
    """
    if top < 1:
        raise ValueError(f"reasons: top={top}; at least 1 feature per row must be asked for")
    names = [str(name) for name in getattr(X, "columns", range(np.shape(X)[1]))]
    index = X.index if isinstance(X, pd.DataFrame) else range(np.shape(X)[0])
    values = np.asarray(X, dtype=np.float64)
    rows = X if hasattr(detector, "feature_names_in_") else values  # names where none were learnt make a warning
    parts = _contributions(detector, rows, values, background, budget, random_state)
    usual = _usual(detector, rows, values, background)
    positive = np.maximum(parts, 0)
    share = positive / np.maximum(positive.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    lines = []
    for i, label in enumerate(index):
        order = [j for j in np.argsort(-positive[i], kind="stable")[:top] if positive[i, j] > 0]
        for rank, j in enumerate(order, 1):
            value, normal = values[i, j], usual[i, j]
            direction = None if np.isnan(value - normal) else ("equal", "high", "low")[int(np.sign(value - normal))]
            lines.append((label, rank, names[j], value, normal, direction, parts[i, j], share[i, j]))
    columns = ["row", "rank", "feature", "value", "expected", "direction", "contribution", "share"]
    return pd.DataFrame(lines, columns=columns)


def _contributions(
    detector: Any, X: Any, values: NDArray, background: ArrayLike | None, budget: int, random_state: Any
) -> NDArray:
    last = last_step(detector)
    if hasattr(last, "explain"):
        return explain(detector, X)
    if background is None:
        raise TypeError(
            f"reasons: {type(last).__name__} does not explain its scores; give ordinary rows as background "
            "and it is explained by trying (Shapley sampling)"
        )
    return shapley(detector, values, background, budget=budget, random_state=random_state)


def _usual(detector: Any, X: Any, values: NDArray, background: ArrayLike | None) -> NDArray:
    last = last_step(detector)
    if hasattr(last, "expected"):
        return expected(detector, X)
    if background is None:
        return np.full(values.shape, np.nan)
    return np.broadcast_to(np.median(np.asarray(background, dtype=np.float64), axis=0), values.shape)
