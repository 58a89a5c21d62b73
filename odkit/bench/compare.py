"""Did a detector get better or worse between two runs? Paired by data set, judged by posterior, never by eye."""

import json

import numpy as np
import pandas as pd

from odkit.bench import stats
from odkit.bench.config import Protocol
from odkit.bench.tables import Results

__all__ = ["compare_runs"]


def compare_runs(a: Results, b: Results) -> pd.DataFrame:
    """One row per protocol and detector that both runs hold: blocks, win/tie/loss, median, posterior of A being worse.

    The metric is A's primary one; failures of one run only are counted (`a failed`, `b failed`) and never imputed.

    Raises
    ------
    ValueError
        If the runs share no protocol and detector.
    """
    metric = a.config.ranked()[0]
    if metric not in b.metrics:
        raise ValueError(f"run B has no values of {metric}, the primary metric of run A; run it again with that metric")
    rows = []
    for protocol in a.protocols():
        if protocol not in b.protocols():
            continue
        left, right = a.panel(protocol, metric), b.panel(protocol, metric)
        for detector in left.values.columns.intersection(right.values.columns, sort=False):
            both = pd.DataFrame({"a": left.blocks[detector], "b": right.blocks[detector]})
            difference = (both["a"] - both["b"]).dropna().to_numpy()
            worse, same, better = stats.bayes_signed_rank(difference, rope=a.config.rope)
            won, tied, lost = stats.win_tie_loss(difference, rope=a.config.rope)
            rows.append(
                {"protocol": Protocol(**json.loads(protocol)).title(), "detector": detector, "metric": metric,
                 "blocks": difference.size, "won": won, "tied": tied, "lost": lost,
                 "median": float(np.median(difference)) if difference.size else float("nan"),
                 "largest": float(np.max(np.abs(difference))) if difference.size else float("nan"),
                 "a failed": int(both["a"].isna().sum()), "b failed": int(both["b"].isna().sum()),
                 "P(worse)": worse, "P(same)": same, "P(better)": better}
            )  # fmt: skip
    if not rows:
        raise ValueError("the two runs share no protocol and detector; nothing can be paired")
    return pd.DataFrame(rows)
