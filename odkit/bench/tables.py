"""The ledger as tables: one row per cell, and from those a panel of data sets x detectors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from odkit.bench.config import Config, parse_config
from odkit.bench.contestants import canonical_json
from odkit.bench.ledger import Ledger
from odkit.bench.panel import Panel
from odkit.bench.schema import CELL_COLUMNS, PLANNED

__all__ = ["Results", "read_results"]

# newest run first: where a configuration was changed and run again, the later cell stands for the earlier one
RESULT_COLUMNS = [name for name in CELL_COLUMNS if name not in (*PLANNED, "run_id")]
CELLS = f"""
SELECT {", ".join(f"planned.{name}" for name in PLANNED)}, {", ".join(f"cells.{name}" for name in RESULT_COLUMNS)}
FROM planned JOIN runs USING (run_id) LEFT JOIN cells USING (cell_id)
ORDER BY runs.created_at DESC, runs.rowid DESC, planned.cell_id
"""


@dataclass(frozen=True)
class Results:
    """Everything a report shows. `cells` has one row per planned cell, a column per metric, status "missing" for
    cells that have not run. `left_out` names detectors of earlier configurations in the same folder."""

    config: Config
    config_text: str
    suite: str
    suite_sha: str
    cells: pd.DataFrame
    metrics: tuple[str, ...]
    left_out: tuple[str, ...]
    envs: dict[str, dict[str, Any]]

    def protocols(self) -> list[str]:
        """Protocols of the configuration, as canonical JSON, under which some detector has finished all seeds of some
        data set."""
        values = _over_seeds(self.cells, ["protocol_json", "dataset", "detector"], self.config.ranked()[0])
        found = set(values.dropna().index.get_level_values("protocol_json"))
        return [text for p in self.config.protocol if (text := canonical_json(p.identity())) in found]

    def of(self, protocol: str) -> pd.DataFrame:
        return self.cells[self.cells["protocol_json"] == protocol]

    def panel(self, protocol: str, metric: str) -> Panel:
        """One metric under one protocol. Whoever has failed everywhere is there, and last; detectors that ran nowhere
        (not installed, not begun) and sets that nobody has finished are left out."""
        cells = self.of(protocol)
        ran = cells.groupby("detector")["status"].agg(lambda status: not status.isin(["skipped", "missing"]).all())
        cells = cells[cells["detector"].map(ran)]
        means = _over_seeds(cells, ["dataset", "detector"], metric).rename("mean").reset_index()
        values = means.pivot(index="dataset", columns="detector", values="mean").dropna(how="all")  # noqa: PD010
        order = [entry.id for entry in self.config.detectors if entry.id in values.columns]
        values = values[order + [name for name in values.columns if name not in order]]
        family = cells.drop_duplicates("dataset").set_index("dataset")["family"].reindex(values.index)
        sd = cells.groupby(["dataset", "detector"])[metric].std(ddof=1).groupby("detector").mean()
        return Panel(metric, values, family, sd)

    def rivals(self, detectors: list[str]) -> list[tuple[str, str]]:
        """The configuration's pairs, or each odkit detector with its namesake of another library."""
        if self.config.rivals:
            return [pair for pair in self.config.rivals if set(pair) <= set(detectors)]
        names = {d: d.replace("(", ".").replace(" ", ".").split(".")[1] if "." in d else d for d in detectors}
        ours = [d for d in detectors if d.startswith("odkit.")]
        others = [d for d in detectors if not d.startswith("odkit.")]
        return [(a, b) for a in ours for b in others if names[a] == names[b]]


def _over_seeds(cells: pd.DataFrame, keys: list[str], metric: str) -> pd.Series:
    """The mean over the seeds for which the metric is defined; NaN where a seed has failed or has not run."""
    grouped = cells.groupby(keys)
    whole = grouped["status"].agg(lambda status: (status == "ok").all())
    return grouped[metric].mean().astype(np.float64).where(whole)


def read_results(run_dir: str | Path) -> Results:
    """The results of a run folder under its newest configuration: its detectors and protocols, whatever earlier
    configurations have left there beside them. Runs of parts (`--only`) add up."""
    with Ledger(run_dir) as ledger:
        runs = ledger.rows("SELECT * FROM runs ORDER BY created_at DESC, rowid DESC")
        planned = ledger.rows(CELLS)
        if not planned:
            raise ValueError(f"{run_dir}: no run has been planned in this folder")
        text = runs[0]["config"]
        config = _parse(text)
        metrics = pd.DataFrame(ledger.rows("SELECT * FROM metrics WHERE value IS NOT NULL"))
        envs = {row["env_id"]: json.loads(row["env_json"]) for row in ledger.rows("SELECT * FROM envs")}
    cells = pd.DataFrame(planned)
    cells["status"] = cells["status"].fillna("missing")
    cells["seed"] = cells["seed"].astype(np.int64)
    protocols = [canonical_json(protocol.identity()) for protocol in config.protocol]
    detectors = [entry.id for entry in config.detectors]
    left_out = tuple(sorted(set(cells["detector"]) - set(detectors)))
    cells = cells[cells["protocol_json"].isin(protocols) & cells["detector"].isin(detectors)]
    cells = cells.drop_duplicates(["dataset", "protocol_json", "detector", "seed"], ignore_index=True)
    names = config.metrics
    if not metrics.empty:
        wide = metrics.pivot_table(index="cell_id", columns="metric", values="value")
        names = (*names, *(name for name in wide.columns if name not in names and "." not in name))
        cells = cells.merge(wide, how="left", left_on="cell_id", right_index=True)
    for name in names:
        if name not in cells:
            cells[name] = np.nan
    return Results(config, text, runs[0]["suite"], runs[0]["suite_sha"], cells, names, left_out, envs)


def _parse(text: str) -> Config:
    try:
        return parse_config(text)
    except ValueError:
        return parse_config(text, toml=True)
