"""The page: findings, figures and words in one HTML file that loads nothing."""

import math
import platform
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import odkit
from odkit import pages
from odkit.atomic import whole_file
from odkit.jobs.columns import Feature
from odkit.report import drawings, findings
from odkit.report.quality import doubts
from odkit.report.reading import Material
from odkit.words import number

__all__ = ["report_html", "write_report"]

HERE = Path(__file__).parent
MAX_FEATURES = {False: 120, True: 24}  # by `static`
MAX_CATEGORIES = 10
THRESHOLDS = 240  # places of the slider
MAX_KEYS = 4  # columns of the table that name a row


def write_report(material: Material, out: str | PathLike, **options: Any) -> int:
    """Write the page, whole or not at all, and return its size in bytes; options as in `report_html`."""
    data = report_html(material, **options).encode()
    with whole_file(out) as file:
        file.write(data)
    return len(data)


def report_html(material: Material, *, top: int = 20, static: bool = False, command: str | None = None) -> str:
    """The page as text.

    Parameters
    ----------
    material : as `gather` returns it
    top : rows in the table of the most anomalous, at most 500
    static : no script, fewer figures: for mail and for paper, under 500 kB
    command : the command line that makes this page, to show on it

    Raises
    ------
    ValueError
        If no row has a score, or `top` is out of range.
    """
    if not 1 <= top <= 500:
        raise ValueError(f"--top {top}: between 1 and 500 rows can be listed")
    if not np.isfinite(material.score).any():
        raise ValueError(f"{material.name}: no row has a score, so there is nothing to report")
    threshold = findings.threshold(material)
    strangest = findings.strangest(material, min(top, 100) if static else top)
    features, left_out = _features(material, strangest, MAX_FEATURES[static])
    scores = _scores(material, threshold)
    truth = findings.labels(material)
    spans = findings.periods(material)
    environment = pages.environment()
    environment.filters |= {"number": _number, "decimals": _decimals, "count": _count, "size": _size}
    timeline, hidden_points = ("", 0)
    if material.time is not None and spans:
        timeline, hidden_points = drawings.timeline(material.time, material.score, material.flagged, threshold)
    return environment.from_string((HERE / "page.html.j2").read_text(encoding="utf-8")).render(
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        script="" if static else f"{pages.SORTING}\n{(HERE / 'page.js').read_text(encoding='utf-8')}",
        static=static,
        material=material,
        rows=len(material.score),
        flagged=int(material.flagged.sum()),
        unscored=int((~np.isfinite(material.score)).sum()),
        threshold=threshold,
        strangest=[_shown(row) for row in strangest],
        headline=_headline(material, strangest, threshold),
        columns=[str(name) for name in [*material.keys[:MAX_KEYS], *(strangest[0]["beside"] if strangest else [])]],
        explained=any(row["reasons"] for row in strangest),
        histogram=scores["figure"],
        features=features,
        left_out=left_out,
        timeline=timeline,
        hidden_points=hidden_points,
        periods=drawings.shares_by_period(spans, material.time) if timeline else "",
        groups=findings.groups(material),
        truth=truth,
        curve=_curve(truth) if truth and "curve" in truth else "",
        doubts=doubts(material),
        card=_card(material),
        command=command,
        versions={"odkit": odkit.__version__, "Python": platform.python_version()},
        payload=None if static else _payload(strangest, features, scores["slider"], material),
    )


def _curve(truth: dict[str, Any]) -> str:
    recall, precision = truth["curve"]
    return drawings.precision_recall(recall, precision, truth["rate"], (truth["recall"], truth["precision"]))


def _headline(material: Material, strangest: list[dict[str, Any]], threshold: float | None) -> str:
    n, flagged = len(material.score), int(material.flagged.sum())
    words = f"{flagged:,} of {n:,} rows are flagged ({flagged / n:.1%})"
    if strangest:
        first = strangest[0]
        words += f"; the strangest is {_name(first)}, with a score of {number(first['score'])}"
        words += f" against a threshold of {number(threshold)}" if threshold is not None else ""
    return f"{words}."


def _name(row: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in list(row["keys"].items())[:2]) or f"row {row['place']}"


