"""Scores as a table beside the table they belong to: same kind of frame, same index, same row order."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit._sklearn import check_is_fitted
from odkit.base import Detector
from odkit.frame_kinds import Table, open_table
from odkit.scores import explain, last_step
from odkit.series.base import check_clock
from odkit.words import instead, listed

__all__ = ["score_frame"]


def score_frame(
    detector: Any,
    frame: Any,
    *,
    keys: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    top: int = 0,
) -> Any:
    """Score the rows of a frame and return a frame of the same kind, with the same index and row order.

    Parameters
    ----------
    detector : fitted outlier detector of odkit or scikit-learn, or a Pipeline that ends in one
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, an object with `__arrow_c_stream__`, or ndarray
        Rows to score. The detector's columns are picked by name, so their order in the frame does not matter. For a
        detector fitted without names they are all columns that are neither in `keys` nor in `ignore`, as they stand.
        They must hold numbers or booleans; missing values become NaN, for the detector to accept or to refuse.
    keys : column name or names, optional
        Columns that are carried over unchanged, in front. A key named `is_outlier` (the truth, where it is known)
        arrives as `truth_is_outlier`.
    ignore : column name or names, optional
        Columns to leave out. A column that the detector does not know and that neither list names is an error.
    top : int, default=0
        Number of reasons per row: the features with the largest positive contributions in the detector's `explain`.

    Returns
    -------
    frame
        pandas in, pandas out, index kept; polars in, polars out; Arrow in any form in, pyarrow.Table out; ndarray in,
        pandas out. After the keys it has the columns

        - `anomaly_score` : float64, higher = more anomalous
        - `is_outlier` : bool, what `predict` says at the detector's threshold
        - `p_value` : float64, for detectors that have `p_values`
        - `top_1`, `top_1_share`, `top_2`, ... : a feature, and its contribution divided by the sum of the row's
          positive contributions. A row with fewer than `top` positive contributions has a missing name and share 0.

    Raises
    ------
    ValueError
        If columns are missing, unknown, repeated or not numeric; the message names them.
    TypeError
        If `frame` is none of the kinds above, or `top` is asked of a detector that does not explain.

    Examples
    --------
    >>> import pandas as pd
    >>> from odkit import ECOD, score_frame
    >>> usual = pd.DataFrame({"volt": [230.0, 231, 229, 230, 232], "ampere": [5.0, 4, 5, 6, 5]})
    >>> today = pd.DataFrame({"volt": [230.0, 229, 390], "ampere": [5.0, 9, 5]}, index=["mon", "tue", "wed"])
    >>> score_frame(ECOD().fit(usual), today, top=1).round(2)
         anomaly_score  is_outlier   top_1  top_1_share
    mon           0.73       False    volt         0.70
    tue           5.62        True  ampere         0.71
    wed          51.83        True    volt         1.00
    """
    check_is_fitted(detector)
    if not isinstance(top, Integral) or isinstance(top, bool) or top < 0:
        raise ValueError(f"score_frame: top={top!r}; a number of reasons, 0 or more, is needed")
    check_clock(detector, frame)
    table = open_table(frame, detector)
    carried = _names("keys", keys, table.columns)
    features = _features(detector, table.columns, carried, _names("ignore", ignore, table.columns))
    X: Any = _matrix(table, features)
    if hasattr(detector, "feature_names_in_") and not isinstance(frame, np.ndarray):
        X = pd.DataFrame(X, columns=features, copy=False)
    result = _score(detector, X, features, top)
    keyed = {"truth_is_outlier" if name == "is_outlier" else name: table.column(name) for name in carried}
    clash = sorted(set(keyed) & set(result)) + ["truth_is_outlier"] * (len(keyed) < len(set(carried)))
    if clash:
        raise ValueError(
            f"score_frame: the key {clash[0]!r} has the name of a column of the result; rename it in the frame"
        )
    return table.build({**keyed, **result})


def _score(detector: Any, X: Any, features: Sequence[Any], top: int) -> dict[str, NDArray]:
    normality = np.asarray(detector.score_samples(X), dtype=np.float64)
    last = last_step(detector)
    shifts = isinstance(last, Detector) and (type(last).predict, type(last).decision_function) == (
        Detector.predict,
        Detector.decision_function,
    )
    # where predict is bound to the scores by the contract's identity, the rows need not be scored a second time
    flags = normality - last.offset_ < 0 if shifts else np.asarray(detector.predict(X)) == -1
    result = {"anomaly_score": -normality, "is_outlier": flags}
    if hasattr(last, "p_values"):
        before = X if last is detector else detector[:-1].transform(X)
        result["p_value"] = np.asarray(last.p_values(before), dtype=np.float64)
    return result | _reasons(explain(detector, X), features, top) if top else result


def _reasons(contributions: NDArray, features: Sequence[Any], top: int) -> dict[str, NDArray]:
    positive = np.maximum(contributions, 0)
    order = np.argsort(-positive, axis=1, kind="stable")[:, :top]
    largest = np.zeros((len(positive), top))
    largest[:, : order.shape[1]] = np.take_along_axis(positive, order, axis=1)
    names = np.full((len(positive), top), None, dtype=object)
    # not np.array: names that are tuples, of a MultiIndex, would become a second axis
    names[:, : order.shape[1]] = np.fromiter(features, dtype=object, count=len(features))[order]
    names[largest == 0] = None
    shares = largest / np.maximum(positive.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    columns = {}
    for rank in range(top):
        columns[f"top_{rank + 1}"] = names[:, rank]
        columns[f"top_{rank + 1}_share"] = shares[:, rank]
    return columns


def _names(what: str, given: Any, columns: list) -> list:
    # one name may be a number, or the tuple of a column of several levels
    single = isinstance(given, str) or (
        given in columns if isinstance(given, tuple) else not isinstance(given, Iterable)
    )
    names = [] if given is None else [given] if single else list(given)
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise ValueError(
            f"score_frame: {what} names {unknown[0]!r}, which the frame lacks; {instead(unknown[0], columns)}"
        )
    return names


def _features(detector: Any, columns: list, keys: list, ignore: list) -> list:
    """The detector's columns in its order, or a ValueError that names what is missing, left over or repeated."""
    who = type(detector).__name__
    repeated = [name for position, name in enumerate(columns) if name in columns[:position]]
    if repeated:
        raise ValueError(f"score_frame: the frame has more than one column {repeated[0]!r}; rename one of them")
    others = [name for name in columns if name not in keys and name not in ignore]
    if not hasattr(detector, "feature_names_in_"):
        if len(others) == detector.n_features_in_:
            return others
        raise ValueError(
            f"score_frame: {who} was fitted on {detector.n_features_in_} columns without names and the frame has "
            f"{len(others)}: {listed(others)}. Name those that are not features in keys or ignore"
        )
    features = detector.feature_names_in_.tolist()
    missing = [name for name in features if name not in columns]
    if missing:
        raise ValueError(
            f"score_frame: the frame lacks {len(missing)} of the {len(features)} columns that {who} was fitted on: "
            f"{listed(missing)}; {instead(missing[0], columns)}"
        )
    extra = [name for name in others if name not in features]
    if extra:
        raise ValueError(
            f"score_frame: {who} was not fitted on column{'s' * (len(extra) > 1)} {listed(extra)}. "
            "Name them in keys, to carry them over, or in ignore"
        )
    return features


def _matrix(table: Table, features: list) -> NDArray:
    """The features as one C-order matrix: float32 if every column is, else float64."""
    columns = [table.numbers(name) for name in features]
    dtype = np.float32 if {column.dtype for column in columns} == {np.dtype(np.float32)} else np.float64
    matrix = np.empty((len(columns[0]), len(columns)), dtype)
    for j, column in enumerate(columns):
        matrix[:, j] = column
    return matrix
