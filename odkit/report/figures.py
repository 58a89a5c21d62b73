"""The figures of the page: what is drawn of the scores, of every feature and of the truth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.jobs.columns import Feature
from odkit.report import drawings, findings
from odkit.report.reading import Material
from odkit.words import number

__all__ = ["curve_figure", "feature_figures", "score_figure"]

MAX_CATEGORIES = 10
THRESHOLDS = 240  # places of the slider


def curve_figure(truth: dict[str, Any]) -> str:
    recall, precision = truth["curve"]
    return drawings.precision_recall(recall, precision, truth["rate"], (truth["recall"], truth["precision"]))


def score_figure(material: Material, threshold: float | None) -> dict[str, Any]:
    """The histogram, and for each place of the slider how many rows, and how many true outliers, lie above."""
    seen = np.isfinite(material.score)
    score, flagged = material.score[seen], material.flagged[seen]
    found = findings.bins(score, 90)
    if found.edges[-1] - found.edges[0] < 1e-300:  # all equal
        found = findings.Bins(score[0] + np.array([-0.5, 0.5]))
    figure = drawings.score_histogram(found, found.tally(score[~flagged]), found.tally(score[flagged]), threshold)
    places = np.linspace(found.edges[0], found.edges[-1], THRESHOLDS)
    slider = {
        "low": float(found.edges[0]),
        "span": float(found.edges[-1] - found.edges[0]),
        "rows": len(score),
        "flagged": _above(score, places),
        "start": None if threshold is None else float(threshold),
    }
    if material.is_outlier is not None:
        slider["hits"] = _above(score[material.is_outlier[seen]], places)
        slider["outliers"] = int(material.is_outlier.sum())
    return {"figure": figure, "slider": slider}


def _above(score: NDArray, places: NDArray) -> list[int]:
    return (len(score) - np.searchsorted(np.sort(score), places, side="right")).tolist()


def feature_figures(
    material: Material, strangest: list[dict[str, Any]], most: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """One figure per feature, those that explain most first; and the names of those without one."""
    if material.X is None or material.columns is None:
        return [], []
    weight = findings.shifts(material)
    told: dict[str, float] = {}
    for row in strangest:
        for reason in row["reasons"]:
            told[reason["feature"]] = told.get(reason["feature"], 0.0) + reason["share"]
    order = sorted(
        material.columns.features, key=lambda feature: (-told.get(feature.name, 0.0), -weight.get(feature.name, 0.0))
    )
    places = [row["place"] for row in strangest]
    drawn: list[dict[str, Any]] = []
    for feature in order:
        if len(drawn) == most:
            break
        figure = _feature(material, feature, places, len(drawn))
        if figure is not None:
            drawn.append(figure)
    shown = {figure["name"] for figure in drawn}
    return drawn, [feature.name for feature in order if feature.name not in shown]


def _feature(material: Material, feature: Feature, places: list[int], index: int) -> dict[str, Any] | None:
    assert material.X is not None
    values = material.X[feature.name].to_numpy()
    finite = np.isfinite(values)
    if not finite.any() or np.ptp(values[finite]) == 0:
        return None
    flagged = material.flagged & finite
    rest = finite & ~flagged
    attributes = f' data-feature="{index}"'
    label = f"Distribution of {feature.name}"
    marks = values[places]
    if feature.categories is None:
        found = findings.bins(values[finite], 48)
        counts = found.tally(values[rest]), found.tally(values[flagged])
        usual = marks[np.isfinite(marks)]
        figure = drawings.histogram(found, *counts, usual.tolist(), label, attributes)
        words = f"median {number(float(np.median(values[finite])), 3)}"
    else:
        size = len(feature.categories)
        every = np.bincount(np.minimum(values[finite].astype(int), size), minlength=size + 1)
        odd = np.bincount(np.minimum(values[flagged].astype(int), size), minlength=size + 1)
        names = [*feature.categories, "(not seen at the fit)"]
        codes = [code for code in np.argsort(-every, kind="stable")[:MAX_CATEGORIES] if every[code]]
        figure = drawings.category_bars([(names[c], int(every[c]), int(odd[c])) for c in codes], label, attributes)
        marks = np.array([codes.index(int(min(m, size))) if np.isfinite(m) and min(m, size) in codes else np.nan
                          for m in marks])  # fmt: skip
        words = f"{int((every > 0).sum())} texts"
    missing = 1 - finite.mean()
    words += f", {missing:.1%} missing" if missing else ""
    return {"name": feature.name, "figure": figure, "words": words, "marks": marks}
