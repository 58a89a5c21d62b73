"""Figures of a report as plain values, each from one look at the rows: what `page` draws and writes down."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from odkit.bench.stats import bootstrap_interval
from odkit.jobs.reasons import reasons
from odkit.metrics import ranking
from odkit.report.reading import Material
from odkit.scores import last_step
from odkit.series.base import is_series

__all__ = ["Bins", "bins", "groups", "labels", "periods", "shifts", "strangest", "threshold"]

REASONS = 8  # per row
PERIODS = {"min": 1 / 60, "5min": 1 / 12, "15min": 0.25, "h": 1, "6h": 6, "D": 24, "W": 168, "MS": 731, "QS": 2192}  # h
MAX_PERIODS = 80
MAX_SHOWN_GROUPS = 60
TAIL = 0.005  # of the values on either side may be drawn in one bar, where they would flatten all others


class Bins(NamedTuple):
    """Edges of bars; `below` and `above`: the first and the last bar hold all that lies beyond; `whole`: one each for
    the integers."""

    edges: NDArray[np.float64]
    below: bool = False
    above: bool = False
    whole: bool = False

    def tally(self, values: NDArray) -> NDArray[np.intp]:
        return np.histogram(np.clip(values, self.edges[0], self.edges[-1]), self.edges)[0]


def bins(values: NDArray[np.float64], n: int = 60) -> Bins:
    """Bars for finite values: one per integer where these are few, else n of equal width between the tails."""
    low, high = float(values.min()), float(values.max())
    if high - low < n and (values == np.round(values)).all():
        return Bins(np.arange(low - 0.5, high + 1), whole=True)
    inner_low, inner_high = np.quantile(values, [TAIL, 1 - TAIL])
    margin = 0.5 * (inner_high - inner_low) or 0.5 * (high - low)
    start, stop = max(low, inner_low - margin), min(high, inner_high + margin)
    return Bins(np.linspace(start, stop, n + 1), bool(start > low), bool(stop < high))


def threshold(material: Material) -> float | None:
    """The score above which rows are flagged: the model's, or between the flagged and the other rows."""
    if material.model is not None:
        offset = getattr(last_step(material.model.detector), "offset_", None)
        if offset is not None:
            return -float(offset)
    scored = np.isfinite(material.score)
    flagged, rest = material.score[scored & material.flagged], material.score[scored & ~material.flagged]
    if not flagged.size or not rest.size or rest.max() > flagged.min():
        return None
    return float((rest.max() + flagged.min()) / 2)


def strangest(material: Material, n: int) -> list[dict[str, Any]]:
    """The n rows of the highest scores: place, keys, time, group, score, p_value, truth and reasons."""
    order = np.argsort(-np.nan_to_num(material.score, nan=-np.inf), kind="stable")[:n]
    order = order[np.isfinite(material.score[order])]
    why = _reasons(material, order)
    beside = [part for part in (material.time, material.group) if part is not None and part.name not in material.keys]
    found = []
    for place, parts in zip(order.tolist(), why, strict=True):
        row = {
            "place": place,
            "keys": {name: material.scored[name].iloc[place] for name in material.keys},
            "beside": {str(part.name): part.iloc[place] for part in beside},
            "score": float(material.score[place]),
            "flagged": bool(material.flagged[place]),
            "reasons": parts,
        }
        if "p_value" in material.scored:
            row["p_value"] = float(material.scored["p_value"].iloc[place])
        if material.is_outlier is not None:
            row["truth"] = bool(material.is_outlier[place])
        found.append(row)
    return found


def _reasons(material: Material, places: NDArray[np.intp]) -> list[list[dict[str, Any]]]:
    """Of the model where it and the rows are given, else those that the scored file brings."""
    if material.model is not None and material.X is not None and material.columns is not None and len(places):
        detector, X = material.model.detector, material.X
        complete = X.index[np.isfinite(material.score) & ~material.flagged]
        ordinary = X if is_series(detector) else X.loc[complete]
        try:
            rows = X.loc[places]
            return reasons(detector, material.columns, rows, material.data, ordinary, top=REASONS)
        except TypeError as error:  # it says why this detector or pipeline has no reasons
            material.notes.append(f"no reasons: {str(error).partition(': ')[2]}")
    found = []
    for place in places:
        row, parts = material.scored.iloc[place], []
        for rank in range(1, REASONS + 1):
            name, share = row.get(f"top_{rank}"), row.get(f"top_{rank}_share")
            if isinstance(name, str) and name and share is not None:
                parts.append({"feature": name, "share": float(share)})
        found.append(parts)
    return found


