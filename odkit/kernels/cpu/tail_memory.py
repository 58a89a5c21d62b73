"""What ECOD remembers of rows that are gone: rank summaries of bounded error, exact extremes, exact moments.

A memory is a dict of

- `buffer` (r, d): the latest rows as they came, fewer than `BUFFER_ROWS`;
- `summaries`: tuple of `ranks.Summary`, each with the `heights` entry of the same place;
- `extremes` (2, d, k): the smallest training values of every feature, and the smallest of the negated ones, ascending,
  NaN where there are fewer than k; k <= 1024 is all that a tail scale is read from;
- `moments`: dict of (d,) arrays, see `_moments`.

A summary made from rows has height 1. `FAN` summaries of one height become one of the next height, so that their
number grows with the logarithm of the number of rows. Height h is thinned to the budget `_budget(h, eps)`, which grows
with h and stays below eps: each thinning has something left to spend, for streams and merge trees of any length.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu import ranks, staircase
from odkit.kernels.cpu.sorting import TAIL_ROWS, centred, tail_scale, third_moment_sign
from odkit.kernels.cpu.staircase import Staircase

__all__ = ["check_memory", "merge_memories", "remember", "staircase_of"]

BUFFER_ROWS = 16_384
FAN = 8


def _budget(height: int, eps: float) -> float:
    """Error that a summary of this height may have.

    The factor below 1 lets two neighbouring gaps of a height-1 summary fit into one step of the staircase despite whole
    ranks: without it that of one `fit` is a quarter larger. The term in eps^2 lets one level serve both tails in the
    middle of a feature, at any height.
    """
    return 0.96 * (eps - eps**2 / 2) * height / (height + 1)


def remember(X: NDArray, eps: float, *, n_jobs: int = 1) -> dict[str, Any]:
    """The memory of a block of rows X (n, d), float32 or float64, NaN = missing."""
    n, d = X.shape
    extremes = np.full((2, d, min(n, TAIL_ROWS + 1)), np.nan, X.dtype)
    moments: dict[str, NDArray] = {"n": np.zeros(d, np.int64), "exponent": np.zeros(d, np.int32)}
    moments |= {name: np.zeros(d) for name in ("mean", "m2", "m3")}

    def visit(j: int, column: NDArray) -> None:
        k = min(column.size, TAIL_ROWS + 1)
        extremes[0, j, :k], extremes[1, j, :k] = column[:k], -column[::-1][:k]
        for name, value in _moments(column).items():
            moments[name][j] = value

    enough = n >= BUFFER_ROWS
    # fewer rows wait as they are; their columns are sorted here for the extremes and moments alone
    summary = ranks.summarise(X, _budget(1, eps) if enough else 0.0, visit=visit, n_jobs=n_jobs)
    return {
        "buffer": X[:0].copy() if enough else X.copy(),
        "summaries": (summary,) if enough else (),
        "heights": (1,) if enough else (),
        "extremes": extremes,
        "moments": moments,
    }


def merge_memories(a: dict[str, Any], b: dict[str, Any], eps: float, *, n_jobs: int = 1) -> dict[str, Any]:
    """The memory of the rows of both; it does not depend on which comes first, up to rounding of the moments."""
    buffer = np.concatenate([a["buffer"], b["buffer"]])
    levels: dict[int, list[ranks.Summary]] = {}
    for height, summary in zip(a["heights"] + b["heights"], a["summaries"] + b["summaries"], strict=True):
        levels.setdefault(height, []).append(summary)
    if len(buffer) >= BUFFER_ROWS:
        levels.setdefault(1, []).append(ranks.summarise(buffer, _budget(1, eps), n_jobs=n_jobs))
        buffer = buffer[:0].copy()
    height = 1
    while height <= max(levels, default=0):
        if len(levels.get(height, ())) >= FAN:
            merged = ranks.merge_summaries(levels.pop(height), n_jobs=n_jobs)
            levels.setdefault(height + 1, []).append(ranks.thin(merged, _budget(height + 1, eps), n_jobs=n_jobs))
        height += 1
    extremes = np.sort(np.concatenate([a["extremes"], b["extremes"]], axis=2), axis=2)  # NaN sorts last
    return {
        "buffer": buffer,
        "summaries": tuple(summary for height in sorted(levels) for summary in levels[height]),
        "heights": tuple(height for height in sorted(levels) for _ in levels[height]),
        "extremes": extremes[:, :, : TAIL_ROWS + 1].copy(),
        "moments": _merged_moments(a["moments"], b["moments"]),
    }


def staircase_of(
    memory: dict[str, Any], eps: float, *, n_jobs: int = 1
) -> tuple[Staircase, NDArray[np.int64], NDArray[np.float64], float]:
    """What scoring needs.

    Returns
    -------
    staircase : Staircase
        Log tail probabilities within eps of the exact ones.
    signs : (d,) int64
        Sign of each feature's skewness.
    means : (3, d) float64
        Mean left, right and larger cost of the training values, by the middle of their bounds.
    error : float
        Largest error of a log tail probability, at most eps; 0 where nothing was dropped.
    """
    summaries = list(memory["summaries"])
    if len(memory["buffer"]):
        summaries.append(ranks.summarise(memory["buffer"], n_jobs=n_jobs))
    whole = ranks.merge_summaries(summaries, n_jobs=n_jobs) if len(summaries) > 1 else summaries[0]
    low, high = memory["extremes"][0], -memory["extremes"][1, :, ::-1]
    scales = np.array([tail_scale(low[j], high[j], int(n)) for j, n in enumerate(whole.sizes)])
    steps, means, error = staircase.build(whole, eps, scales.T.reshape(2, -1), n_jobs=n_jobs)
    return steps, _signs(memory), means, error


def check_memory(memory: dict[str, Any], n_features: int) -> None:
    """Raise ValueError unless the memory is one that the functions here could have made."""
    buffer, extremes, moments = memory["buffer"], memory["extremes"], memory["moments"]
    shapes = [(buffer.ndim, buffer.shape[1:]), (extremes.ndim, extremes.shape[:2])]
    heights, summaries = memory["heights"], memory["summaries"]
    fine = (
        shapes == [(2, (n_features,)), (3, (2, n_features))]
        and extremes.shape[2] <= TAIL_ROWS + 1
        and len(buffer) < BUFFER_ROWS
        and sorted(moments) == ["exponent", "m2", "m3", "mean", "n"]
        and all(array.shape == (n_features,) for array in moments.values())
        and len(summaries) == len(heights)
        and all(isinstance(height, int) and 0 < height < 64 for height in heights)  # 8^63 blocks will not come
    )
    if not fine:
        raise ValueError("ECOD: the stored memory of the training rows is damaged; fit again")
    for summary in summaries:
        ranks.check_summary(summary, n_features)


def _moments(column: NDArray) -> dict[str, float]:
    """Count, mean and sums of (x - mean)^2 and (x - mean)^3 of a sorted column, in units of 2^exponent."""
    z, mean, exponent = centred(column)
    square = z * z
    return {"n": z.size, "exponent": exponent, "mean": mean, "m2": square.sum(), "m3": (square * z).sum()}


def _merged_moments(a: dict[str, NDArray], b: dict[str, NDArray]) -> dict[str, NDArray]:
    exponent, n = np.maximum(a["exponent"], b["exponent"]), a["n"] + b["n"]
    (mean_a, square_a, cube_a), (mean_b, square_b, cube_b) = (
        [np.ldexp(m[name], power * (m["exponent"] - exponent)) for power, name in enumerate(("mean", "m2", "m3"), 1)]
        for m in (a, b)
    )
    share_a, share_b = a["n"] / np.maximum(n, 1), b["n"] / np.maximum(n, 1)
    apart = mean_b - mean_a
    return {
        "n": n,
        "exponent": exponent,
        "mean": mean_a + apart * share_b,
        "m2": square_a + square_b + apart**2 * share_a * b["n"],
        "m3": cube_a
        + cube_b
        + apart**3 * share_a * b["n"] * (share_a - share_b)
        + 3 * apart * (share_a * square_b - share_b * square_a),
    }


def _signs(memory: dict[str, Any]) -> NDArray[np.int64]:
    """Sign of the third central moment of every feature, 0 within rounding."""
    moments = memory["moments"]
    lowest, highest = memory["extremes"][0, :, 0], -memory["extremes"][1, :, 0]
    ends = [np.ldexp(end.astype(np.float64), -moments["exponent"]) for end in (lowest, highest)]
    reach = np.maximum(moments["mean"] - ends[0], ends[1] - moments["mean"])
    signs = third_moment_sign(moments["m3"], moments["n"], reach)
    return np.where(lowest < highest, signs, 0)  # NaN, no value at all, is not below NaN
