"""The ledger as tables: one row per cell, a panel of data sets x detectors, a summary per detector."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from odkit.bench import stats
from odkit.bench.config import Config, parse_config
from odkit.bench.contestants import canonical_json
from odkit.bench.ledger import CELL_COLUMNS, PLANNED, Ledger

__all__ = ["Panel", "Results", "read_results"]

PARTS = ("tp", "fp", "fn", "null_tp", "null_fp", "null_fn")
# newest run first: where a configuration was changed and run again, the later cell stands for the earlier one
RESULT_COLUMNS = [name for name in CELL_COLUMNS if name not in (*PLANNED, "run_id")]
CELLS = f"""
SELECT {", ".join(f"planned.{name}" for name in PLANNED)}, {", ".join(f"cells.{name}" for name in RESULT_COLUMNS)}
FROM planned JOIN runs USING (run_id) LEFT JOIN cells USING (cell_id)
ORDER BY runs.created_at DESC, runs.rowid DESC, planned.cell_id
"""


@dataclass(frozen=True)
class Panel:
    """One metric under one protocol: `values` is data sets x detectors (seeds averaged), NaN = failed or missing.

    `blocks` are the family means that every statistic is computed on; a detector that failed on one set of a family
    has failed on the family.
    """

    metric: str
    values: pd.DataFrame
    family: pd.Series
    seed_sd: pd.Series

    @cached_property
    def blocks(self) -> pd.DataFrame:
        return stats.family_means(self.values, self.family)

    @cached_property
    def complete(self) -> pd.DataFrame:
        return self.blocks.dropna()

    @cached_property
    def ranks(self) -> pd.Series:
        return pd.Series(stats.average_ranks(self.blocks.to_numpy()), index=self.blocks.columns, name="rank")

    @cached_property
    def complete_ranks(self) -> pd.Series:
        if self.complete.empty:
            return pd.Series(np.nan, index=self.blocks.columns)
        return pd.Series(stats.average_ranks(self.complete.to_numpy()), index=self.blocks.columns)


@dataclass(frozen=True)
class Results:
    """Everything a report shows. `cells` has one row per planned cell, a column per metric, status "missing" for
    cells that have not run."""

    config: Config
    config_text: str
    suite: str
    suite_sha: str
    cells: pd.DataFrame
    metrics: tuple[str, ...]
    envs: dict[str, dict[str, Any]]

    def protocols(self) -> list[str]:
        """Protocols of the configuration, as canonical JSON, with a value of the first metric to rank by."""
        ranked = self.cells[self.config.ranked()[0]]
        found = set(self.cells["protocol_json"][ranked.notna()])
        return [text for p in self.config.protocol if (text := canonical_json(p.identity())) in found]

    def of(self, protocol: str) -> pd.DataFrame:
        return self.cells[self.cells["protocol_json"] == protocol]

    def panel(self, protocol: str, metric: str) -> Panel:
        """One metric under one protocol. Detectors that ran nowhere (not installed) and sets that nobody has finished
        are left out."""
        cells = self.of(protocol)
        ran = cells.groupby("detector")["status"].agg(lambda status: not (status == "skipped").all())
        cells = cells[cells["detector"].map(ran)]
        grouped = cells.groupby(["dataset", "detector"])[metric]
        means = grouped.agg(lambda column: column.mean(skipna=False)).astype(np.float64).reset_index()
        values = means.pivot_table(index="dataset", columns="detector", values=metric).dropna(how="all")
        order = [entry.id for entry in self.config.detectors if entry.id in values.columns]
        values = values[order + [name for name in values.columns if name not in order]]
        family = cells.drop_duplicates("dataset").set_index("dataset")["family"].reindex(values.index)
        sd = grouped.std(ddof=1).groupby("detector").mean()
        return Panel(metric, values, family, sd)

    def headline(self, protocol: str) -> pd.DataFrame:
        """One row per detector: ranks, family means of each metric, Elo with interval, failures, times, memory."""
        cells = self.of(protocol)
        panels = {name: self.panel(protocol, name) for name in self.metrics if cells[name].notna().any()}
        first = panels[self.config.ranked()[0]]
        by = cells.groupby("detector")
        table = pd.DataFrame(index=first.values.columns)
        for name in self.config.ranked():
            if name in panels:
                table[f"rank {name}"] = panels[name].ranks
        table["rank, complete"] = first.complete_ranks
        for name, panel in panels.items():
            table[name] = panel.blocks.mean(skipna=True)
        table[["elo", "elo low", "elo high"]] = stats.bradley_terry(first.blocks)[["elo", "low", "high"]]
        table["ok"] = by["status"].agg(lambda status: int((status == "ok").sum()))
        table["failed"] = by["status"].agg(lambda status: int((~status.isin(["ok", "skipped", "missing"])).sum()))
        table["skipped"] = by["status"].agg(lambda status: int((status == "skipped").sum()))
        table["missing"] = by["status"].agg(lambda status: int((status == "missing").sum()))
        for column in ("fit_s", "score_s"):
            table[f"median {column}"] = by[column].median()
        table["peak MB"] = by["peak_rss_mb"].max()
        return table.sort_values(table.columns[0], kind="stable")

    def pooled(self, protocol: str) -> pd.DataFrame:
        """Events summed over the series of a family: F1 of the sums, their mean over families, the share of time
        alarmed, and the F1 of the same alarms at random places. One row per threshold and detector; empty for rows."""
        cells = self.of(protocol)
        series = cells["dataset"].nunique()
        rows = []
        for name in (name for name in self.metrics if f"{name}.tp" in cells and cells[name].notna().any()):
            sums = (
                cells[cells["status"] == "ok"]
                .groupby(["detector", "family"])[[f"{name}.{part}" for part in PARTS]]
                .sum()
            )
            sums.columns = list(PARTS)
            for detector, counts in sums.groupby("detector"):
                f1 = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
                null = 2 * counts["null_tp"] / (2 * counts["null_tp"] + counts["null_fp"] + counts["null_fn"])
                own = cells[(cells["detector"] == detector) & (cells["status"] == "ok")]
                shown = {
                    family: f"{value:.3f} [{c.tp:.0f}, {c.fp:.0f}, {c.fn:.0f}]"
                    for family, value, c in zip(counts.droplevel(0).index, f1, counts.itertuples(), strict=True)
                }
                figures = {
                    "series": f"{len(own)} of {series}",
                    "mean": f1.mean(),
                    "alarmed": own[f"{name}.alarmed"].mean(),
                    "by chance": null.mean(),
                }
                rows.append({"threshold": name, "detector": detector, **figures, **shown})
        table = pd.DataFrame(rows)
        return table.sort_values(["threshold", "mean"], ascending=[True, False]) if rows else table

    def duels(self, protocol: str, pairs: list[tuple[str, str]] | None = None) -> pd.DataFrame:
        """Paired comparison a against b on the blocks both finished, on the first ranked metric."""
        blocks = self.panel(protocol, self.config.ranked()[0]).blocks
        chosen = self.rivals(list(blocks.columns)) if pairs is None else pairs
        rows = []
        for a, b in chosen:
            difference = (blocks[a] - blocks[b]).dropna().to_numpy()
            if not difference.size:
                continue
            worse, same, better = stats.bayes_signed_rank(difference, rope=self.config.rope)
            won, tied, lost = stats.win_tie_loss(difference, rope=self.config.rope)
            middle, low = np.quantile(difference, [0.5, 0.1])
            rows.append(
                {"a": a, "b": b, "n": difference.size, "won": won, "tied": tied, "lost": lost, "median": middle,
                 "q10": low, "mean": difference.mean(), "p": stats.signed_rank_p(difference)[1], "P(worse)": worse,
                 "P(same)": same, "P(better)": better}
            )  # fmt: skip
        return pd.DataFrame(rows)

    def rivals(self, detectors: list[str]) -> list[tuple[str, str]]:
        """The configuration's pairs, or each odkit detector with its namesake of another library."""
        if self.config.rivals:
            return [pair for pair in self.config.rivals if set(pair) <= set(detectors)]
        names = {d: d.replace("(", ".").replace(" ", ".").split(".")[1] if "." in d else d for d in detectors}
        ours = [d for d in detectors if d.startswith("odkit.")]
        others = [d for d in detectors if not d.startswith("odkit.")]
        return [(a, b) for a in ours for b in others if names[a] == names[b]]


def read_results(run_dir: str | Path) -> Results:
    """The results of a run folder under its newest configuration: its detectors and protocols, whatever earlier
    configurations have left there beside them. Runs of parts (`--only`) add up."""
    with Ledger(run_dir) as ledger:
        runs = ledger.rows("SELECT * FROM runs ORDER BY created_at DESC")
        if not runs:
            raise ValueError(f"{run_dir}: no run has been planned in this folder")
        text = runs[0]["config"]
        config = _parse(text)
        cells = pd.DataFrame(ledger.rows(CELLS))
        metrics = pd.DataFrame(ledger.rows("SELECT * FROM metrics WHERE value IS NOT NULL"))
        envs = {row["env_id"]: json.loads(row["env_json"]) for row in ledger.rows("SELECT * FROM envs")}
    cells["status"] = cells["status"].fillna("missing")
    protocols = [canonical_json(protocol.identity()) for protocol in config.protocol]
    detectors = [entry.id for entry in config.detectors]
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
    return Results(config, text, runs[0]["suite"], runs[0]["suite_sha"], cells, names, envs)


def _parse(text: str) -> Config:
    try:
        return parse_config(text)
    except ValueError:
        return parse_config(text, toml=True)
