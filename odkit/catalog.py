"""The detectors by name: where their classes are, and what a person needs to know to choose one.

Plain text, so that listing them imports none of them. A newcomer adds its line here and can then be used from the
command line and stored in a model file.
"""

from importlib import import_module
from typing import NamedTuple

from odkit.words import instead

__all__ = ["DETECTORS", "Entry", "detector_class", "table"]


class Entry(NamedTuple):
    """One detector: `module` and `cls` say where it is, the rest in a few words when to take it.

    `data` is "rows" (in any order), "series" (rows are time steps, in order) or "images" (from Python only).
    """

    module: str
    cls: str
    assumes: str
    cost: str
    fails: str
    data: str = "rows"


DETECTORS = {
    "autoencoder": Entry(
        "odkit.detectors.autoencoder",
        "AutoEncoder",
        assumes="normal rows lie near a curved surface that a small network can learn to copy (needs torch)",
        cost="fit some seconds, whatever the rows; score d^2 per row and member; memory small",
        fails="groups of anomalies in the training data; single networks vary, so members are averaged",
    ),
    "autoregression": Entry(
        "odkit.series.autoregression",
        "Autoregression",
        assumes="normal steps follow linearly from the last ones, with an error of one size",
        cost="n order per channel; memory as the data",
        fails="slow drifts; level shifts after their first steps; errors that change with the season",
        data="series",
    ),
    "class-conditional-gaussian": Entry(
        "odkit.images.class_conditional_gaussian",
        "ClassConditionalGaussian",
        assumes="labelled rows, each known class one cloud, as in features of a network trained on these classes",
        cost="fit n d^2 + d^3, score K d^2 per row; memory d^2, K d^2 with a covariance for each class",
        fails="the network maps unknown things into a known cloud; classes that differ in shape only",
    ),
    "consensus": Entry(
        "odkit.detectors.consensus",
        "Consensus",
        assumes="detectors of different kinds err in different ways; nothing to choose",
        cost="the sum of ECOD, KNN twice and GMM",
        fails="most of its members share a blindness: large groups of anomalies in the training data",
    ),
    "correlated-vote": Entry(
        "odkit.series.correlated_vote",
        "CorrelatedVote",
        assumes="channels that move together, and faults that jump in several at once; below simpler ones on SMD",
        cost="n (C^2 + C order^2) for C channels; memory C (order^2 + memory)",
        fails="faults of a single channel; slow drifts; an anomaly that lasts becomes normal",
        data="series",
    ),
    "discord": Entry(
        "odkit.series.discord",
        "Discord",
        assumes="normal shapes repeat",
        cost="n^2 per channel; memory as the data",
        fails="anomalies that occur twice; changes of level or amplitude alone; noise without shape",
        data="series",
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
    "hypad": Entry(
        "odkit.series.hypad",
        "HypAD",
        assumes="a network can learn to copy normal windows and does not copy others (needs torch)",
        cost="fit some 10 s per thousand windows, score one pass per step; memory as the data",
        fails="anomalies in the training series; windows that are easy to copy, whatever they mean",
        data="series",
    ),
    "knn": Entry(
        "odkit.detectors.knn",
        "KNN",
        assumes="anomalies are far from other rows; columns in comparable units",
        cost="fit n log n, score log n per row in few columns, n per row in many; memory as the data",
        fails="regions of very different density; groups of anomalies; hundreds of noisy columns",
    ),
    "latent-gmm": Entry(
        "odkit.images.latent_gmm",
        "LatentGMM",
        assumes="an encoder, or rows, in which each known class is one or a few clouds",
        cost="that of the encoder; fit n d^2, score K d^2 per row; memory K d^2",
        fails="the encoder maps unknown things onto known ones; classes with fewer rows than latents",
    ),
    "level-mahalanobis": Entry(
        "odkit.images.level_mahalanobis",
        "LevelMahalanobis",
        assumes="features of a frozen network on several levels, normal images one elliptical cloud on each",
        cost="per level fit n d^2 + d^3, score d^2; memory d^2",
        fails="several kinds of normal images; one level alone tells more than the sum of all",
    ),
    "mahalanobis": Entry(
        "odkit.detectors.mahalanobis",
        "Mahalanobis",
        assumes="one elliptical cloud of normal rows; columns in comparable units",
        cost="fit n d^2 + d^3, score d^2 per row; memory d^2",
        fails="several clusters; curved clouds; many outliers among the fitted rows",
    ),
    "mean-shift": Entry(
        "odkit.detectors.mean_shift",
        "MeanShift",
        assumes="averaging neighbours carries anomalies far; fewer of them in one place than n_neighbors",
        cost="fit and score as three neighbour searches; memory three times the data",
        fails="larger groups of anomalies; rims of the data",
    ),
    "mean-shift-scoring": Entry(
        "odkit.detectors.mean_shift_scoring",
        "MeanShiftScoring",
        assumes="a reconstruction, and anomalies in the training data that it must not copy (needs torch)",
        cost="of autoencoder and mean-shift together",
        fails="clean training data (worse than without); groups of anomalies",
    ),
    "moving-energy": Entry(
        "odkit.series.energy",
        "MovingEnergy",
        assumes="normal data have one level and one spread",
        cost="n per channel; memory as the data",
        fails="anomalies of shape; trends; dips towards the mean",
        data="series",
    ),
    "patch-gaussian": Entry(
        "odkit.images.patch_gaussian",
        "PatchGaussian",
        assumes="normal images show the same thing in the same place; gives a map of where it is unusual",
        cost="per position fit n d^2 + d^3, score d^2; memory 2 d^2 bytes per position",
        fails="objects that are shifted or turned; fewer than a hundred images; tiny defects",
        data="images",
    ),
    "pca-reconstruction": Entry(
        "odkit.detectors.pca_reconstruction",
        "PCAReconstruction",
        assumes="normal rows lie near a plane",
        cost="fit n d^2 + d^3, score d k per row; memory small",
        fails="anomalies inside the plane; gross outliers in training turn it",
    ),
    "polynomial-residual": Entry(
        "odkit.series.polynomial",
        "PolynomialResidual",
        assumes="normal data vary slowly over ten windows, or have noise of one size",
        cost="n neighbourhood per channel; memory as the data",
        fails="seasons shorter than the neighbourhood; anomalies longer than a window",
        data="series",
    ),
    "series-consensus": Entry(
        "odkit.series.consensus",
        "SeriesConsensus",
        assumes="members err in different ways; good alarms (KNN on windows, from Python, ranks better)",
        cost="the sum of its members",
        fails="a training series that one member reproduces perfectly",
        data="series",
    ),
}


def table() -> list[dict[str, str]]:
    """One dict per detector: name, for (rows, series or images), assumes, fails where, cost."""
    return [
        {
            "name": name,
            "for": entry.data,
            "assumes": entry.assumes,
            "fails where": entry.fails,
            "cost": entry.cost,
        }
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
