"""The head of a report as Markdown: protocol, counts, headline, namesakes, the leader against everyone."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from odkit.bench import stats, summaries
from odkit.bench.config import Protocol
from odkit.bench.panel import Panel
from odkit.bench.probes import BATCH_DEPENDENT, NOT_PROBED, SEEN_TEST, TEST_REMEMBERED
from odkit.bench.tables import Results

__all__ = ["report_markdown"]

ALPHA = 0.05
MOST_SETS = 12  # of a table with a column for each
LEAKS = {
    BATCH_DEPENDENT: "Scores depend on the batch",
    TEST_REMEMBERED: "Scores of training rows change with the test rows",
    SEEN_TEST: "Preprocessing has looked at the test rows",
    NOT_PROBED: "The leak probe was refused by",
}


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


def _by_detector(title: str, of: Callable, results: Results, protocol: str) -> list[str]:
    table = of(results, protocol)
    if table.empty:
        return []
    rows = zip(table.index, table.itertuples(index=False), strict=True)
    return [title, "", *_table(["detector", *table.columns], ([name, *row] for name, row in rows))]


def _by_set(panel: Panel) -> list[str]:
    """Every value of a suite that is small enough to be read."""
    if panel.values.empty or len(panel.values) > MOST_SETS:
        return []
    order = panel.ranks.sort_values(kind="stable").index
    rows = [[name, *panel.values[name]] for name in order]
    return [f"{panel.metric} by data set, mean over seeds.", "", *_table(["detector", *panel.values.index], rows)]


def _findings(leak: pd.Series, detector: pd.Series) -> list[str]:
    """Who leaks, by kind of leak; and whom the probe could not ask."""
    lines = []
    for finding, words in LEAKS.items():
        who = sorted(detector[leak.str.contains(finding, regex=False)].unique())
        if who:
            lines += [f"{words}: {', '.join(who)}.", ""]
    return lines


def _separated(panel: Panel, rope: float) -> list[str]:
    """What Wilcoxon with Holm over all pairs separates, the short form of the page's matrix."""
    pairs = stats.pairwise(panel.blocks, rope=rope)
    apart = pairs[pairs["p_holm"] < ALPHA]
    if apart.empty:
        return [f"Holm over {len(pairs)} pairs on {panel.metric}: nothing is separated at {ALPHA}.", ""]
    better: dict[str, list[str]] = {}
    for row in apart.itertuples():
        first, second = (row.a, row.b) if panel.ranks[row.a] < panel.ranks[row.b] else (row.b, row.a)
        better.setdefault(first, []).append(second)
    order = [name for name in panel.ranks.sort_values(kind="stable").index if name in better]
    said = "; ".join(f"{name} from {', '.join(better[name])}" for name in order)
    return [f"Holm over {len(pairs)} pairs on {panel.metric} separates at {ALPHA}: {said}.", ""]


def report_markdown(results: Results) -> str:
    """The tables of section 3 of the page, per protocol, with the failures counted by detector and status."""
    lines: list[str] = []
    for protocol in results.protocols():
        metric = results.config.ranked()[0]
        panel = results.panel(protocol, metric)
        cells = results.of(protocol)
        statistic, p = stats.friedman(panel.complete.to_numpy())
        finishers = panel.complete.shape[1]
        who = "every detector" if finishers == panel.blocks.shape[1] else f"each of the {finishers} that finished any"
        lines += [
            f"### {results.suite}: {Protocol(**json.loads(protocol)).title()}",
            "",
            f"{len(panel.values)} data sets in {len(panel.blocks)} families, {len(panel.complete)} finished by {who}. "
            f"Friedman on {metric}: chi-square {_cell(statistic)}, p {p:.2g}. Ranks over families, 1 = best.",
            "",
        ]
        headline = summaries.headline(results, protocol)
        counts = [name for name in ("ok", "failed", "skipped", "missing") if name in headline]
        headline[counts] = headline[counts].astype(int).astype(object)
        shown = headline.drop(columns=[c for c in counts if not headline[c].any()])
        lines += _table(["detector", *shown.columns], ([name, *row] for name, row in shown.iterrows()))
        bad = cells[~cells["status"].isin(["ok", "missing"])]
        if len(bad):
            said = [f"{name} {status} {n}" for (name, status), n in bad.groupby(["detector", "status"]).size().items()]
            lines += [f"Without a result: {', '.join(said)}.", ""]
        lines += _findings(cells["leak"].fillna(""), cells["detector"])
        lines += _by_detector(
            "Complete cases: families that all of these finished.", summaries.on_complete, results, protocol
        )
        lines += _by_detector(
            "Means over data sets beside means over families.", summaries.over_sets, results, protocol
        )
        pooled = summaries.pooled(results, protocol)
        if len(pooled):
            lines += ["Events: F1 [found, false, missed] summed over the series of a family.", ""]
            lines += _table(pooled.columns, pooled.astype(object).where(pooled.notna(), None).itertuples(index=False))
        for name in results.config.ranked():
            lines += _by_set(results.panel(protocol, name))
        lines += _separated(panel, results.config.rope)
        duels = summaries.duels(results, protocol)
        if len(duels):
            lines += [f"Namesakes, paired by family on {metric} (a minus b; ties within {results.config.rope}).", ""]
            lines += _duels(duels)
        ours = [name for name in panel.ranks.sort_values(kind="stable").index if name.startswith("odkit.")]
        if ours:
            against = summaries.duels(
                results, protocol, [(ours[0], other) for other in panel.blocks if other != ours[0]]
            )
            lines += [f"{ours[0]}, odkit's best by rank, against everyone.", "", *_duels(against)]
    return "\n".join(lines)
