"""HypAD on the five development groups: which part of its score earns its place.

Run: python -m benchmarks.series.hypad RUN_DIR [seconds], then ... RUN_DIR average for the mean of the seeds' scores
Needs the data folder (ODKIT_DATA_HOME) and torch. Results go to RUN_DIR, one file per variant, seed and group, after
every signal; a stopped run goes on where it was. Without cells left, or after `seconds`, it prints the table of what
is there. All cells: about half an hour on one core.

One trained model is scored in six ways. Training is that of the defaults: 120 batches of 128 windows at a rate of 2e-3.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.series.protocol import (
    THRESHOLDS,
    Signal,
    mean_volumes,
    pooled_events,
    published,
    signal_events,
    signal_volumes,
    signals,
)
from benchmarks.timing import machine
from odkit import HypAD
from odkit.series.hypad_factors import FACTORS, joined

TRAINING = {"epochs": 24, "max_train_windows": 640, "learning_rate": 2e-3, "n_critic": 3}
VARIANTS: dict[str, dict[str, Any]] = {
    "conv": {},
    "mlp": {"backbone": "mlp"},
    "conv forecast": {"task": "forecast"},
    "mlp forecast": {"backbone": "mlp", "task": "forecast"},
    "lstm": {"backbone": "lstm"},
    "conv, untrained critic": {"n_critic": 0},
    "mlp, learned head": {"backbone": "mlp", "head": "learned"},
    "mlp, published": {"backbone": "mlp", "published": True},
}
ALL, NAB = ("SMAP", "Art", "AdEx", "AWS", "Traffic"), ("Art", "AdEx", "AWS", "Traffic")
CELLS = [  # variant, seed, groups; what matters most first
    ("conv", 0, ALL),
    ("mlp", 0, ALL),
    ("conv", 1, ALL),
    ("conv, untrained critic", 0, ALL),
    ("mlp, published", 0, NAB),
    ("mlp, learned head", 0, NAB),
    ("conv", 2, ALL),
    ("conv forecast", 0, NAB),
    ("mlp forecast", 0, NAB),
    ("conv, untrained critic", 1, ALL),
    ("conv, untrained critic", 2, ALL),
    ("mlp", 1, ALL),
    ("mlp", 2, ALL),
    ("lstm", 0, ("Art",)),
]
KEPT = ("rec", "rec_uncertainty", "euclidean")  # whose scores are kept, to be averaged over seeds


def measure(signal: Signal, variant: str, seed: int) -> tuple[dict[str, Any], NDArray]:
    """Every combination of factors of one trained model; the scores of those that are kept."""
    start = time.perf_counter()
    detector = HypAD(**(TRAINING | VARIANTS[variant]), random_state=seed).fit(signal.train)
    steps = detector.components(signal.test)
    seconds = time.perf_counter() - start
    result: dict[str, Any] = {"seconds": seconds, "norm": detector.norm_mean_, "norm_cv": detector.norm_cv_}
    scores = {combination: joined(steps, detector.usual_, names) for combination, names in FACTORS.items()}
    result |= {combination: figures(signal, score) for combination, score in scores.items()}
    return result, np.stack([scores[name] for name in KEPT]).astype(np.float32)


def figures(signal: Signal, score: NDArray) -> dict[str, Any]:
    row: dict[str, Any] = {mode: signal_events(signal, score, each) for mode, each in THRESHOLDS.items()}
    return row | {"vus": signal_volumes(signal, score)}


def run(folder: Path, budget: float) -> None:
    """Fill the cells in their order until the time is over."""
    begin, groups = time.perf_counter(), signals()
    for variant, seed, wanted in CELLS:
        for group in wanted:
            path = _path(folder, variant, seed, group)
            done = json.loads(path.read_text()) if path.exists() else {}
            for signal in groups[group]:
                if signal.name in done:
                    continue
                if time.perf_counter() - begin > budget:
                    return
                done[signal.name], scores = measure(signal, variant, seed)
                np.save(_kept(folder, variant, seed, signal), scores)
                path.write_text(json.dumps(done))


def _path(folder: Path, variant: str, seed: int, group: str) -> Path:
    return folder / f"{variant.replace(', ', '-').replace(' ', '-')}.{seed}.{group}.json"


def _kept(folder: Path, variant: str, seed: int, signal: Signal) -> Path:
    return folder / f"{variant}.{seed}.{signal.name}.npy".replace("/", "-").replace(", ", "-").replace(" ", "-")


def averaged(folder: Path, variant: str, seeds: tuple[int, ...]) -> None:
    """The mean of the scores of several seeds, as one detector."""
    groups = signals()
    scores = {
        group: [np.mean([np.load(_kept(folder, variant, seed, each)) for seed in seeds], axis=0) for each in members]
        for group, members in groups.items()
    }
    print(f"{variant}: mean of the scores of seeds {seeds}")
    for i, combination in enumerate(KEPT):
        rows = {
            group: [
                {combination: figures(signal, score[i])} for signal, score in zip(members, scores[group], strict=True)
            ]
            for group, members in groups.items()
        }
        print(_line(combination, [_row(rows, combination)]))


def table(folder: Path) -> None:
    """Per variant and combination, mean over the seeds that are complete (sd behind where there are several)."""
    print(f"{'':40} {'F1 fixed':>13} {'F1 exact':>13} alarmed  null {'VUS-ROC':>9} {'VUS-PR':>13}   VUS-PR by group")
    for variant in VARIANTS:
        cells = [(seed, groups) for name, seed, groups in CELLS if name == variant]
        found = {}
        for seed, groups in cells:
            paths = {group: _path(folder, variant, seed, group) for group in groups}
            if all(path.exists() for path in paths.values()):
                found[seed] = {group: list(json.loads(path.read_text()).values()) for group, path in paths.items()}
        if not found:
            continue
        signals_, groups_ = [each for seed in found.values() for group in seed.values() for each in group], cells[0][1]
        informative = np.mean([each["norm_cv"] >= 0.01 and 0.01 <= each["norm"] <= 0.95 for each in signals_])
        print(
            f"{variant}: seeds {list(found)}, {len(signals_)} fits of {' '.join(groups_)}, "
            f"{np.mean([each['seconds'] for each in signals_]):.1f} s each, norm informative on {informative:.0%}"
        )
        for combination in FACTORS:
            print(_line(combination, [_row(groups, combination) for groups in found.values()]))
    print(published())


def _line(name: str, rows: list[list[float]]) -> str:
    mean, sd = np.mean(rows, axis=0), np.std(rows, axis=0)
    pm = [f"{m:.3f} +-{s:.3f}" if len(rows) > 1 else f"{m:.3f}       " for m, s in zip(mean, sd, strict=True)]
    by_group = " ".join(f"{value:.3f}" for value in mean[6:])
    spread = f"{pm[0]:>13} {pm[1]:>13} {mean[2]:7.3f} {mean[3]:5.3f} {mean[4]:9.3f} {pm[5]:>13}"
    return f"    {name:36} {spread}   {by_group}"


def _row(groups: dict[str, list[dict[str, Any]]], combination: str) -> list[float]:
    fixed, exact = (
        pooled_events({group: [each[combination][mode] for each in members] for group, members in groups.items()})
        for mode in ("fixed", "exact")
    )
    volumes = mean_volumes({group: [each[combination]["vus"] for each in members] for group, members in groups.items()})
    roc, pr = volumes["mean"]
    by_group = [volumes[group][1] for group in groups]
    return [fixed["F1"], exact["F1"], exact["alarmed"], exact["null"], roc, pr, *by_group]


if __name__ == "__main__":
    print(machine())
    run_dir = Path(sys.argv[1])
    run_dir.mkdir(parents=True, exist_ok=True)
    if sys.argv[2:] == ["average"]:
        averaged(run_dir, "conv", (1, 2))
    else:
        run(run_dir, float(sys.argv[2]) if len(sys.argv) > 2 else np.inf)
        table(run_dir)
