"""The page: findings, figures and words in one HTML file that loads nothing."""

import math
import platform
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

import odkit
from odkit import pages
from odkit.atomic import whole_file
from odkit.report import drawings, findings
from odkit.report.facts import facts
from odkit.report.figures import curve_figure, feature_figures, score_figure
from odkit.report.quality import doubts
from odkit.report.reading import Material
from odkit.report.wording import cell, decimals, file_size, number_or_dash, reason_in_words, thousands
from odkit.words import number

__all__ = ["report_html", "write_report"]

HERE = Path(__file__).parent
MAX_FEATURES = {False: 120, True: 24}  # by `static`
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
    features, left_out = feature_figures(material, strangest, MAX_FEATURES[static])
    scores = score_figure(material, threshold)
    truth = findings.labels(material)
    spans = findings.periods(material)
    environment = pages.environment()
    environment.filters |= {"number": number_or_dash, "decimals": decimals, "count": thousands, "size": file_size}
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
        curve=curve_figure(truth) if truth and "curve" in truth else "",
        doubts=doubts(material),
        card=facts(material),
        command=command,
        versions={"odkit": odkit.__version__, "Python": platform.python_version()},
        payload=None if static else _payload(strangest, features, scores["slider"], material),
    )


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


def _payload(
    strangest: list[dict[str, Any]], features: list[dict[str, Any]], slider: dict[str, Any], material: Material
) -> dict[str, Any]:
    """What the script needs: the slider's counts, and of each listed row its reasons and its place in the figures."""
    rows = [
        {
            "name": _name(row),
            "score": number(row["score"]),
            "reasons": [reason_in_words(reason) for reason in row["reasons"]],
            "marks": [float(f["marks"][i]) if math.isfinite(f["marks"][i]) else None for f in features],
        }
        for i, row in enumerate(strangest)
    ]
    return {"slider": slider, "rows": rows}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    keys = [*list(row["keys"].values())[:MAX_KEYS], *row["beside"].values()]
    return {**row, "cells": [cell(value) for value in keys], "reasons": [reason_in_words(r) for r in row["reasons"]]}
