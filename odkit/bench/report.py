"""One HTML page about a run: failures first, then what was run, who leads, by how much, and whether it means anything.

The page is one file: styles, figures and the few lines of script for sorting are inside, and it loads nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from odkit import pages
from odkit.atomic import whole_file
from odkit.bench import figures, stats, summaries
from odkit.bench.compare import compare_runs
from odkit.bench.config import Protocol
from odkit.bench.markdown import report_markdown
from odkit.bench.panel import Panel
from odkit.bench.tables import Results

__all__ = ["report_html", "write_report"]

TEMPLATE = Path(__file__).with_name("report.html.j2")
NUMBERS = r"\d[\d.]*(, \d[\d.]*)*"
MAX_HOLM = 12  # methods in the matrix of adjusted p-values, the best by rank


def write_report(results: Results, out: str | Path, baseline: Results | None = None) -> int:
    """Write the page, or its head as Markdown where `out` ends in .md, and return the size in bytes."""
    markdown = Path(out).suffix == ".md"
    data = (report_markdown(results) if markdown else report_html(results, baseline)).encode()
    with whole_file(out) as file:
        file.write(data)
    return len(data)


def report_html(results: Results, baseline: Results | None = None) -> str:
    """The page as text; `baseline` adds the section on what changed."""
    environment = pages.environment()
    environment.filters |= {"figure": _figure, "cells": _cells}
    cells = results.cells
    changes = None
    if baseline is not None:
        changes = compare_runs(results, baseline)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        sorting=pages.SORTING,
        suite=results.suite,
        suite_sha=results.suite_sha,
        config=results.config_text,
        rope=results.config.rope,
        ranked=results.config.ranked(),
        counts=cells["status"].value_counts().to_dict(),
        failures=_failures(cells),
        leaks=_leaks(cells),
        warnings=_warnings(cells),
        envs=results.envs,
        sections=[_section(results, protocol) for protocol in results.protocols()],
        changes=None if changes is None else changes.to_dict("records"),
    )


def _figure(value: Any) -> str:
    """A number as the tables show it: four decimals, or three digits where it is large; a dash for nothing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, float):
        return (
            f"{value:.4f}"
            if abs(value) < 10
            else f"{value:.1f}"
            if abs(value) < 100
            else f"{value:.0f}"
            if abs(value) < 1e6
            else f"{value:.3g}"
        )
    return str(value)


def _cells(row: Any) -> list[Any]:
    """A row's values: of a dict, of a (name, values) pair, or the row itself."""
    if isinstance(row, dict):
        return list(row.values())
    if isinstance(row, tuple):
        return [row[0], *row[1]]
    return list(row)


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1][:200] if lines else ""


