"""The metrics a run may ask for: a name, what it needs, a version. Computed from scores, never from a detector.

A measure's version is raised when its definition changes; its values are then computed again from the stored scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odkit.bench.config import nearest
from odkit.metrics import ranking, severity

__all__ = ["MEASURES", "Measure", "Scored", "check_names", "measure"]


@dataclass(frozen=True)
class Scored:
    """The scored rows: truth, anomaly scores and the detector's own threshold (NaN where it has none)."""

    is_outlier: NDArray[np.bool_]
    anomaly_score: NDArray[np.float64]
    threshold: float = float("nan")
    severity: NDArray[np.int64] | None = None

    @property
    def flagged(self) -> NDArray[np.bool_]:
        return self.anomaly_score > self.threshold


@dataclass(frozen=True)
class Measure:
    """`of(scored)` gives the value, higher = better, or None where it is not defined for these rows."""

    of: Callable[[Scored], float | None]
    version: int = 1


def _ranked(metric: Callable) -> Measure:
    return Measure(lambda s: metric(s.is_outlier, s.anomaly_score))


def _flagged(metric: Callable) -> Measure:
    return Measure(lambda s: None if np.isnan(s.threshold) else metric(s.is_outlier, s.flagged))


def _graded(metric: Callable) -> Measure:
    return Measure(lambda s: None if s.severity is None else metric(s.severity, s.anomaly_score))


MEASURES: dict[str, Measure] = {
    "roc_auc": _ranked(ranking.roc_auc),
    "ap": _ranked(ranking.ap),
    "ap_norm": _ranked(ranking.ap_norm),
    "p_at_n": _ranked(ranking.p_at_n),
    "oracle_f1": _ranked(ranking.oracle_f1),
    "precision": _flagged(ranking.precision),
    "recall": _flagged(ranking.recall),
    "f1": _flagged(ranking.f1),
    "flag_rate": _flagged(ranking.flag_rate),
    "c_index": _graded(severity.c_index),
    "c_index_outliers": _graded(severity.c_index_outliers),
    "tau_b": _graded(severity.tau_b),
    "severity_auc_min": _graded(severity.severity_auc_min),
}


def check_names(names: tuple[str, ...]) -> None:
    """Every name is a known measure, or a ValueError with the nearest ones."""
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"no metric {name!r}; {nearest(name, list(MEASURES))}")


def measure(names: tuple[str, ...], scored: Scored) -> dict[str, tuple[int, float | None]]:
    """name -> (version, value); None where the measure is not defined for these rows, never NaN."""
    found: dict[str, tuple[int, float | None]] = {}
    for name in names:
        value = MEASURES[name].of(scored)
        defined = value is not None and np.isfinite(value)
        found[name] = (MEASURES[name].version, float(value) if defined else None)  # type: ignore[arg-type]
    return found
