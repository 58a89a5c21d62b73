"""The detectors by name: where their classes are, and what a person needs to know to choose one.

Plain text, so that listing them imports none of them. A newcomer adds its line here and can then be used from the
command line and stored in a model file.
"""

from importlib import import_module
from typing import NamedTuple

from odkit.words import instead

__all__ = ["DETECTORS", "Entry", "detector_class", "table"]


class Entry(NamedTuple):
    """One detector: `module` and `cls` say where it is, the rest in a few words when to take it."""

    module: str
    cls: str
    assumes: str
    cost: str
    fails: str


DETECTORS = {
    "autoencoder": Entry(
        "odkit.detectors.autoencoder",
        "AutoEncoder",
        assumes="normal rows lie near a curved surface that a small network can learn to copy (needs torch)",
        cost="fit some seconds, whatever the rows; score d^2 per row and member; memory small",
        fails="groups of anomalies in the training data; single networks vary, so members are averaged",
    ),
    "consensus": Entry(
        "odkit.detectors.consensus",
        "Consensus",
        assumes="detectors of different kinds err in different ways; nothing to choose",
        cost="the sum of ECOD, KNN twice and GMM",
        fails="most of its members share a blindness: large groups of anomalies in the training data",
    ),
    "ecod": Entry(
        "odkit.detectors.ecod",
        "ECOD",
        assumes="anomalies are extreme in single columns",
        cost="fit n log n per column, score log n per cell; memory as the data",
        fails="only the combination of values is odd; between two modes; one-hot columns",
    ),
    "gmm": Entry(
        "odkit.detectors.gmm",
        "GMM",
        assumes="normal rows form a few elliptic groups, each of many rows",
        cost="fit n K d^2 per iteration, score K d^2 per row; memory K d^2",
        fails="a component settles on the anomalies; discrete or duplicated columns; curved groups",
    ),
    "knn": Entry(
        "odkit.detectors.knn",
        "KNN",
        assumes="anomalies are far from other rows; columns in comparable units",
        cost="fit n log n, score log n per row in few columns, n per row in many; memory as the data",
        fails="regions of very different density; groups of anomalies; hundreds of noisy columns",
    ),
    "mean-shift": Entry(
        "odkit.detectors.mean_shift",
        "MeanShift",
        assumes="averaging neighbours carries anomalies far; fewer of them in one place than n_neighbors",
        cost="fit and score as three neighbour searches; memory three times the data",
        fails="larger groups of anomalies; rims of the data",
    ),
    "mean-shift-scoring": Entry(
        "odkit.detectors.mean_shift",
        "MeanShiftScoring",
        assumes="a reconstruction, and anomalies in the training data that it must not copy (needs torch)",
        cost="of autoencoder and mean-shift together",
        fails="clean training data (worse than without); groups of anomalies",
    ),
    "pca-reconstruction": Entry(
        "odkit.detectors.pca_reconstruction",
        "PCAReconstruction",
        assumes="normal rows lie near a plane",
        cost="fit n d^2 + d^3, score d k per row; memory small",
        fails="anomalies inside the plane; gross outliers in training turn it",
    ),
    "mahalanobis": Entry(
        "odkit.detectors.mahalanobis",
        "Mahalanobis",
        assumes="one elliptical cloud of normal rows; columns in comparable units",
        cost="fit n d^2 + d^3, score d^2 per row; memory d^2",
        fails="several clusters; curved clouds; many outliers among the fitted rows",
    ),
}


def table() -> list[dict[str, str]]:
    """One dict per detector: name, assumes, fails, cost."""
    return [
        {"name": name, "assumes": entry.assumes, "fails where": entry.fails, "cost": entry.cost}
        for name, entry in sorted(DETECTORS.items())
    ]


def detector_class(name: str) -> type:
    """The class of a detector by its catalog name; the name's case does not matter.

    >>> from odkit.catalog import detector_class
    >>> detector_class("ecod").__name__
    'ECOD'
    """
    entry = DETECTORS.get(name.lower())
    if entry is None:
        raise ValueError(f"detector {name!r} is not known; {instead(name, DETECTORS)}")
    return getattr(import_module(entry.module), entry.cls)
