"""The development protocol for series: five groups, one setting for all, events pooled over a group.

SMAP: column 0 of 53 channels, fitted on the training part. NAB groups: bins from the first stamp, mean per bin, empty
bins get the mean of the series; fitted and scored on the same series. A detection's stamps are the first and last bin
start; its events are counted as Orion counts them.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from odkit import DynamicThreshold
from odkit.datasets import list_cards, load
from odkit.metrics.events import overlap_confusion, pooled_f1, shift_null
from odkit.metrics.vus import vus
from odkit.series import from_mask, resample, to_mask

GROUPS = {  # our name: (NAB folder, bin in seconds)
    "Art": ("artificialWithAnomaly", 600),
    "AdEx": ("realAdExchange", 3600),
    "AWS": ("realAWSCloudwatch", 600),
    "Traffic": ("realTraffic", 600),
}
LEFT_OUT = {"smap/P-2", "nab/realAdExchange/exchange-4_cpc_results"}  # as in the published tables
THRESHOLDS = {"fixed": DynamicThreshold(mode="fixed"), "exact": DynamicThreshold()}

# Orion 0.7.1, benchmark/results/0.7.1.csv, pooled overlap F1; how long its detections are is not published
PUBLISHED = {
    "aer": (0.764, 0.750, 0.733, 0.702, 0.611),
    "lstm_autoencoder": (0.652, 0.545, 0.720, 0.750, 0.533),
    "dense_autoencoder": (0.677, 0.545, 0.556, 0.778, 0.600),
    "vae": (0.667, 0.615, 0.615, 0.700, 0.538),
    "lstm_dynamic_threshold": (0.732, 0.400, 0.759, 0.537, 0.611),
    "tadgan": (0.573, 0.500, 0.692, 0.710, 0.486),
    "timesfm": (0.644, 0.400, 0.783, 0.475, 0.537),
    "matrixprofile": (0.423, 0.571, 0.692, 0.440, 0.305),
    "arima": (0.411, 0.308, 0.727, 0.382, 0.467),
    "anomaly_transformer": (0.270, 0.387, 0.500, 0.440, 0.377),
}


@dataclass(frozen=True)
class Signal:
    """One series: `true` in the unit of `clock` (steps or seconds, half open), `is_outlier` per step."""

    group: str
    name: str
    train: NDArray
    test: NDArray
    is_outlier: NDArray
    true: list[tuple[int, int]]
    clock: NDArray

    def on_clock(self, found: Iterable) -> list[tuple[int, int]]:
        """Detections in the unit of `clock`: from the first to the last stamp, the last one included."""
        return [(self.clock[each.start], self.clock[each.stop - 1] + 1) for each in found]


def signals(names: Iterable[str] = ("SMAP", *GROUPS)) -> dict[str, list[Signal]]:
    """All signals of the named groups, from the data folder."""
    groups: dict[str, list[Signal]] = {}
    for group in names:
        if group == "SMAP":
            groups[group] = [_smap(card.id) for card in _cards("smap/")]
        else:
            folder, every = GROUPS[group]
            groups[group] = [_nab(group, card.id, every) for card in _cards(f"nab/{folder}/")]
    return groups


def _cards(prefix: str) -> list[Any]:
    return [card for card in list_cards() if card.id.startswith(prefix) and card.id not in LEFT_OUT]


def _smap(card_id: str) -> Signal:
    data = load(card_id)
    true = [(each.start, each.stop) for each in from_mask(data.is_outlier)]
    columns = (np.asarray(part[:, :1], dtype=np.float64) for part in (data.train, data.test))
    return Signal("SMAP", card_id, *columns, data.is_outlier, true, np.arange(len(data.test)))


def _nab(group: str, card_id: str, every: int) -> Signal:
    data = load(card_id)
    raw = pd.Series(data.X[:, 0], index=pd.DatetimeIndex(data.timestamps))
    bins, _ = resample(raw, every=f"{every}s", fill="mean")
    clock = bins.index.as_unit("s").asi8
    ends = data.windows.astype("datetime64[s]").astype(np.int64)
    is_outlier = ((clock[:, None] <= ends[:, 1]) & (clock[:, None] + every > ends[:, 0])).any(axis=1)
    x = bins.to_numpy()[:, None]
    return Signal(group, card_id, x, x, is_outlier, [(a, b + 1) for a, b in ends.tolist()], clock)


def score_groups(
    groups: dict[str, list[Signal]], score: Callable[[Signal], NDArray]
) -> tuple[dict[str, list[NDArray]], float]:
    """Anomaly scores of every signal, and seconds for all of them."""
    begin = time.perf_counter()
    scores = {group: [score(signal) for signal in members] for group, members in groups.items()}
    return scores, time.perf_counter() - begin


def signal_events(signal: Signal, anomaly: NDArray, threshold: DynamicThreshold) -> dict[str, Any]:
    """What pooling needs of one signal: counts (tp, fp, fn), the same at 20 random places, flagged steps, steps."""
    found = threshold.find(anomaly)
    return {
        "counts": [int(count) for count in overlap_confusion(signal.true, signal.on_clock(found))],
        "rolled": shift_null(from_mask(signal.is_outlier), found, len(anomaly)).tolist(),
        "flagged": int(to_mask(found, len(anomaly)).sum()),
        "steps": len(anomaly),
    }


def pooled_events(groups: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Per group (F1, tp, fp, fn), and means over groups of F1, alarmed fraction of time and shift null of F1."""
    row: dict[str, Any] = {}
    alarmed, null = [], []
    for group, members in groups.items():
        counts, rolled = (np.sum([each[key] for each in members], axis=0) for key in ("counts", "rolled"))
        row[group] = (pooled_f1([counts]), *counts.tolist())
        alarmed.append(sum(each["flagged"] for each in members) / sum(each["steps"] for each in members))
        null.append(np.mean([pooled_f1([each]) for each in rolled]))
    row["F1"] = float(np.mean([row[group][0] for group in groups]))
    return row | {"alarmed": float(np.mean(alarmed)), "null": float(np.mean(null))}


