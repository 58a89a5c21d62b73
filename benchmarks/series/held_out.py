"""Series that took no part in the choice of any setting: VUS-PR on four of UCR and six of SMD, and their means.

UCR twice, windows of one period and of 100 steps, the default: which of the two to take was never chosen on them.
SMD has 38 channels: no `Discord`, whose time is the square of 28,000 steps for each, and 2,000 drawn windows for `KNN`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit import (
    KNN,
    Autoregression,
    CorrelatedVote,
    Discord,
    HypAD,
    MovingEnergy,
    PolynomialResidual,
    SeriesConsensus,
    Windowed,
)
from odkit.datasets import list_cards, load
from odkit.metrics.vus import vus
from odkit.series import estimate_period

__all__ = ["held_out"]


def held_out() -> None:
    """A line per series and detector, with the means behind; seed 0."""
    for title, prefix, width in (
        ("UCR, windows of one period", "ucr/", None),
        ("UCR, windows of 100", "ucr/", 100),
        ("SMD", "smd/", 100),
    ):
        figures: dict[str, list[tuple[float, bool]]] = {}
        cards = [card.id for card in list_cards() if card.id.startswith(prefix)]
        print(f"\nHeld out, {title}: VUS-PR of {', '.join(cards)}; * where the highest score lies within 100 steps")
        for card in cards:
            data = load(card)
            window = width or estimate_period(data.train)
            scores = member_scores(data, window, wide=prefix == "smd/")
            for name, score in scores.items():
                labelled = np.flatnonzero(data.is_outlier)
                hit = labelled[0] - 100 <= np.argmax(score) <= labelled[-1] + 100
                figures.setdefault(name, []).append((vus(data.is_outlier, score)[1], bool(hit)))
        for name, found in figures.items():
            cells = " ".join(f"{value:.3f}{'*' if hit else ' '}" for value, hit in found)
            print(f"{name:28} {cells}  mean {np.mean([value for value, _ in found]):.3f}", flush=True)


def member_scores(data: Any, window: int, *, wide: bool) -> dict[str, NDArray]:
    """Anomaly scores of every detector and consensus; each member is fitted once, as the consensus would."""
    members: dict[str, Any] = {
        "MovingEnergy": MovingEnergy(window=window),
        "Autoregression": Autoregression(),
        "PolynomialResidual": PolynomialResidual(window=window),
    }
    if not wide:
        members["Discord"] = Discord(window=window)
    teams = {"SeriesConsensus": list(members)}
    members["Windowed(KNN)"] = Windowed(KNN(), window=window, max_windows=2000 if wide else None, random_state=0)
    members["HypAD(n_critic=0)"] = HypAD(n_critic=0, window=window, random_state=0)
    for extra in (["Windowed(KNN)"], ["HypAD(n_critic=0)"], ["Windowed(KNN)", "HypAD(n_critic=0)"]):
        teams[" + ".join(["SeriesConsensus", *(name.split("(")[0] for name in extra)])] = (
            teams["SeriesConsensus"] + extra
        )
    parts = {name: SeriesConsensus(detectors=[each]).fit(data.train) for name, each in members.items()}
    ratios = {name: -each.score_samples(data.test) for name, each in parts.items()}
    if wide:
        ratios["CorrelatedVote"] = -CorrelatedVote().fit(data.train).score_samples(data.test)
    ratios["random scores"] = np.random.default_rng(len(data.test)).random(len(data.test))
    return ratios | {name: np.mean([ratios[member] for member in team], axis=0) for name, team in teams.items()}
