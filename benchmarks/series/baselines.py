"""The baselines on SMAP and four NAB groups, with the length of their detections and their chance level beside.

Run: python -m benchmarks.series.baselines [NAME ...] [--held-out]
Needs the data folder (ODKIT_DATA_HOME), and torch for the consensus with HypAD. About a quarter of an hour on one core
for all names; --held-out adds four UCR and six SMD series, which took no part in the choice of any setting.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from odkit.datasets import list_cards, load
from odkit.metrics.vus import vus
from odkit.series import estimate_period

DETECTORS = {
    "MovingEnergy": MovingEnergy(),
    "Autoregression": Autoregression(),
    "PolynomialResidual": PolynomialResidual(),
    "Discord": Discord(),
    "SeriesConsensus": SeriesConsensus(),
    "  without Discord": SeriesConsensus(detectors=[MovingEnergy(), Autoregression(), PolynomialResidual()]),
    "  mean of ranks": SeriesConsensus(how="rank", contamination=0.05),
}


def fit_and_score(detector) -> Callable[[Signal], NDArray]:
    return lambda signal: anomaly_score(detector.fit(signal.train), signal.test)


def windowed_neighbours(seed: int) -> Windowed:
    return Windowed(KNN(), max_windows=2000, random_state=seed)


def with_hypad(seed: int) -> SeriesConsensus:
    members = [MovingEnergy(), Autoregression(), PolynomialResidual(), Discord()]
    return SeriesConsensus(detectors=[*members, HypAD(n_critic=0, random_state=seed)])


# by seed; the seeds of the second are others than those by which it was found
SEEDED = {"Windowed(KNN)": (windowed_neighbours, (0, 1, 2)), "SeriesConsensus+HypAD": (with_hypad, (3, 4, 5))}


def random_scores(signal: Signal) -> NDArray:
    return np.random.default_rng(len(signal.test)).random(len(signal.test))


def seeds_of(name: str, groups: dict[str, list[Signal]], make: Callable[[int], Any], seeds: tuple[int, ...]) -> None:
    """A detector with several seeds: each, then their mean."""
    spread = []
    for seed in seeds:
        scores, seconds = score_groups(groups, fit_and_score(make(seed)))
        rows = {mode: event_row(groups, scores, threshold) for mode, threshold in THRESHOLDS.items()}
        volumes = volume_row(groups, scores)
        spread.append([rows["fixed"]["F1"], rows["exact"]["F1"], *volumes["mean"]])
        print(show(f"{name} seed {seed}", seconds, rows, volumes), flush=True)
    mean, sd = np.mean(spread, axis=0), np.std(spread, axis=0)
    words = ("F1 fixed", "F1 exact", "VUS-ROC", "VUS-PR")
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


def held_out() -> None:
    """Series that took no part in any choice: VUS-PR on UCR (hit of the maximum beside) and SMD."""
    print("\nHeld out: VUS-ROC/PR; hit: the highest score lies within 100 steps of the labelled range")
    for card in (card.id for card in list_cards() if card.id.startswith("ucr/")):
        data = load(card)
        window = estimate_period(data.train)
        members = [MovingEnergy(window=window), Autoregression(), PolynomialResidual(window=window)]
        detectors = {type(each).__name__: each for each in [*members, Discord(window=window)]}
        network = HypAD(n_critic=0, window=window, random_state=0)
        detectors["SeriesConsensus"] = SeriesConsensus(window=window)
        detectors["HypAD"] = network
        detectors["SeriesConsensus+HypAD"] = SeriesConsensus(detectors=[*members, Discord(window=window), network])
        cells = []
        for name, detector in detectors.items():
            scores = anomaly_score(detector.fit(data.train), data.test)
            labelled = np.flatnonzero(data.is_outlier)
            hit = labelled[0] - 100 <= np.argmax(scores) <= labelled[-1] + 100
            roc, pr = vus(data.is_outlier, scores)
            cells.append(f"{name} {roc:.3f}/{pr:.3f}{' hit' if hit else ''}")
        print(f"{card:36} " + "  ".join(cells), flush=True)
    for card in (card.id for card in list_cards() if card.id.startswith("smd/")):
        data = load(card)
        members = [MovingEnergy(), Autoregression(), PolynomialResidual()]
        network = HypAD(n_critic=0, random_state=0)
        detectors = {type(each).__name__: each for each in [*members, SeriesConsensus(detectors=members), network]}
        detectors["SeriesConsensus+HypAD"] = SeriesConsensus(detectors=[*members, network])
        cells = []
        for name, detector in detectors.items():
            roc, pr = vus(data.is_outlier, anomaly_score(detector.fit(data.train), data.test))
            cells.append(f"{name} {roc:.3f}/{pr:.3f}")
        print(f"{card:36} " + "  ".join(cells) + "  (no Discord: 38 channels)", flush=True)


if __name__ == "__main__":
    print(machine())
    table([word for word in sys.argv[1:] if not word.startswith("--")])
    if "--held-out" in sys.argv:
        held_out()
