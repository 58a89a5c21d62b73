"""The baselines on SMAP and four NAB groups, with the length of their detections and their chance level beside.

Run: python -m benchmarks.series.baselines [NAME ...] [--held-out]
Needs the data folder (ODKIT_DATA_HOME), and torch for the consensus with HypAD. About half an hour on one core for all
names; --held-out adds four UCR and six SMD series (`benchmarks/series/held_out.py`).
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.series.held_out import held_out
from benchmarks.series.protocol import (
    THRESHOLDS,
    Signal,
    event_row,
    header,
    published,
    score_groups,
    show,
    signals,
    volume_row,
)
from benchmarks.timing import machine
from odkit import (
    KNN,
    Autoregression,
    Discord,
    HypAD,
    MovingEnergy,
    PolynomialResidual,
    SeriesConsensus,
    Windowed,
    anomaly_score,
)


def fit_and_score(detector) -> Callable[[Signal], NDArray]:
    return lambda signal: anomaly_score(detector.fit(signal.train), signal.test)


def drawn_windows(seed: int) -> Windowed:
    return Windowed(KNN(), max_windows=2000, random_state=seed)


def baselines(window: int = 100) -> list[Any]:
    return [MovingEnergy(window=window), Autoregression(), PolynomialResidual(window=window), Discord(window=window)]


def with_hypad(seed: int) -> SeriesConsensus:
    return SeriesConsensus(detectors=[*baselines(), HypAD(n_critic=0, random_state=seed)])


def with_both(seed: int) -> SeriesConsensus:
    return SeriesConsensus(detectors=[*baselines(), Windowed(KNN()), HypAD(n_critic=0, random_state=seed)])


DETECTORS = {
    "MovingEnergy": MovingEnergy(),
    "Autoregression": Autoregression(),
    "PolynomialResidual": PolynomialResidual(),
    "Discord": Discord(),
    "Windowed(KNN)": Windowed(KNN()),
    "SeriesConsensus": SeriesConsensus(),
    "  with Windowed(KNN)": SeriesConsensus(detectors=[*baselines(), Windowed(KNN())]),
    "  KNN for Discord": SeriesConsensus(detectors=[*baselines()[:3], Windowed(KNN())]),
    "  without Discord": SeriesConsensus(detectors=baselines()[:3]),
    "  mean of ranks": SeriesConsensus(how="rank", contamination=0.05),
}
# by seed; the seeds of HypAD are others than those by which it was found
SEEDED = {
    "Windowed(KNN), 2000 windows": (drawn_windows, (0, 1, 2)),
    "SeriesConsensus+HypAD": (with_hypad, (3, 4, 5)),
    "SeriesConsensus+KNN+HypAD": (with_both, (3, 4, 5)),
}


def random_scores(signal: Signal) -> NDArray:
    return np.random.default_rng(len(signal.test)).random(len(signal.test))


def seeds_of(name: str, groups: dict[str, list[Signal]], make: Callable[[int], Any], seeds: tuple[int, ...]) -> None:
    """A detector with several seeds: each, then their mean."""
    spread = []
    for seed in seeds:
        scores, seconds = score_groups(groups, fit_and_score(make(seed)))
        rows = {mode: event_row(groups, scores, threshold) for mode, threshold in THRESHOLDS.items()}
        volumes = volume_row(groups, scores)
        events = [rows[mode][figure] for mode in ("fixed", "exact") for figure in ("F1", "alarmed", "null")]
        spread.append([*events, *volumes["mean"], *(volumes[group][1] for group in groups)])
        print(show(f"{name} seed {seed}", seconds, rows, volumes), flush=True)
    mean, sd = np.mean(spread, axis=0), np.std(spread, axis=0)
    words = ("F1 fixed", "alarmed", "null", "F1 exact", "alarmed", "null", "VUS-ROC", "VUS-PR", *groups)
    cells = (f"{word} {m:.3f} +- {s:.3f}" for word, m, s in zip(words, mean, sd, strict=True))
    print(f"{name}, {len(seeds)} seeds: " + "   ".join(cells))


def table(names: list[str]) -> None:
    """Rows of the named detectors, of all without names; random scores and published figures always."""
    groups = signals()
    print(header(groups))
    for name, detector in DETECTORS.items():
        if names and name.strip() not in names:
            continue
        scores, seconds = score_groups(groups, fit_and_score(detector))
        rows = {mode: event_row(groups, scores, threshold) for mode, threshold in THRESHOLDS.items()}
        print(show(name, seconds, rows, volume_row(groups, scores)), flush=True)
    for name, (make, seeds) in SEEDED.items():
        if not names or name in names:
            seeds_of(name, groups, make, seeds)
    scores, seconds = score_groups(groups, random_scores)
    rows = {mode: event_row(groups, scores, threshold) for mode, threshold in THRESHOLDS.items()}
    print(show("random scores", seconds, rows, volume_row(groups, scores)))
    print(published())


if __name__ == "__main__":
    print(machine())
    table([word for word in sys.argv[1:] if not word.startswith("--")])
    if "--held-out" in sys.argv:
        held_out()
