"""The head of a report as Markdown: protocol, counts, headline, namesakes, the leader against everyone."""

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from odkit.bench import stats
from odkit.bench.config import Protocol
from odkit.bench.tables import Results

__all__ = ["report_markdown"]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return [*lines, ""]


def _duels(table: pd.DataFrame) -> list[str]:
    return _table(table.columns, table.itertuples(index=False)) if len(table) else []


def report_markdown(results: Results) -> str:
    """The tables of section 3 of the page, per protocol, with the failures counted by detector and status."""
    lines: list[str] = []
    for protocol in results.protocols():
        metric = results.config.ranked()[0]
        panel = results.panel(protocol, metric)
        cells = results.of(protocol)
        statistic, p = stats.friedman(panel.blocks.to_numpy())
        lines += [
            f"### {results.suite}: {Protocol(**json.loads(protocol)).title()}",
            "",
            f"{len(panel.values)} data sets in {len(panel.blocks)} families, {len(panel.complete)} finished by every "
            f"detector. Friedman on {metric}: chi-square {_cell(statistic)}, p {p:.2g}. Ranks over families, 1 = best.",
            "",
        ]
        headline = results.headline(protocol)
        counts = [name for name in ("ok", "failed", "skipped", "missing") if name in headline]
        headline[counts] = headline[counts].astype(int).astype(object)
        shown = headline.drop(columns=[c for c in counts if not headline[c].any()])
        lines += _table(["detector", *shown.columns], ([name, *row] for name, row in shown.iterrows()))
        bad = cells[~cells["status"].isin(["ok", "missing"])]
        if len(bad):
            said = [f"{name} {status} {n}" for (name, status), n in bad.groupby(["detector", "status"]).size().items()]
            lines += [f"Without a result: {', '.join(said)}.", ""]
        leaky = sorted(cells.loc[cells["leak"].fillna("") != "", "detector"].unique())
        if leaky:
            lines += [f"Scores depend on the batch: {', '.join(leaky)}.", ""]
        pooled = results.pooled(protocol)
        if len(pooled):
            lines += ["Events: F1 [found, false, missed] summed over the series of a family.", ""]
            lines += _table(pooled.columns, pooled.astype(object).where(pooled.notna(), None).itertuples(index=False))
        duels = results.duels(protocol)
        if len(duels):
            lines += [f"Namesakes, paired by family on {metric} (a minus b; ties within {results.config.rope}).", ""]
            lines += _duels(duels)
        ours = [name for name in panel.ranks.sort_values(kind="stable").index if name.startswith("odkit.")]
        if ours:
            against = results.duels(protocol, [(ours[0], other) for other in panel.blocks if other != ours[0]])
            lines += [f"{ours[0]}, odkit's best by rank, against everyone.", "", *_duels(against)]
    return "\n".join(lines)
