"""Did a detector get better or worse between two runs? Paired by data set, judged by posterior, never by eye."""

import json

import numpy as np
import pandas as pd

from odkit.bench import stats
from odkit.bench.config import Protocol
from odkit.bench.contestants import canonical_json
from odkit.bench.tables import Results

__all__ = ["compare_runs", "regressions"]

CERTAIN = 0.95  # posterior from which on a difference counts

FAILED = ("timeout", "oom", "crash", "error", "nan_scores")


def compare_runs(a: Results, b: Results) -> pd.DataFrame:
    """One row per protocol and detector that both runs have tried: blocks, win/tie/loss, median, posterior of A being
    worse. The metric is A's primary one.

    Failures are counted in cells and never imputed: `a failed`, `b failed`, and `no longer ok`, the cells that B
    finished and A has failed or skipped. A detector that A finished nowhere has its row all the same.

    Raises
    ------
    ValueError
        If the runs share no protocol and detector.
    """
    metric = a.config.ranked()[0]
    if metric not in b.metrics:
        raise ValueError(f"run B has no values of {metric}, the primary metric of run A; run it again with that metric")
    rows = []
    for text in (canonical_json(protocol.identity()) for protocol in a.config.protocol):
        if a.of(text).empty or b.of(text).empty:
            continue
        left, right = a.panel(text, metric).blocks, b.panel(text, metric).blocks
        mine, theirs = _statuses(a, text), _statuses(b, text)
        for detector in (name for name in mine if name in theirs):
            status = pd.DataFrame({"a": mine[detector], "b": theirs[detector]})
            tried = status.isin(["ok", *FAILED]).any()
            if not tried.any():
                continue
            nothing = pd.Series(dtype=float)
            both = pd.DataFrame({"a": left.get(detector, nothing), "b": right.get(detector, nothing)})
            difference = (both["a"] - both["b"]).dropna().to_numpy()
            worse, same, better = stats.bayes_signed_rank(difference, rope=a.config.rope)
            won, tied, lost = stats.win_tie_loss(difference, rope=a.config.rope)
            rows.append(
                {"protocol": Protocol(**json.loads(text)).title(), "detector": detector, "metric": metric,
                 "blocks": difference.size, "won": won, "tied": tied, "lost": lost,
                 "median": float(np.median(difference)) if difference.size else float("nan"),
                 "largest": float(np.max(np.abs(difference))) if difference.size else float("nan"),
                 "a failed": int(status["a"].isin(FAILED).sum()), "b failed": int(status["b"].isin(FAILED).sum()),
                 "no longer ok": int((status["a"].isin([*FAILED, "skipped"]) & (status["b"] == "ok")).sum()),
                 "P(worse)": worse, "P(same)": same, "P(better)": better}
            )  # fmt: skip
    if not rows:
        raise ValueError("the two runs share no protocol and detector; nothing can be paired")
    return pd.DataFrame(rows)


def regressions(table: pd.DataFrame) -> list[str]:
    """What `compare_runs` found worse in A, in words: by more than the ROPE, or no longer finished."""
    worse = [f"{name} is worse by more than the ROPE" for name in table["detector"][table["P(worse)"] > CERTAIN]]
    gone = table[table["no longer ok"] > 0]
    return worse + [
        f"{name} no longer finishes {n} cells" for name, n in zip(gone["detector"], gone["no longer ok"], strict=True)
    ]


def _statuses(results: Results, protocol: str) -> dict[str, pd.Series]:
    """Per detector the status of each cell, by data set and seed."""
    cells = results.of(protocol)
    return {
        str(name): group.set_index(["dataset", "seed"])["status"]
        for name, group in cells.groupby("detector", sort=False)
    }
