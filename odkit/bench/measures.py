"""The metrics a run may ask for: a name, what it needs, a version. Computed from scores, never from a detector.

A measure's version is raised when its definition changes; its values are then computed again from the stored scores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from odkit.bench.config import nearest
from odkit.metrics import events, pixels, ranking, severity
from odkit.metrics.vus import vus
from odkit.series.intervals import from_mask
from odkit.series.threshold import DynamicThreshold

__all__ = ["MEASURES", "Measure", "Scored", "check_names", "measure"]


Mode = Literal["fixed", "exact"]


@dataclass(frozen=True, eq=False)
class Scored:
    """The scored rows: truth, anomaly scores and the detector's own threshold (NaN where it has none); for images the
    defective pixels and the detector's map of them."""

    is_outlier: NDArray[np.bool_]
    anomaly_score: NDArray[np.float64]
    threshold: float = float("nan")
    severity: NDArray[np.int64] | None = None
    ordered: bool = False
    masks: NDArray[np.bool_] | None = None
    maps: NDArray[np.float32] | None = None

    @property
    def flagged(self) -> NDArray[np.bool_]:
        return self.anomaly_score > self.threshold


@dataclass(frozen=True)
class Measure:
    """`of(scored)` gives the value, higher = better, or None where it is not defined for these rows.

    `parts(scored)` gives further figures of the same computation, stored as "name.part": counts to be summed over
    series, say.
    """

    of: Callable[[Scored], float | None]
    version: int = 1
    parts: Callable[[Scored], dict[str, float]] | None = None


def _ranked(metric: Callable) -> Measure:
    return Measure(lambda s: metric(s.is_outlier, s.anomaly_score) if s.is_outlier.any() else None)


def _flagged(metric: Callable) -> Measure:
    return Measure(lambda s: None if np.isnan(s.threshold) else metric(s.is_outlier, s.flagged))


def _graded(
    metric: Callable, *, lowest: int = 0, by_level: Callable | None = None, prefix: str = "", version: int = 1
) -> Measure:
    """Defined where at least two levels from `lowest` on occur: an order of one is none."""

    def of(s: Scored) -> float | None:
        if s.severity is None or np.unique(s.severity[s.severity >= lowest]).size < 2:
            return None
        return metric(s.severity, s.anomaly_score)

    def parts(s: Scored) -> dict[str, float]:
        assert by_level is not None
        return {f"{prefix}{level}": value for level, value in by_level(s.severity, s.anomaly_score).items()}

    return Measure(of, version, parts if by_level else None)


def _weakest_against_normal(level: NDArray, anomaly_score: NDArray) -> float:
    return min(severity.auc_against_normal(level, anomaly_score).values()) if (level == 0).any() else float("nan")


def _by_area(scored: Scored) -> float | None:
    """The order of the defective images by the number of their defective pixels."""
    if scored.masks is None:
        return None
    area = scored.masks.sum(axis=(1, 2), dtype=np.int64)
    if np.unique(area[area > 0]).size < 2:
        return None
    return severity.c_index_outliers(area, scored.anomaly_score)


def _mapped(metric: Callable) -> Measure:
    def of(scored: Scored) -> float | None:
        if scored.masks is None or scored.maps is None or not scored.masks.any():
            return None
        return metric(scored.masks, scored.maps)

    return Measure(of)


@lru_cache(maxsize=4)
def _vus(scored: Scored) -> tuple[float, float]:
    return vus(scored.is_outlier, scored.anomaly_score)


@lru_cache(maxsize=4)
def _event_counts(scored: Scored, mode: Mode) -> dict[str, float]:
    """Events found, false and missed under the dynamic threshold, the share of time alarmed, and the counts that the
    same alarms get at random places."""
    anomaly = scored.anomaly_score - min(0.0, scored.anomaly_score.min())  # the threshold is defined for e >= 0
    true, n = from_mask(scored.is_outlier), scored.is_outlier.size
    found = DynamicThreshold(mode=mode).find(anomaly)
    null = events.shift_null(true, found, n).mean(axis=0)
    return {
        **dict(zip(("tp", "fp", "fn"), map(float, events.overlap_confusion(true, found)), strict=True)),
        "alarmed": events.alarmed_fraction(found, n),
        **dict(zip(("null_tp", "null_fp", "null_fn"), null.tolist(), strict=True)),
    }


def _event_f1(scored: Scored, mode: Mode) -> float | None:
    if not scored.ordered:
        return None
    counts = _event_counts(scored, mode)
    return events.pooled_f1([(counts["tp"], counts["fp"], counts["fn"])])


def _events(mode: Mode) -> Measure:
    return Measure(lambda s: _event_f1(s, mode), parts=lambda s: _event_counts(s, mode))


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
    "c_index_outliers": _graded(severity.c_index_outliers, lowest=1),
    "c_index_area": Measure(_by_area),
    "tau_b": _graded(severity.tau_b),
    "severity_auc_min": _graded(
        severity.severity_auc_min, by_level=severity.adjacent_auc, prefix="adjacent_auc_", version=2
    ),
    "auc_0_vs_min": _graded(_weakest_against_normal, by_level=severity.auc_against_normal, prefix="auc_0_vs_"),
    "vus_roc": Measure(lambda s: _vus(s)[0] if s.ordered and s.is_outlier.any() else None),
    "vus_pr": Measure(lambda s: _vus(s)[1] if s.ordered and s.is_outlier.any() else None),
    "event_f1_fixed": _events("fixed"),
    "event_f1_exact": _events("exact"),
    "au_pro": _mapped(pixels.au_pro),
    "pixel_auroc": _mapped(pixels.pixel_auroc),
    "pixel_ap": _mapped(pixels.pixel_ap),
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
        version, parts = MEASURES[name].version, MEASURES[name].parts
        found[name] = (version, float(value) if defined else None)  # type: ignore[arg-type]
        if defined and parts is not None:
            found |= {f"{name}.{part}": (version, figure) for part, figure in parts(scored).items()}
    return found