def _failures(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Cells without a result, those of one detector with one reason, but for its numbers, on one line."""
    bad = cells[cells["status"] != "ok"].copy()
    if bad.empty:
        return []
    bad["reason"] = [_last_line(text) for text in bad["error_tail"]]
    bad["error_type"] = bad["error_type"].fillna("")
    alike = bad["reason"].str.replace(NUMBERS, "0", regex=True)  # the same words about other numbers
    groups = bad.groupby(["status", "detector", "error_type", alike.rename("alike")], sort=True)
    return [
        {"status": key[0], "detector": key[1], "n": len(group), "kind": key[2], "reason": group["reason"].iloc[0],
         "datasets": ", ".join(sorted(set(group["dataset"]))[:8]) + (" ..." if group["dataset"].nunique() > 8 else "")}
        for key, group in groups
    ]  # fmt: skip


def _leaks(cells: pd.DataFrame) -> list[dict[str, Any]]:
    found = cells[cells["leak"].fillna("") != ""]
    return [
        {"detector": name, "leak": leak, "n": len(rows), "of": int((cells["detector"] == name).sum())}
        for (name, leak), rows in found.groupby(["detector", "leak"])
    ]


def _warnings(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Constant scores, and what the detectors warned of, by detector."""
    rows = []
    constant = cells[cells["n_unique_scores"] == 1]
    for name, group in constant.groupby("detector"):
        rows.append({"detector": name, "what": "all scores are equal", "n": len(group)})
    said = cells[cells["warnings"].fillna("") != ""]
    for (name, text), group in said.groupby(["detector", said["warnings"].str.slice(0, 160)]):
        rows.append({"detector": name, "what": text, "n": len(group)})
    return rows[:60]


def _section(results: Results, protocol: str) -> dict[str, Any]:
    """Everything under one protocol; nothing is averaged over two."""
    metric = results.config.ranked()[0]
    panel = results.panel(protocol, metric)
    headline = summaries.headline(results, protocol)
    pairs = stats.pairwise(panel.blocks, rope=results.config.rope)
    statistic, p = stats.friedman(panel.complete.to_numpy())
    timed = headline.assign(seconds=headline["median fit_s"] + headline["median score_s"])
    duels = summaries.duels(results, protocol)
    leader = next((name for name in panel.ranks.sort_values().index if name.startswith("odkit.")), panel.ranks.idxmin())
    against = summaries.duels(results, protocol, [(leader, other) for other in panel.blocks.columns if other != leader])
    return {
        "title": Protocol(**json.loads(protocol)).title(),
        "metric": metric,
        "n_sets": len(panel.values),
        "n_blocks": len(panel.blocks),
        "n_complete": len(panel.complete),
        "columns": list(headline.columns),
        "headline": [(name, _row(row)) for name, row in headline.iterrows()],
        "n_finishers": panel.complete.shape[1],
        "complete": _rows(summaries.on_complete(results, protocol)),
        "over_sets": _rows(summaries.over_sets(results, protocol)),
        "friedman": (statistic, p),
        "diagram": figures.critical_difference(panel.ranks, stats.cliques(panel.ranks, pairs)),
        "scatter": figures.speed_accuracy(timed, metric),
        "holm": _holm_matrix(panel, pairs),
        "duels": duels.to_dict("records"),
        "leader": leader,
        "against": against.to_dict("records"),
        "heats": [_heat(results.panel(protocol, name)) for name in results.config.ranked()],
        "seed_sd": {name: value for name, value in panel.seed_sd.items() if np.isfinite(value)},
        "pooled": _pooled(summaries.pooled(results, protocol)),
        "datasets": _datasets(results, protocol, metric),
    }


def _pooled(table: pd.DataFrame) -> dict[str, Any]:
    """Event counts per family, as head and rows; an absent family is a dash."""
    return {"columns": list(table.columns), "rows": table.astype(object).where(table.notna(), None).to_numpy().tolist()}


def _rows(table: pd.DataFrame) -> dict[str, Any]:
    """Head and rows of a table by detector."""
    rows = [[name, *row] for name, row in zip(table.index, table.itertuples(index=False), strict=True)]
    return {"columns": ["detector", *table.columns], "rows": rows}


def _row(row: pd.Series) -> list[Any]:
    """Counts as integers, the rest as they are."""
    counts = {"ok", "failed", "skipped", "missing"}
    return [int(value) if name in counts else float(value) for name, value in row.items()]


def _holm_matrix(panel: Panel, pairs: pd.DataFrame) -> dict[str, Any]:
    """Adjusted p-values between the best methods, in order of rank."""
    names = list(panel.ranks.sort_values(kind="stable").index[:MAX_HOLM])
    p = {frozenset((row.a, row.b)): row.p_holm for row in pairs.itertuples()}
    return {"names": names, "rows": [(a, [p.get(frozenset((a, b))) for b in names]) for a in names]}


def _heat(panel: Panel) -> dict[str, Any]:
    order = list(panel.ranks.sort_values(kind="stable").index)
    rows = []
    for name, row in panel.values[order].iterrows():
        low, high = np.nanmin(row), np.nanmax(row)
        rows.append((name, [(float(v), figures.heat(v, low, high)) for v in row]))
    return {"metric": panel.metric, "names": order, "rows": rows}


def _datasets(results: Results, protocol: str, metric: str) -> list[dict[str, Any]]:
    """A table per data set: every detector with its interval, status and ties."""
    sections = []
    steps = [name for name in results.cells if ".adjacent_auc_" in name or ".auc_0_vs_" in name]
    names = dict.fromkeys((metric, *results.metrics, *steps))
    shown = [name for name in names if results.of(protocol)[name].notna().any()]
    heads = [name.split(".")[-1] for name in shown]  # parts of a metric by their own names
    columns = ["detector", "seed", "status", *heads, "ROC 95 % interval", "fit s", "score s", "tied"]
    for dataset, cells in results.of(protocol).groupby("dataset"):
        facts = cells[cells["n_train"].notna()]
        first = facts.iloc[0] if len(facts) else None
        order = cells.sort_values([metric, "detector"], ascending=[False, True], kind="stable")
        rows = [
            [cell["detector"], int(cell["seed"]), cell["status"], *(_float(cell[name]) for name in shown),
             _interval(cell), _float(cell["fit_s"]), _float(cell["score_s"]), _float(cell["tie_fraction"])]
            for _, cell in order.iterrows()
        ]  # fmt: skip
        sections.append(
            {
                "name": dataset,
                "family": cells["family"].iloc[0],
                "facts": {} if first is None else {
                    "training rows": int(first["n_train"]), "scored rows": int(first["n_test"]),
                    "columns": int(first["d"]), "outlier rate": _float(first["outlier_rate"]),
                    "duplicates in train": _float(first["train_dup"]), "scored rows also in train":
                    _float(first["test_overlap"]), "constant columns": int(first["constant_columns"]),
                },
                "columns": columns,
                "rows": rows,
            }
        )  # fmt: skip
    return sections


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _interval(cell: pd.Series) -> str:
    return "" if pd.isna(cell["roc_low"]) else f"{cell['roc_low']:.3f} to {cell['roc_high']:.3f}"
