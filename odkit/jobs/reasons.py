"""Why a row is strange, for people: its largest contributions beside what is usual."""

from typing import Any

import numpy as np
import pandas as pd

from odkit.jobs.columns import Columns, Feature
from odkit.scores import explain
from odkit.words import number

__all__ = ["reasons"]

MIN_SHARE = 0.01  # what contributes less is no reason


def reasons(detector: Any, columns: Columns, X: pd.DataFrame, frame: pd.DataFrame, top: int) -> list[list[dict]]:
    """For each row of X, at most `top` features that contribute 1 % or more of its score, the largest first.

    Parameters
    ----------
    detector : fitted detector with `explain`
    columns : the features of X
    X : rows as the detector sees them
    frame : the same rows as they stood in the file, for the words of text columns
    top : number of reasons per row

    Returns
    -------
    list of list of dict
        `feature`; `value` (a number, or a text as it stood in the file); `direction`: "high" above the 95 % quantile,
        "low" below the 5 % quantile, "rare" for a text in at most 5 % of the rows, "new" for one never seen, "missing",
        else "ordinary" (then the combination of values is what is odd); `share` of the sum of the row's positive
        contributions; `contribution` in the unit of the score; `usual`, a few words.
    """
    values, result = X.to_numpy(), []
    for i, parts in enumerate(explain(detector, X)):
        shares = parts / max(np.maximum(parts, 0).sum(), np.finfo(float).tiny)
        largest = [j for j in np.argsort(-shares, kind="stable")[:top] if shares[j] >= MIN_SHARE]
        row = []
        for j in largest:
            feature = columns.features[j]
            row.append(
                {
                    "feature": feature.name,
                    **_value(feature, float(values[i, j]), frame[feature.name].iloc[i]),
                    "share": float(shares[j]),
                    "contribution": float(parts[j]),
                    "usual": _usual(feature),
                }
            )
        result.append(row)
    return result


def _value(feature: Feature, value: float, original: Any) -> dict[str, Any]:
    if np.isnan(value):
        return {"value": None, "direction": "missing"}
    if feature.categories is None:
        low, _, high = feature.usual
        return {"value": value, "direction": "high" if value > high else "low" if value < low else "ordinary"}
    place = int(value)
    share = feature.usual[place] if place < len(feature.usual) else 0.0
    return {
        "value": str(original),
        "direction": "new" if share == 0 else "rare" if share <= 0.05 else "ordinary",
    }


def _usual(feature: Feature) -> str:
    if feature.categories is None:
        low, _, high = feature.usual
        return f"{number(low, 3)} to {number(high, 3)}" if low < high else number(low, 3)
    return f"{feature.categories[0]} ({feature.usual[0]:.0%})"
