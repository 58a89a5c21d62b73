"""odkit: outlier and anomaly detection in scikit-learn's style.

Public names load on first use, so `import odkit` costs next to nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> module that defines it; the alphabetic list is the public shelf
_SHELF = {
    "AutoEncoder": "odkit.detectors.autoencoder",
    "Autoregression": "odkit.series.autoregression",
    "ClassConditionalGaussian": "odkit.images.class_conditional_gaussian",
    "Conformal": "odkit.decide.conformal",
    "Consensus": "odkit.detectors.consensus",
    "CorrelatedVote": "odkit.series.correlated_vote",
    "Detector": "odkit.base",
    "Discord": "odkit.series.discord",
    "DynamicThreshold": "odkit.series.threshold",
    "ECOD": "odkit.detectors.ecod",
    "FeaturePyramid": "odkit.images.features",
    "GMM": "odkit.detectors.gmm",
    "HypAD": "odkit.series.hypad",
    "KNN": "odkit.detectors.knn",
    "LatentGMM": "odkit.images.latent_gmm",
    "LevelMahalanobis": "odkit.images.level_mahalanobis",
    "Mahalanobis": "odkit.detectors.mahalanobis",
    "MeanShift": "odkit.detectors.mean_shift",
    "MeanShiftScoring": "odkit.detectors.mean_shift_scoring",
    "MovingEnergy": "odkit.series.energy",
    "PCAReconstruction": "odkit.detectors.pca_reconstruction",
    "PatchGaussian": "odkit.images.patch_gaussian",
    "PolynomialResidual": "odkit.series.polynomial",
    "SeriesConsensus": "odkit.series.consensus",
    "SlidingWindows": "odkit.series.windows",
    "SparseWaferEncoder": "odkit.images.wafer",
    "TailOdds": "odkit.detectors.tail_odds",
    "Windowed": "odkit.series.windowed",
    "anomaly_score": "odkit.scores",
    "expected": "odkit.scores",
    "explain": "odkit.scores",
    "reasons": "odkit.explanations",
    "score_frame": "odkit.frame",
}

__all__ = [
    "ECOD",
    "GMM",
    "KNN",
    "AutoEncoder",
    "Autoregression",
    "ClassConditionalGaussian",
    "Conformal",
    "Consensus",
    "CorrelatedVote",
    "Detector",
    "Discord",
    "DynamicThreshold",
    "FeaturePyramid",
    "HypAD",
    "LatentGMM",
    "LevelMahalanobis",
    "Mahalanobis",
    "MeanShift",
    "MeanShiftScoring",
    "MovingEnergy",
    "PCAReconstruction",
    "PatchGaussian",
    "PolynomialResidual",
    "SeriesConsensus",
    "SlidingWindows",
    "SparseWaferEncoder",
    "TailOdds",
    "Windowed",
    "anomaly_score",
    "expected",
    "explain",
    "reasons",
    "score_frame",
]


def __getattr__(name: str) -> Any:
    if name not in _SHELF:
        raise AttributeError(f"module 'odkit' has no attribute {name!r}; it has {', '.join(sorted(_SHELF))}")
    value = getattr(import_module(_SHELF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_SHELF])
