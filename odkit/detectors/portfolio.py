"""The detectors that stand together in `Consensus` where none are named."""

from typing import Any

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["portfolio"]


def portfolio(preset: str = "balanced", n_samples: int | None = None) -> list[tuple[str, Any]]:
    """The unfitted members of a preset, as (name, estimator): 'fast', 'balanced' or 'thorough'.

    Neighbour members take 10 and 5 neighbours, and all others where there are fewer rows than that.
    """
    from sklearn.ensemble import IsolationForest

    from odkit.detectors.ecod import ECOD
    from odkit.detectors.gmm import GMM
    from odkit.detectors.knn import KNN
    from odkit.detectors.tail_odds import TailOdds

    others = max(1, n_samples - 1) if n_samples else 10
    members = {
        "ecod": ECOD(),
        "knn": make_pipeline(StandardScaler(), KNN(n_neighbors=min(10, others))),
        "odds-knn": make_pipeline(TailOdds(), KNN(n_neighbors=min(5, others), aggregation="mean")),
        "gmm": make_pipeline(StandardScaler(), GMM(n_components="auto", reg_covar=1e-3)),
        "forest": IsolationForest(n_estimators=100),
    }
    presets = {
        "fast": ["ecod", "gmm"],
        "balanced": ["ecod", "knn", "odds-knn", "gmm"],
        "thorough": ["ecod", "knn", "odds-knn", "gmm", "forest"],
    }
    if preset not in presets:
        raise ValueError(f"portfolio: preset={preset!r}; there are {', '.join(presets)}")
    return [(name, members[name]) for name in presets[preset]]
