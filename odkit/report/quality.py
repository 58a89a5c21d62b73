"""What is doubtful about the data, the scores, or the fit of the two: sentences, the gravest first."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit.report.reading import Material
from odkit.scores import anomaly_score
from odkit.series.base import is_series
from odkit.words import listed, number

__all__ = ["Doubt", "doubts"]

MANY_MISSING = 0.05  # share of a column
OUTSIDE = 0.10  # share of rows that the fit leaves outside of the 5 % and 95 % quantiles
DRIFTED = 0.25
CHECKED_ROWS = 50


class Doubt(NamedTuple):
    """`grave`: the scores may mislead; else a fact to know. `about`: the column, or "scores" or "rows"."""

    grave: bool
    about: str
    sentence: str


def doubts(material: Material) -> list[Doubt]:
    """Everything that was noticed, grave doubts first."""
    found = [Doubt(False, "rows", f"{note[0].upper()}{note[1:]}.") for note in material.notes]
    found += _about_scores(material)
    if material.data is not None:
        found += _about_rows(material)
    if material.X is not None:
        found += _about_columns(material)
    return sorted(found, key=lambda doubt: not doubt.grave)


def _about_scores(material: Material) -> list[Doubt]:
    found, n = [], len(material.score)
    finite = material.score[np.isfinite(material.score)]
    if finite.size < n:
        share = 1 - finite.size / n
        found.append(
            Doubt(share > MANY_MISSING, "scores", f"{n - finite.size:,} of {n:,} rows ({share:.1%}) have no score.")
        )
    if finite.size > 1 and np.ptp(finite) == 0:
        found.append(Doubt(True, "scores", "All scores are equal: the detector tells no row from another."))
    share = float(material.flagged.mean())
    usual = None if material.model is None else getattr(material.model.detector, "contamination", None)
    if isinstance(usual, float) and n >= 200 and share > 2 * usual:
        found.append(
            Doubt(
                share > 4 * usual,
                "scores",
                f"{share:.1%} of the rows are flagged, and {usual:.1%} of the fitted rows were: these rows differ from "
                "those of the fit.",
            )
        )
    if material.keys and material.scored[material.keys].duplicated().any():
        repeated = int(material.scored[material.keys].duplicated().sum())
        found.append(Doubt(False, "rows", f"{listed(material.keys)} name {repeated:,} rows more than once."))
    if _gives_other_scores(material):
        found.append(
            Doubt(
                True,
                "scores",
                "The model gives these rows other scores than the file has: it is another model, or "
                "the data have changed. The reasons below are this model's.",
            )
        )
    return found


def _gives_other_scores(material: Material) -> bool:
    """Whether the model contradicts the file on some rows; never asked of time steps, which need their neighbours."""
    if material.model is None or material.X is None:
        return False
    detector = material.model.detector
    if is_series(detector):
        return False
    places = np.flatnonzero(np.isfinite(material.score))
    places = places[:: max(1, len(places) // CHECKED_ROWS)]
    if not places.size:
        return False
    again = anomaly_score(detector, material.X.iloc[places])
    return not np.allclose(again, material.score[places], rtol=1e-6, atol=1e-9)


def _about_rows(material: Material) -> list[Doubt]:
    assert material.X is not None
    repeated = int(material.X.duplicated().sum())
    if repeated <= 0.01 * len(material.X):
        return []
    return [Doubt(False, "rows", f"{repeated:,} rows ({repeated / len(material.X):.1%}) repeat an earlier one.")]


def _about_columns(material: Material) -> list[Doubt]:
    assert material.X is not None
    assert material.columns is not None
    learnt = material.model is not None and material.model.columns is not None
    found = []
    for feature in material.columns.features:
        values = material.X[feature.name].to_numpy()
        finite = values[np.isfinite(values)]
        missing = 1 - finite.size / len(values)
        if missing > 0:
            found.append(
                Doubt(missing > MANY_MISSING, feature.name, f"{missing:.1%} of the values are missing or infinite.")
            )
        if finite.size and np.ptp(finite) == 0:
            value = str(material.data[feature.name].iloc[0]) if feature.categories else number(finite[0])  # type: ignore[index]
            found.append(Doubt(False, feature.name, f"Every value is {value}."))
        if learnt:
            found += _drift(feature.name, feature.categories, feature.usual, finite)
    return found


def _drift(name: str, categories: tuple[str, ...] | None, usual: tuple[float, ...], values: NDArray) -> list[Doubt]:
    """How the values differ from those that the model was fitted on."""
    if categories is not None:
        new = float((values >= len(categories)).mean()) if values.size else 0.0
        return [Doubt(new > MANY_MISSING, name, f"{new:.1%} of the texts were not seen at the fit.")] if new else []
    low, _, high = usual
    outside = float(((values < low) | (values > high)).mean()) if values.size else 0.0
    if outside <= DRIFTED:
        return []
    middle = float(pd.Series(values).median())
    return [
        Doubt(
            outside > 2 * DRIFTED,
            name,
            f"{outside:.0%} of the values lie outside of {number(low, 3)} to {number(high, 3)}, where "
            f"{1 - OUTSIDE:.0%} of the fitted ones were; the middle value is now {number(middle, 3)}.",
        )
    ]
