"""Metrics asked for after their cells were finished, or of a raised version, from the stored scores: no refit."""

from typing import Any

import numpy as np

from odkit.bench.config import Config, Protocol
from odkit.bench.ledger import Ledger
from odkit.bench.measures import MEASURES, Scored, measure
from odkit.bench.plan import Plan
from odkit.bench.protocol import prepare
from odkit.bench.score_files import beside
from odkit.datasets import load

__all__ = ["measure_again"]


def measure_again(plan: Plan, config: Config, ledger: Ledger, data_home: str | None) -> int:
    """Measure what is missing or old in the ledger, and return how many values were."""
    have = {(r["cell_id"], r["metric"]): r["metric_version"] for r in ledger.rows("SELECT * FROM metrics")}
    scores = {
        r["cell_id"]: r for r in ledger.rows("SELECT cell_id, score_path, threshold FROM cells WHERE status='ok'")
    }
    prepared: dict[tuple[str, Protocol, int], Any] = {}
    count = 0
    for cell in plan.cells:
        row = scores.get(cell.cell_id)
        if row is None:
            continue
        missing = tuple(name for name in config.metrics if have.get((cell.cell_id, name)) != MEASURES[name].version)
        if not missing:
            continue
        key = (cell.dataset, cell.protocol, cell.seed)
        if key not in prepared:
            prepared[key] = prepare(load(cell.dataset, data_home=data_home, verify=False), cell.protocol, cell.seed)
        path = ledger.run_dir / row["score_path"]
        values = np.load(path, allow_pickle=False).astype(np.float64)
        stored = beside(path)
        maps = np.load(stored, allow_pickle=False).astype(np.float32) if stored.is_file() else None
        threshold = np.nan if row["threshold"] is None else row["threshold"]
        truth = prepared[key]
        scored = Scored(truth.is_outlier, values, threshold, truth.severity, truth.ordered, truth.masks, maps)
        found = measure(missing, scored)
        ledger.put_metrics(cell.cell_id, found)
        count += len(found)
    return count
