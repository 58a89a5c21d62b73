"""Why a row is strange, for people: its largest contributions beside what is usual."""

from typing import Any

import numpy as np
import pandas as pd

from odkit.jobs.columns import Columns, Feature
from odkit.scores import explain

__all__ = ["number", "reasons"]


def reasons(detector: Any, columns: Columns, X: pd.DataFrame, frame: pd.DataFrame, top: int) -> list[list[dict]]:
    """For each row of X, at most `top` features with positive contributions, the largest first.

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
        "low" below the 5 % quantile, "rare" for a text in at most 5 % of the rows, "new" for one never seen, else
        "ordinary" (then the combination of values is what is odd); `share` of the sum of the row's positive
        contributions; `contribution` in the unit of the score; `usual`, a few words.
    """
    parts = explain(detector, X)
    result = []
    for i, contributions in enumerate(parts):
        total = np.maximum(contributions, 0).sum()
        largest = [j for j in np.argsort(-contributions, kind="stable")[:top] if contributions[j] > 0]
        result.append(
            [
                {
                    "feature": (feature := columns.features[j]).name,
                    **_value(feature, X.iat[i, j], frame[feature.name].iat[i]),
                    "share": float(contributions[j] / total),
                    "contribution": float(contributions[j]),
                    "usual": _usual(feature),
                }
                for j in largest
            ]
        )
    return result


def _value(feature: Feature, number: float, original: Any) -> dict[str, Any]:
    if feature.categories is None:
        low, _, high = feature.usual
        return {"value": number, "direction": "high" if number > high else "low" if number < low else "ordinary"}
    place = int(number)
    share = feature.usual[place] if place < len(feature.usual) else 0.0
    return {
        "value": str(original),
        "direction": "new" if share == 0 else "rare" if share <= 0.05 else "ordinary",
    }


def _usual(feature: Feature) -> str:
    if feature.categories is None:
        low, _, high = feature.usual
        return f"{number(low)} to {number(high)}" if low < high else number(low)
    return f"{feature.categories[0]} ({feature.usual[0]:.0%})"


def number(value: float) -> str:
    """A number for reading: four digits, thousands marked."""
    text = f"{value:,.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:,.0f}"
    return text.replace("e+", "e")
