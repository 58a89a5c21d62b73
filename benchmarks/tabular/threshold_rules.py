"""Where to draw the line if nobody knows the share of outliers: the rules of `decide.thresholds` on known sets.

Run: python -m benchmarks.tabular.threshold_rules --cache FOLDER     (filled by benchmarks.tabular.consensus)

Every rule sees the training scores only. Over all sets in the folder, one-class and in sample, and over ten detectors:
the mean share of ordinary rows flagged (range over the detectors), the mean share of the outliers flagged, mean F1.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.tabular.consensus import MEMBERS
from odkit.decide import thresholds

RULES: dict[str, Callable[..., float]] = {
    "contamination .1": thresholds.contamination,
    "contamination .05": lambda scores: thresholds.contamination(scores, 0.05),
    "tukey 1.5": thresholds.tukey,
    "tukey 3": lambda scores: thresholds.tukey(scores, 3.0),
    "median_mad 3.5": thresholds.median_mad,
    "median_mad 6": lambda scores: thresholds.median_mad(scores, 6.0),
    "two_stage": thresholds.two_stage,
    "pareto_tail .01": lambda scores: thresholds.pareto_tail(scores, 0.01) if len(scores) >= 100 else np.inf,
}


def figures(found: dict[str, np.ndarray], member: str, rule: Callable[..., float]) -> tuple[float, float, float]:
    """Share of ordinary rows flagged, share of outliers flagged, F1."""
    n, truth = int(found["n"]), found["truth"].astype(bool)
    flagged = found[member][n:] > rule(found[member][:n])
    hits = (flagged & truth).sum()
    return flagged[~truth].mean(), flagged[truth].mean(), 2 * hits / max(flagged.sum() + truth.sum(), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    sets = [dict(np.load(path)) for path in sorted(parser.parse_args().cache.glob("*.npz"))]
    print(f"{len(sets)} sets, {len(MEMBERS)} detectors")
    print(f"{'rule':20}{'ordinary flagged':>20}{'outliers flagged':>20}{'F1':>8}")
    for name, rule in RULES.items():
        table = np.array([[figures(found, member, rule) for found in sets] for member in MEMBERS]).mean(axis=1)
        low, high = 100 * table[:, 0].min(), 100 * table[:, 0].max()
        found, f1 = table[:, 1].mean(), table[:, 2].mean()
        print(f"{name:20}{f'{low:.1f} to {high:.1f} %':>20}{100 * found:18.0f} %{f1:8.3f}", flush=True)


if __name__ == "__main__":
    main()
