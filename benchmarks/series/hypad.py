"""HypAD on the five development groups: which part of its score earns its place.

Run: python -m benchmarks.series.hypad RUN_DIR [seconds], then ... RUN_DIR ensembles for means of scores
Needs the data folder (ODKIT_DATA_HOME) and torch. Results go to RUN_DIR, one file per variant, seed and group, after
every signal; a stopped run goes on where it was. Without cells left, or after `seconds`, it prints the table of what
is there. All cells: about two hours on one core.

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
CHEAP = "conv, untrained critic"
VARIANTS: dict[str, dict[str, Any]] = {
    "conv": {},
    "mlp": {"backbone": "mlp"},
    "lstm": {"backbone": "lstm"},
    "conv forecast": {"task": "forecast"},
    "mlp forecast": {"backbone": "mlp", "task": "forecast"},
    CHEAP: {"n_critic": 0},
    "mlp, learned head": {"backbone": "mlp", "head": "learned"},
    "mlp, published": {"backbone": "mlp", "published": True},
    f"{CHEAP}, window 50": {"n_critic": 0, "window": 50},
    f"{CHEAP}, window 200": {"n_critic": 0, "window": 200},
    "lstm forecast": {"backbone": "lstm", "task": "forecast"},
    # a window is source and target, half each: these shorten the past together with the horizon
    "mlp forecast, horizon 25": {"backbone": "mlp", "task": "forecast", "window": 50},
    "mlp forecast, horizon 10": {"backbone": "mlp", "task": "forecast", "window": 20},
}
CELLS = [  # variant, seeds; what matters most first
    ("conv", range(6)),
    ("mlp", range(3)),
    (CHEAP, range(3)),
    ("mlp forecast", range(6)),
    (f"{CHEAP}, window 50", range(6)),
    (f"{CHEAP}, window 200", range(1)),
    ("lstm", range(3)),
    ("conv forecast", range(3)),
    ("mlp, learned head", range(3)),
    ("mlp, published", range(3)),
    ("mlp forecast, horizon 25", range(3)),
    ("mlp forecast, horizon 10", range(3)),
    ("lstm forecast", range(1)),
]
FIXED, EXACT, PR = 0, 3, 7  # places in a row: F1, alarmed and null of each threshold, VUS-ROC, VUS-PR, groups
PAIRS = [("uncertainty", "mult"), ("rec_uncertainty", "rec"), ("rec", "euclidean"), ("mult", "rec")]
KEPT = ("rec", "rec_uncertainty", "euclidean")  # whose scores are kept, to be averaged over members
Member = tuple[str, int]  # variant, seed
ENSEMBLES: dict[str, list[list[Member]]] = {  # sets of members whose scores are averaged
    "two seeds of conv": [[("conv", 1), ("conv", 2)], [("conv", 3), ("conv", 4)]],
    "three seeds of conv": [[("conv", 3), ("conv", 4), ("conv", 5)]],
    "three seeds of mlp forecast": [[("mlp forecast", seed) for seed in range(i, i + 3)] for i in (0, 3)],
    "conv and mlp forecast": [[("conv", seed), ("mlp forecast", seed)] for seed in range(1, 6)],
    "windows of 50 and 100": [[(f"{CHEAP}, window 50", seed), (CHEAP, seed)] for seed in (1, 2)],
    "windows of 50, 100 and 200": [[(f"{CHEAP}, window 50", 0), (CHEAP, 1), (f"{CHEAP}, window 200", 0)]],
}


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
    for variant, seeds in CELLS:
        for seed in seeds:
            for group, members in groups.items():
                done = _stored(folder, variant, seed, group)
                for signal in members:
                    if signal.name in done:
                        continue
                    if time.perf_counter() - begin > budget:
                        return
                    done[signal.name], scores = measure(signal, variant, seed)
                    np.save(_kept(folder, variant, seed, signal), scores)
                    _path(folder, variant, seed, group).write_text(json.dumps(done))


def _plain(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-").replace("/", "-")


def _path(folder: Path, variant: str, seed: int, group: str) -> Path:
    return folder / f"{_plain(variant)}.{seed}.{group}.json"


def _kept(folder: Path, variant: str, seed: int, signal: Signal) -> Path:
    return folder / f"{_plain(variant)}.{seed}.{_plain(signal.name)}.npy"


def _stored(folder: Path, variant: str, seed: int, group: str) -> dict[str, Any]:
    path = _path(folder, variant, seed, group)
    return json.loads(path.read_text()) if path.exists() else {}


def ensembles(folder: Path) -> None:
    """The mean of several members' scores as one detector; mean over the sets of members (sd behind)."""
    groups = signals()
    for name, sets in ENSEMBLES.items():
        path = folder / f"ensemble.{_plain(name)}.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        for members in sets:
            if str(members) not in stored and all(_complete(folder, groups, *member) for member in members):
                stored[str(members)] = {
                    group: [_mean_figures(folder, signal, members) for signal in signals_]
                    for group, signals_ in groups.items()
                }
                path.write_text(json.dumps(stored))
        found = {members: stored[members] for members in map(str, sets) if members in stored}
        if found:
            print(f"{name}: {'; '.join(found)}")
            for combination in KEPT:
                print(_line(combination, [_row(rows, combination) for rows in found.values()]), flush=True)


