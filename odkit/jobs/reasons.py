"""Why rows of a file are strange, in the file's own words: `odkit.explanations` with texts instead of codes."""

import math
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pandas as pd

from odkit import explanations
from odkit.jobs.columns import Columns, Feature
from odkit.scores import explain
from odkit.series.base import is_series
from odkit.words import number

__all__ = ["reasons"]

MIN_SHARE = 0.01  # what contributes less is no reason
BACKGROUND_ROWS = 256
RARE = 0.05


def reasons(
    detector: Any, columns: Columns, X: pd.DataFrame, frame: pd.DataFrame, ordinary: pd.DataFrame, *, top: int
) -> list[list[dict[str, Any]]]:
    """For each row of X, at most `top` features that contribute 1 % or more of its score, the largest first.

    Parameters
    ----------
    detector : fitted detector or pipeline
    columns : the features of X
    X : rows as the detector sees them; their index labels are unique
    frame : the file's rows, by the same labels
    ordinary : rows to compare with where the detector does not explain itself; for a detector of series the whole
        series, without which a step has no explanation
    top : number of reasons per row

    Returns
    -------
    list of list of dict
        `feature`; `value` and what the model would have `expected`, each a number or a text of the file; `direction`:
        "high", "low" or "equal" against what is expected, for a text "new" (never seen at fit), "rare" (in at most 5 %
        of the rows) or "common", and "missing"; `usual`, a few words on 90 % of the fitted rows; `odd`, whether the
        value is outside of that; `share` of the row's positive contributions; `contribution` in the score's unit.
    """
    if is_series(detector):
        table = explanations.reasons(_in_context(detector, ordinary, X.index), X, top=top)
    else:
        step = max(1, len(ordinary) // BACKGROUND_ROWS)
        table = explanations.reasons(detector, X, top=top, background=ordinary.iloc[::step], random_state=0)
    features = {feature.name: feature for feature in columns.features}
    found: dict[Any, list[dict[str, Any]]] = {label: [] for label in X.index}
    for reason in table[table["share"] >= MIN_SHARE].to_dict("records"):
        feature = features[reason["feature"]]
        words = _text(feature, reason, frame) if feature.categories else _number(feature, reason)
        numbers = {"share": float(reason["share"]), "contribution": float(reason["contribution"])}
        found[reason["row"]].append({"feature": feature.name, **words, **numbers})
    return list(found.values())


def _in_context(detector: Any, series: pd.DataFrame, labels: pd.Index) -> Any:
    """What stands in for a detector of series, and knows the steps with these labels among all others."""
    places = series.index.get_indexer(labels)
    answers = {"explain": explain(detector, series)[places]}
    with suppress(TypeError):  # not every detector says what it would have found normal
        answers["expected"] = explanations.expected(detector, series)[places]
    return SimpleNamespace(**{name: lambda rows, answer=answer: answer for name, answer in answers.items()})


def _number(feature: Feature, reason: dict[str, Any]) -> dict[str, Any]:
    low, median, high = feature.usual
    value = float(reason["value"])
    expected = median if pd.isna(reason["expected"]) else float(reason["expected"])
    usual = f"{number(low, 3)} to {number(high, 3)}" if low < high else number(low, 3)
    if math.isnan(value):
        return {"value": None, "expected": expected, "direction": "missing", "usual": usual, "odd": True}
    direction = "high" if value > expected else "low" if value < expected else "equal"
    return {
        "value": value,
        "expected": expected,
        "direction": direction,
        "usual": usual,
        "odd": not low <= value <= high,
    }


def _text(feature: Feature, reason: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    categories = feature.categories or ()
    place = reason["value"]
    share = 0.0 if pd.isna(place) or place >= len(categories) else feature.usual[int(place)]
    direction = "missing" if pd.isna(place) else "new" if share == 0 else "rare" if share <= RARE else "common"
    return {
        "value": None if pd.isna(place) else str(frame.loc[reason["row"], feature.name]),
        "expected": categories[0],
        "direction": direction,
        "usual": f"{categories[0]} {feature.usual[0]:.0%}",
        "odd": share <= RARE,
    }