def _scores(material: Material, threshold: float | None) -> dict[str, Any]:
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


def _features(material: Material, strangest: list[dict[str, Any]], most: int) -> tuple[list[dict[str, Any]], list[str]]:
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


def _payload(
    strangest: list[dict[str, Any]], features: list[dict[str, Any]], slider: dict[str, Any], material: Material
) -> dict[str, Any]:
    """What the script needs: the slider's counts, and of each listed row its reasons and its place in the figures."""
    rows = [
        {
            "name": ", ".join(f"{key} {value}" for key, value in list(row["keys"].items())[:2])
            or f"row {row['place']}",
            "score": number(row["score"]),
            "reasons": [_reason(reason) for reason in row["reasons"]],
            "marks": [float(f["marks"][i]) if math.isfinite(f["marks"][i]) else None for f in features],
        }
        for i, row in enumerate(strangest)
    ]
    return {"slider": slider, "rows": rows}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    keys = [*list(row["keys"].values())[:MAX_KEYS], *row["beside"].values()]
    return {**row, "cells": [_cell(value) for value in keys], "reasons": [_reason(r) for r in row["reasons"]]}


def _reason(reason: dict[str, Any]) -> dict[str, Any]:
    """A reason in words; those of a scored file have a feature and a share alone."""
    share = reason["share"]
    if "value" not in reason:
        return {"feature": reason["feature"], "share": share}
    return {
        "feature": reason["feature"],
        "share": share,
        "value": "missing" if reason["value"] is None else _cell(reason["value"]),
        "direction": reason["direction"],
        "expected": _cell(reason["expected"]),
        "usual": reason["usual"],
        "odd": reason["odd"],
    }


def _card(material: Material) -> dict[str, Any]:
    """What is known of the data and of the model, as lists of (name, value)."""
    data = [(file["name"], f"{file['rows']:,} rows, {_size(file['bytes'])}") for file in material.files]
    if len(data) > 8:
        rows, size = (sum(file[what] for file in material.files) for what in ("rows", "bytes"))
        data = [(f"{len(material.files)} files", f"{rows:,} rows, {_size(size)}")]
    if material.columns is not None:
        names = material.columns.names
        data.append(("features", f"{len(names)}: {', '.join(names[:12])}{', ...' * (len(names) > 12)}"))
    model: list[tuple[str, str]] = []
    if material.card is not None and material.model is not None:
        card, fitted = material.card, material.model.data
        detector = material.model.detector
        last = detector[-1] if card["class"] == "Pipeline" else detector
        steps = detector.steps if last is not detector else [("", detector)]
        params = {name: value for name, value in last.get_params(deep=False).items() if _is_set(last, name, value)}
        files = ", ".join(file["name"] for file in fitted.get("files", []))
        model = [
            ("detector", " after ".join(type(step).__name__ for _, step in reversed(steps))),
            ("parameters", ", ".join(f"{name}={value}" for name, value in params.items()) or "defaults"),
            ("fitted on", f"{fitted['rows']:,} rows of {files}" if fitted else "not recorded"),
            ("written by", f"odkit {card['versions'].get('odkit')}"),
            ("fingerprint", card["fingerprint"][:16]),
        ]
    return {"data": data, "model": model}


def _is_set(estimator: Any, name: str, value: Any) -> bool:
    """Whether a parameter differs from its default."""
    default = type(estimator)().get_params(deep=False).get(name)
    return str(value) != str(default)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, pd.Timestamp):
        return str(value).removesuffix(" 00:00:00")
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None or math.isnan(value) else number(value, digits)


def _decimals(value: float, largest: float) -> str:
    """A number with as many decimals as leave the largest of its column four digits, so that points stand in line."""
    digits = 3 - math.floor(math.log10(abs(largest))) if largest else 3
    return "–" if math.isnan(value) else f"{value:,.{min(max(digits, 0), 9)}f}"


def _count(value: int) -> str:
    return f"{value:,}"


def _size(value: float) -> str:
    return next(f"{value / unit:.3g} {name}" for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
                if value >= unit or unit == 1)  # fmt: skip
