"""What a report says about each detector under one protocol, as tables."""

import numpy as np
import pandas as pd

from odkit.bench import stats
from odkit.bench.panel import Panel
from odkit.bench.tables import Results

__all__ = ["duels", "headline", "on_complete", "over_sets", "pooled"]

PARTS = ("tp", "fp", "fn", "null_tp", "null_fp", "null_fn")


def _panels(results: Results, protocol: str) -> dict[str, Panel]:
    """A panel for each metric that some detector has values of, the primary one first."""
    names = dict.fromkeys((*results.config.ranked(), *results.metrics))
    panels = {name: results.panel(protocol, name) for name in names}
    return {name: panel for name, panel in panels.items() if not panel.values.empty}


def headline(results: Results, protocol: str) -> pd.DataFrame:
    """One row per detector: ranks, the ranked metrics (family means), Elo with interval, failures; then the other
    metrics, times, memory."""
    panels = _panels(results, protocol)
    ranked = [name for name in results.config.ranked() if name in panels]
    first = panels[ranked[0]]
    by = results.of(protocol).groupby("detector")
    table = pd.DataFrame(index=first.values.columns)
    for name in ranked:
        table[f"rank {name}"] = panels[name].ranks
    table["rank, complete"] = first.complete_ranks
    for name in ranked:
        table[name] = panels[name].blocks.mean(skipna=True)
    table[["elo", "elo low", "elo high"]] = stats.bradley_terry(first.blocks)[["elo", "low", "high"]]
    table["ok"] = by["status"].agg(lambda status: int((status == "ok").sum()))
    table["failed"] = by["status"].agg(lambda status: int((~status.isin(["ok", "skipped", "missing"])).sum()))
    table["skipped"] = by["status"].agg(lambda status: int((status == "skipped").sum()))
    table["missing"] = by["status"].agg(lambda status: int((status == "missing").sum()))
    for name in (name for name in panels if name not in ranked):
        table[name] = panels[name].blocks.mean(skipna=True)
    for column in ("fit_s", "score_s"):
        table[f"median {column}"] = by[column].median()
    table["peak MB"] = by["peak_rss_mb"].max()
    return table.sort_values(table.columns[0], kind="stable")


def on_complete(results: Results, protocol: str) -> pd.DataFrame:
    """The complete-case table: ranks and means over the families that every detector finished which finished any.
    Empty where there is no such family."""
    panels = _panels(results, protocol)
    first = panels[results.config.ranked()[0]]
    families = first.complete.index
    if families.empty:
        return pd.DataFrame()
    table = pd.DataFrame(index=first.complete.columns)
    for name in (name for name in results.config.ranked() if name in panels):
        blocks = panels[name].blocks.reindex(index=families, columns=table.index)
        table[f"rank {name}"] = stats.average_ranks(blocks.to_numpy())
    for name, panel in panels.items():
        table[name] = panel.blocks.reindex(index=families, columns=table.index).mean(skipna=True)
    return table.sort_values(table.columns[0], kind="stable")


def over_sets(results: Results, protocol: str) -> pd.DataFrame:
    """Means over data sets, as most papers print them, beside those over families: the sets each detector finished."""
    panels = _panels(results, protocol)
    first = panels[results.config.ranked()[0]]
    table = pd.DataFrame({"sets": first.values.notna().sum(), "families": first.blocks.notna().sum()})
    for name in (name for name in dict.fromkeys((*results.config.ranked(), "ap")) if name in panels):
        table[f"{name}, sets"] = panels[name].values.mean(skipna=True)
        table[f"{name}, families"] = panels[name].blocks.mean(skipna=True)
    return table.reindex(first.ranks.sort_values(kind="stable").index)


def pooled(results: Results, protocol: str) -> pd.DataFrame:
    """Events summed over the series of a family: F1 of the sums, their mean over families, the share of time
    alarmed, and the F1 of the same alarms at random places. One row per threshold and detector; empty for rows."""
    cells = results.of(protocol)
    series = cells["dataset"].nunique()
    rows = []
    for name in (name for name in results.metrics if f"{name}.tp" in cells and cells[name].notna().any()):
        sums = (
            cells[cells["status"] == "ok"].groupby(["detector", "family"])[[f"{name}.{part}" for part in PARTS]].sum()
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


def duels(results: Results, protocol: str, pairs: list[tuple[str, str]] | None = None) -> pd.DataFrame:
    """Paired comparison a against b on the blocks both finished, on the first ranked metric."""
    blocks = results.panel(protocol, results.config.ranked()[0]).blocks
    chosen = results.rivals(list(blocks.columns)) if pairs is None else pairs
    rows = []
    for a, b in chosen:
        difference = (blocks[a] - blocks[b]).dropna().to_numpy()
        if not difference.size:
            continue
        worse, same, better = stats.bayes_signed_rank(difference, rope=results.config.rope)
        won, tied, lost = stats.win_tie_loss(difference, rope=results.config.rope)
        middle, low = np.quantile(difference, [0.5, 0.1])
        rows.append(
            {"a": a, "b": b, "n": difference.size, "won": won, "tied": tied, "lost": lost, "median": middle,
             "q10": low, "mean": difference.mean(), "p": stats.signed_rank_p(difference)[1], "P(worse)": worse,
             "P(same)": same, "P(better)": better}
        )  # fmt: skip
    return pd.DataFrame(rows)
