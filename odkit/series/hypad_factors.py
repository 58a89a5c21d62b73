"""From errors of windows to factors of steps to the scores of `HypAD`: placing, standardising, multiplying."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.kernels import cautions
from odkit.series.windows import unroll

__all__ = [
    "FACTORS",
    "UncertaintyUninformativeWarning",
    "channel_shares",
    "chosen",
    "joined",
    "middle_and_half",
    "norm_summary",
    "of_steps",
    "of_windows",
]

SPREAD_FLOOR = 1e-6  # errors are float32: a smaller spread is rounding

CHANGING, LEAST_NORM, MOST_NORM = 0.01, 0.01, 0.95  # of the predicted norm: variation, and where a mean is no rim

FACTORS = {
    "rec": ("rec",),
    "critic": ("critic",),
    "euclidean": ("euclidean",),
    "mult": ("critic", "rec"),
    "uncertainty": ("critic", "rec", "certainty"),
    "rec_uncertainty": ("rec", "certainty"),
}


class UncertaintyUninformativeWarning(UserWarning):
    """The norm of the predicted points is the same everywhere, so it tells nothing about certainty."""


def middle_and_half(X: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle and half of the range of every channel, (C,); 1 for the half where that is 0."""
    low, high = (extreme.astype(np.float64) for extreme in (X.min(axis=0), X.max(axis=0)))
    return low / 2 + high / 2, np.where(high > low, high / 2 - low / 2, 1.0)


def channel_shares(squares: NDArray) -> NDArray[np.float64]:
    """Share of every channel in the squared error of a step, (n, C); equal shares where there is none."""
    total = squares.sum(axis=1, keepdims=True)
    return np.divide(squares, total, out=np.full_like(squares, 1 / squares.shape[1]), where=total > 0)


def norm_summary(norm: NDArray, combination: str) -> tuple[float, float, bool]:
    """Mean, standard deviation / mean, and whether the norm can tell certainty; warns where it was to and cannot."""
    mean = float(norm.mean())
    variation = float(norm.std() / max(mean, np.finfo(float).tiny))
    informative = variation >= CHANGING and LEAST_NORM <= mean <= MOST_NORM
    if "certainty" in FACTORS[combination] and not informative:
        cautions.warn(
            f"HypAD: the norm of the predicted points is {mean:.3g} on average and varies by {variation:.2%}; "
            f"informative are a mean in [{LEAST_NORM}, {MOST_NORM}] and at least {CHANGING:.0%}. "
            f"combination={combination!r} is scored without it.",
            UncertaintyUninformativeWarning,
        )
    return mean, variation, informative


def of_windows(
    plan: Any, weights: Mapping[str, NDArray], critic: Mapping[str, NDArray], X: NDArray, device: str
) -> dict[str, NDArray[np.float64]]:
    """distance, norm, critic and euclidean of every window, (n_windows,); squares of every step, (n, channels).

    A step's squares are the mean over the windows that cover it; steps before the first target get its first.
    """
    from odkit.nets.hypad import window_errors

    n_windows, lead = len(X) - plan.window + 1, plan.window - plan.horizon
    found = {name: np.empty(n_windows) for name in ("distance", "norm", "critic", "euclidean")}
    squares = np.zeros(X.shape)
    for rows, errors in window_errors(plan, weights, critic, X, device):
        chunk = errors.pop("squares")
        found["euclidean"][rows] = np.sqrt(chunk.mean(axis=(1, 2)))
        for name, values in errors.items():
            found[name][rows] = values
        for step in range(plan.horizon):
            squares[lead + rows.start + step : lead + rows.stop + step] += chunk[:, :, step]
    steps = np.arange(len(X) - lead)
    covered = np.minimum(np.minimum(steps + 1, steps[::-1] + 1), min(plan.horizon, n_windows))
    squares[lead:] /= covered[:, None]
    squares[:lead] = squares[lead]
    return found | {"squares": squares}


def of_steps(plan: Any, found: Mapping[str, NDArray], critic_level: float) -> dict[str, NDArray[np.float64]]:
    """rec, certainty, euclidean and critic of every step, (n,): mean over windows, distance of the median from a level.

    As published, an error belongs to the first step of its window.
    """
    n = len(found["squares"])
    lead = plan.window - plan.horizon

    def placed(name: str, how: Any) -> NDArray[np.float64]:
        if plan.published and name != "critic":
            return np.pad(found[name], (0, plan.window - 1), mode="edge")
        return np.pad(unroll(found[name], n - lead, plan.horizon, how=how), (lead, 0), mode="edge")

    return {
        "rec": placed("distance", "mean"),
        "certainty": placed("norm", "mean"),
        "euclidean": placed("euclidean", "mean"),
        "critic": np.abs(placed("critic", "median") - critic_level),
    }


def chosen(combination: str, informative: bool) -> tuple[str, ...]:
    """The factors of a combination, without the certainty where it tells nothing."""
    return tuple(name for name in FACTORS[combination] if informative or name != "certainty")


def joined(steps: Mapping[str, NDArray], usual: Mapping[str, tuple[float, float]], names: tuple[str, ...]) -> NDArray:
    """Product of the named factors, (n,): 1 + max(0, (v - mean) / sd) of errors, v / mean of the certainty."""
    product = np.ones(len(steps["rec"]))
    for name in names:
        mean, sd = usual[name]
        if name == "certainty":
            product *= steps[name] / max(mean, SPREAD_FLOOR)
        else:
            product *= 1 + np.maximum(0, (steps[name] - mean) / (sd + SPREAD_FLOOR))
    return product