def _mean_figures(folder: Path, signal: Signal, members: list[Member]) -> dict[str, Any]:
    scores = np.mean([np.load(_kept(folder, *member, signal)) for member in members], axis=0)
    return {combination: figures(signal, score) for combination, score in zip(KEPT, scores, strict=True)}


def _complete(folder: Path, groups: dict[str, list[Signal]], variant: str, seed: int) -> bool:
    """Whether the kept scores of all signals are there."""
    return all(_kept(folder, variant, seed, each).exists() for members in groups.values() for each in members)


def table(folder: Path) -> None:
    """Per variant and combination, mean over the seeds that are complete (sd behind where there are several)."""
    pair = " alarmed  null"
    print(f"{'':20} {'F1 fixed':>13}{pair} {'F1 exact':>13}{pair} {'VUS-ROC':>9} {'VUS-PR':>13}   VUS-PR by group")
    groups = signals()
    for variant, seeds in CELLS:
        found = {}
        for seed in seeds:
            stored = {group: list(_stored(folder, variant, seed, group).values()) for group in groups}
            stored = {group: cells for group, cells in stored.items() if len(cells) == len(groups[group])}
            if stored:
                found[seed] = stored
        complete = {seed: stored for seed, stored in found.items() if len(stored) == len(groups)}
        nab = {seed: {g: c for g, c in stored.items() if g != "SMAP"} for seed, stored in found.items()}
        parts = {
            "all": complete,
            "NAB": {seed: stored for seed, stored in nab.items() if len(stored) == len(groups) - 1},
        }
        for part, rows in parts.items():
            if not rows or (part == "NAB" and len(rows) == len(complete)):
                continue
            signals_ = [each for seed in rows.values() for group in seed.values() for each in group]
            informative = np.mean([each["norm_cv"] >= 0.01 and 0.01 <= each["norm"] <= 0.95 for each in signals_])
            cost = f"{len(signals_)} fits, median {np.median([each['seconds'] for each in signals_]):.1f} s each"
            print(f"{variant}: {part} groups, seeds {list(rows)}, {cost}, norm informative on {informative:.0%}")
            by_combination = {name: [_row(stored, name) for stored in rows.values()] for name in FACTORS}
            for combination, found_rows in by_combination.items():
                print(_line(combination, found_rows))
            if part == "all" and len(rows) > 2:
                print(_differences(by_combination))
            if part == "all" and len(rows) > 3:
                print(_split(by_combination))
    print(published())


def _differences(rows: dict[str, list[list[float]]]) -> str:
    """Pairs of scores of the same models: mean difference over the seeds +- its standard error."""
    cells = []
    for one, other in PAIRS:
        paired = np.subtract(rows[one], rows[other])[:, [FIXED, EXACT, PR]]
        error = paired.std(axis=0, ddof=1) / np.sqrt(len(paired))
        words = zip(("F1 fixed", "F1 exact", "VUS-PR"), paired.mean(axis=0), error, strict=True)
        cells.append(f"    {one} less {other}: " + "  ".join(f"{w} {m:+.3f} +-{e:.3f}" for w, m, e in words))
    return "\n".join(cells)


def _split(rows: dict[str, list[list[float]]]) -> str:
    """F1 exact and VUS-PR of the first three seeds, of those after them, and of the three with the lowest F1."""
    cells = []
    for name in KEPT:
        table_ = np.array(rows[name])[:, [EXACT, PR]]
        parts = {"seeds 0 to 2": table_[:3], "others": table_[3:], "worst three": table_[np.argsort(table_[:, 0])[:3]]}
        cells.append(
            f"    {name}: " + "  ".join("{} {:.3f} {:.3f}".format(k, *v.mean(axis=0)) for k, v in parts.items())
        )
    return "\n".join(cells)


def _line(name: str, rows: list[list[float]]) -> str:
    mean, sd = np.mean(rows, axis=0), np.std(rows, axis=0)
    pm = [f"{m:.3f} +-{s:.3f}" if len(rows) > 1 else f"{m:.3f}       " for m, s in zip(mean, sd, strict=True)]
    by_group = " ".join(f"{value:.3f}" for value in mean[PR + 1 :])
    events = " ".join(f"{pm[i]:>13} {mean[i + 1]:7.3f} {mean[i + 2]:5.3f}" for i in (FIXED, EXACT))
    return f"    {name:16} {events} {mean[PR - 1]:9.3f} {pm[PR]:>13}   {by_group}"


def _row(groups: dict[str, list[dict[str, Any]]], combination: str) -> list[float]:
    fixed, exact = (
        pooled_events({group: [each[combination][mode] for each in members] for group, members in groups.items()})
        for mode in ("fixed", "exact")
    )
    volumes = mean_volumes({group: [each[combination]["vus"] for each in members] for group, members in groups.items()})
    roc, pr = volumes["mean"]
    by_group = [volumes[group][1] for group in groups]
    events = [row[figure] for row in (fixed, exact) for figure in ("F1", "alarmed", "null")]
    return [*events, roc, pr, *by_group]


if __name__ == "__main__":
    print(machine())
    run_dir = Path(sys.argv[1])
    run_dir.mkdir(parents=True, exist_ok=True)
    if sys.argv[2:] == ["ensembles"]:
        ensembles(run_dir)
    else:
        run(run_dir, float(sys.argv[2]) if len(sys.argv) > 2 else np.inf)
        table(run_dir)