def periods(material: Material) -> list[dict[str, Any]]:
    """Rows and flagged rows by hour, day, week, ...: the shortest period that gives no more than 80 bars."""
    if material.time is None:
        return []
    stamps = material.time
    table = pd.DataFrame({"flagged": material.flagged, "rows": 1})[stamps.notna()]
    stamps = stamps[stamps.notna()]
    if not pd.api.types.is_datetime64_any_dtype(stamps):
        edges = np.linspace(stamps.min(), stamps.max(), 61)
        number = np.clip(np.searchsorted(edges, stamps, side="right") - 1, 0, 59)
        sums = table.groupby(number).sum()
        return [{"start": float(edges[i]), **row} for i, row in zip(sums.index, sums.to_dict("records"), strict=True)]
    table.index = pd.DatetimeIndex(stamps)
    hours = (table.index.max() - table.index.min()) / pd.Timedelta(hours=1)
    rule = next((rule for rule, length in PERIODS.items() if hours / length <= MAX_PERIODS), "YS")
    sums = table.resample(rule).sum()
    return [{"start": start, **row} for start, row in zip(sums.index, sums.to_dict("records"), strict=True)]


def groups(material: Material) -> list[dict[str, Any]]:
    """Per group: rows, flagged, their share with its 95 % interval (Wilson), highest score; most flagged first."""
    if material.group is None:
        return []
    table = pd.DataFrame({"flagged": material.flagged, "score": material.score})
    found: list[dict[str, Any]] = []
    for name, part in table.groupby(material.group.to_numpy()):
        n, k = len(part), int(part["flagged"].sum())
        low, high = _wilson(k, n)
        found.append({"name": str(name), "rows": n, "flagged": k, "share": k / n, "low": low, "high": high,
                      "highest": float(part["score"].max())})  # fmt: skip
    return sorted(found, key=lambda group: (-group["low"], -group["share"]))[:MAX_SHOWN_GROUPS]


def _wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    middle, spread = (k + z * z / 2) / (n + z * z), z * np.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def labels(material: Material) -> dict[str, Any] | None:
    """How well the flags and the scores agree with the truth; rows without a score count as not flagged."""
    if material.is_outlier is None:
        return None
    outlier, flagged = material.is_outlier, material.flagged
    found: dict[str, Any] = {
        "found": int((outlier & flagged).sum()),
        "false": int((~outlier & flagged).sum()),
        "missed": int((outlier & ~flagged).sum()),
        "rate": float(outlier.mean()),
        "precision": ranking.precision(outlier, flagged),
        "recall": ranking.recall(outlier, flagged),
        "f1": ranking.f1(outlier, flagged),
    }
    scored = np.isfinite(material.score)
    if outlier[scored].any() and not outlier[scored].all():
        pair = outlier[scored], material.score[scored]
        found |= {"roc_auc": ranking.roc_auc(*pair), "ap": ranking.ap(*pair), "interval": bootstrap_interval(*pair)}
        order = np.argsort(-pair[1], kind="stable")
        hits = np.cumsum(pair[0][order])
        last = np.append(np.diff(pair[1][order]) != 0, True)  # ties are flagged together
        found["curve"] = (hits[last] / hits[-1], hits[last] / (np.flatnonzero(last) + 1))
    return found


def shifts(material: Material) -> dict[str, float]:
    """Per feature, how far the flagged rows lie from the others: the Kolmogorov-Smirnov distance."""
    if material.X is None or not material.flagged.any() or material.flagged.all():
        return {}
    found = {}
    step = max(1, len(material.X) // 50_000)
    for name in material.X.columns:
        values = material.X[name].to_numpy()
        flagged, rest = values[material.flagged], values[~material.flagged][::step]
        flagged, rest = flagged[np.isfinite(flagged)], rest[np.isfinite(rest)]
        found[name] = float(ks_2samp(flagged, rest, method="asymp").statistic) if flagged.size and rest.size else 0.0
    return found