def event_row(
    groups: dict[str, list[Signal]], scores: dict[str, list[NDArray]], threshold: DynamicThreshold
) -> dict[str, Any]:
    """`pooled_events` of the scores of all signals."""
    pairs = {group: zip(members, scores[group], strict=True) for group, members in groups.items()}
    return pooled_events({group: [signal_events(*pair, threshold) for pair in each] for group, each in pairs.items()})


def mean_volumes(groups: dict[str, list[Any]]) -> dict[str, tuple[float, float]]:
    """(VUS-ROC, VUS-PR) per group, mean over its series with events (None: without), and the mean over groups."""
    row = {
        group: tuple(np.mean([pair for pair in pairs if pair is not None], axis=0).tolist())
        for group, pairs in groups.items()
    }
    return row | {"mean": tuple(np.mean(list(row.values()), axis=0).tolist())}


def signal_volumes(signal: Signal, anomaly: NDArray) -> tuple[float, float] | None:
    return vus(signal.is_outlier, anomaly) if signal.is_outlier.any() else None


def volume_row(groups: dict[str, list[Signal]], scores: dict[str, list[NDArray]]) -> dict[str, tuple[float, float]]:
    """`mean_volumes` of the scores of all signals."""
    pairs = {group: zip(members, scores[group], strict=True) for group, members in groups.items()}
    return mean_volumes({group: [signal_volumes(*pair) for pair in each] for group, each in pairs.items()})


def show(name: str, seconds: float, events: dict[str, dict[str, Any]], volumes: dict[str, tuple[float, float]]) -> str:
    """Three lines of a table: events under each threshold, volumes."""
    lines = []
    groups = [group for group in volumes if group != "mean"]
    for threshold, row in events.items():
        cells = " ".join(f"{row[g][0]:.3f} [{row[g][1]},{row[g][2]},{row[g][3]}]".ljust(17) for g in groups)
        lines.append(f"{name:22} {threshold:6} {cells} {row['F1']:.3f}  {row['alarmed']:.3f}  {row['null']:.3f}")
    cells = " ".join(f"{volumes[g][0]:.3f}/{volumes[g][1]:.3f}".ljust(17) for g in groups)
    lines.append(f"{'':22} {'VUS':6} {cells} {volumes['mean'][0]:.3f}/{volumes['mean'][1]:.3f}   {seconds:.1f} s")
    return "\n".join(lines)


def header(groups: Iterable[str]) -> str:
    cells = " ".join(f"{group} F1 [tp,fp,fn]".ljust(17) for group in groups)
    return f"{'':29} {cells} mean   alarmed null"


def published() -> str:
    lines = ["Published (Orion 0.7.1): pooled overlap F1, alarmed fraction of time unknown"]
    for name, row in PUBLISHED.items():
        lines.append(f"{name:29} " + " ".join(f"{v:.3f}".ljust(17) for v in row) + f" {np.mean(row):.3f}")
    return "\n".join(lines)
