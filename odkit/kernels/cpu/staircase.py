"""A feature's counts as a staircase of few steps within a known error, and the few bytes that keep it.

A staircase has ascending keys k_0 < k_1 < ... and a level s_i at each, and stands for the counts

    #{train <= x} = s_i   for k_i <= x < k_{i+1}        #{train < x} = s_i   for k_i < x <= k_{i+1},

0 before the first key, n from the last on: the counts of a training set with s_i - s_{i-1} values at k_i. `build` makes
the steps as wide as bounds of the true counts allow (`ranks.py`), so that log s and log(n - s) are both within eps of
the truth, for every x.

Most of a model is its staircases, so they are kept small:

- levels stand on the rungs of a ladder that follows from n and eps alone (quarters at either end, then steps of
  eps / 64), and one byte says how many rungs a step rises. A level between two rungs, such as the exact count behind a
  common value, and a rise of 255 rungs or more are kept as they are;
- keys lose bits that they do not need, and share others (`staircase_keys.py`).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu import ranks
from odkit.kernels.cpu.chunks import over_items
from odkit.kernels.cpu.jit import compiled
from odkit.kernels.cpu.sizes import STAIR_STEP
from odkit.kernels.cpu.staircase_keys import packed, shortened, unpacked
from odkit.kernels.cpu.tail_table import TABLED, TailTable

__all__ = ["Staircase", "build", "levels_of", "tail_table", "walk"]

_JIT = "odkit.kernels.cpu.staircase_jit"
RUNGS = 64  # in a step of eps
FINEST = 2.0**-14  # a ladder has at most some 700,000 rungs
STATED = 255  # in `rises`: the level stands in `levels`


class Staircase(NamedTuple):
    """The staircases of all features, packed.

    Attributes
    ----------
    eps : float
        Decides the ladder together with n.
    narrow : bool
        Keys are float32, all of whose bits are upper and middle ones.
    sizes, scales : (d,) int64, (2, d) float64
        Training values n of each feature; tail scale below and above, in the feature's unit.
    offsets : (d + 1,) int64
        Feature j owns the steps `offsets[j]:offsets[j + 1]`.
    upper : (runs,) uint16
        The upper 16 bits of keys in a row.
    runs : (runs,) uint8
        How many keys these are.
    middle : (steps,) uint16
        The next 16 bits.
    lower, lowest : (set bits of the masks,) uint16
        The last two times 16 bits of those keys where they are not 0.
    lower_mask, lowest_mask : (steps / 8,) uint8
        A bit for each key: whether it is one of those.
    rises : (steps,) uint8
        Rungs from the level before, or `STATED`.
    levels : (stated ones,) float64
    """

    eps: float
    narrow: bool
    sizes: NDArray
    scales: NDArray
    offsets: NDArray
    upper: NDArray
    runs: NDArray
    middle: NDArray
    lower: NDArray
    lowest: NDArray
    lower_mask: NDArray
    lowest_mask: NDArray
    rises: NDArray
    levels: NDArray


def walk(
    below: NDArray, lower: NDArray, n: float, growth: float, rungs: NDArray, kept: NDArray, levels: NDArray
) -> int:
    """The steps of one feature, written to kept (m,) int64 and levels (m,) float64; returns how many.

    Between a kept place i and the next one j the counts lie in [lower[i], below[j]]. A level s serves both tails there
    when max(below / g, n - (n - below) g) <= s <= min(lower g, n - (n - lower) / g), g = growth = exp(eps). From i on
    to the last j for which such an s is left, at least to i + 1. below, lower: (m,) int64, ascending.
    """
    last = below.size - 1
    kept[0] = 0
    steps, i, level = 1, 0, 0.0
    while i < last:
        lo = float(lower[i])
        top = min(lo * growth, n - (n - lo) / growth)
        reach = max(rungs[np.searchsorted(rungs, top, side="right") - 1], lo)
        limit = math.floor(min(reach * growth, n - (n - reach) / growth))
        i = max(np.searchsorted(below, limit, side="right") - 1, i + 1)
        hi = float(below[i])
        # an estimate outside the bounds, or below the level before, would be silly
        bottom, top = max(hi / growth, n - (n - hi) * growth, lo, level), min(top, hi)
        level = (bottom + top) / 2
        k = np.searchsorted(rungs, level)
        rung = rungs[k] if rungs[k] - level <= level - rungs[k - 1] else rungs[k - 1]
        if bottom <= rung <= top:
            level = rung
        levels[steps - 1] = level
        kept[steps] = i
        steps += 1
    levels[steps - 1] = n
    return steps


def build(
    summary: ranks.Summary, eps: float, scales: NDArray[np.float64], *, n_jobs: int = 1
) -> tuple[Staircase, NDArray[np.float64], float]:
    """Staircases of a summary whose own error is below eps (1 - eps / 2).

    Returns a staircase with log counts within eps of the true ones from both sides; the mean left, right and larger
    cost of the training values (3, d), whose share at every place is told by mid-bounds; and the largest error of a log
    count, known from the bounds, 0 where nothing was dropped.
    """
    d = summary.sizes.size
    jit = compiled(_JIT, STAIR_STEP * summary.values.size)
    steps = walk if jit is None else jit.walk
    found: list = [None] * d
    ladders = {int(n): _ladder(int(n), eps) for n in np.unique(summary.sizes)}

    def work(j: int) -> None:
        mine, n = slice(summary.offsets[j], summary.offsets[j + 1]), int(summary.sizes[j])
        keys, bounds = summary.values[mine], summary.bounds[:, mine].astype(np.int64)
        if not keys.size:
            found[j] = keys, np.zeros(0, np.uint8), np.zeros(0), (0.0, 0.0, 0.0), 0.0
            return
        keys, lower = shortened(keys, bounds[1], bounds[2], n, eps)
        kept, levels = np.empty(keys.size, np.int64), np.empty(keys.size)
        m = steps(np.ascontiguousarray(bounds[1]), lower, float(n), math.exp(eps), ladders[n], kept, levels)
        kept, levels = kept[:m], levels[:m]
        error = _error(levels[:-1], lower[kept[:-1]], bounds[1, kept[1:]], n)
        found[j] = keys[kept], *_rises(levels, ladders[n]), _mean_costs(bounds[:, kept], levels, n), error

    over_items(work, range(d), n_jobs)
    keys, rises, stated, means, errors = zip(*found, strict=True)
    staircase = Staircase(
        eps=float(eps),
        narrow=bool(summary.values.dtype == np.float32),
        sizes=summary.sizes,
        scales=scales,
        offsets=np.cumsum([0, *map(len, keys)], dtype=np.int64),
        **packed(np.concatenate(keys)),
        rises=np.concatenate(rises),
        levels=np.concatenate(stated),
    )
    return staircase, np.array(means).T.reshape(3, -1), max(errors)


def tail_table(staircase: Staircase) -> TailTable:
    """What scoring reads; features with equal levels share their costs. ValueError where the arrays do not fit."""
    d, keys = staircase.sizes.size, unpacked(staircase)
    shared: dict[bytes, tuple[int, NDArray]] = {}
    cost_offsets, size = np.zeros(d, np.int64), 0
    for j, levels in enumerate(levels_of(staircase)):
        name = levels.tobytes()
        if name not in shared:
            left, right = _costs(levels, int(staircase.sizes[j]))
            shared[name] = size, np.concatenate([left, right[::-1]])
            size += 2 * left.size
        cost_offsets[j] = shared[name][0]
    table = TailTable(
        values=keys,
        offsets=staircase.offsets,
        counts=np.empty(0, np.int32),
        count_offsets=np.full(d, TABLED, np.int64),
        costs=np.concatenate([costs for _, costs in shared.values()]),
        cost_offsets=cost_offsets,
        sizes=staircase.sizes,
        scales=staircase.scales,
    )
    for array in table:
        array.flags.writeable = False
    return table


def levels_of(staircase: Staircase) -> Iterator[NDArray[np.float64]]:
    """Levels of every feature, unpacked."""
    n, stated = -1, 0
    for j, size in enumerate(staircase.sizes):
        if size != n:
            n = int(size)
            ladder = _ladder(n, staircase.eps)
        rises = staircase.rises[staircase.offsets[j] : staircase.offsets[j + 1]]
        apart = rises == STATED
        mine = staircase.levels[stated : stated + int(apart.sum())]
        stated += mine.size
        climbed = np.cumsum(np.where(apart, 0, rises), dtype=np.int64)
        # the climb starts anew at every stated level
        starts = np.append(0, np.searchsorted(ladder, mine, side="right") - 1 - climbed[apart])
        levels = ladder[climbed + starts[np.cumsum(apart)]]
        levels[apart] = mine
        if levels.size and not ((levels[0] > 0) & (np.diff(levels) >= 0).all() & (levels[-1] == n)):
            raise ValueError(f"ECOD: the stored levels of feature {j} do not rise to {n}; the state is damaged")
        yield levels


def _ladder(n: int, eps: float) -> NDArray[np.float64]:
    """Rungs from 0 to n: quarters, from where these are finer steps of eps / 64, and the same from n downwards."""
    step = max(eps / RUNGS, FINEST)
    low = np.arange(int(min(1 / step, 2 * n)) + 1) / 4
    n_coarse = int(math.log(n / 2 / low[-1]) / math.log1p(step)) if n / 2 > low[-1] > 0 else 0
    # rounded to quarters, so that another library's exp builds the same ladder
    coarse = np.floor(4 * low[-1] * np.exp(math.log1p(step) * np.arange(1, n_coarse + 1)) + 0.5) / 4
    low = np.concatenate([low, coarse])
    return np.unique(np.concatenate([low, n - low]))


def _rises(levels: NDArray[np.float64], ladder: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Rungs from level to level, and the levels that rungs do not tell."""
    rung = np.searchsorted(ladder, levels, side="right") - 1
    rises = np.diff(rung, prepend=0)
    told = (ladder[rung] == levels) & (rises < STATED)
    return np.where(told, rises, STATED).astype(np.uint8), levels[~told]


def _costs(levels: NDArray[np.float64], n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left costs by #{keys <= x} and right costs by #{keys < x}, (m + 1,) each.

    As `sorting` has them, so that counts which are known exactly cost the same to the bit.
    """
    counts = np.append(0.0, levels)
    return np.log(max(n, 1) / np.maximum(counts, 1)), np.log(max(n, 1) / np.maximum(n - counts, 1))


def _mean_costs(bounds: NDArray[np.int64], levels: NDArray[np.float64], n: int) -> tuple[float, float, float]:
    """Mean left, right and larger cost of the training values, at keys and in the gaps above them."""
    cuts = np.append((bounds[:2].sum(axis=0), bounds[2:].sum(axis=0)), [[2 * n], [2 * n]], axis=1).T.ravel() / 2
    shares = np.diff(cuts[:-1]) / n
    left, right = _costs(levels, n)
    left, right = np.repeat(left[1:], 2), np.repeat(right, 2)[1:-1]
    return tuple(float((shares * cost).sum()) for cost in (left, right, np.maximum(left, right)))  # type: ignore[return-value]


def _error(levels: NDArray[np.float64], lower: NDArray[np.int64], upper: NDArray[np.int64], n: int) -> float:
    """Largest error of the log of both counts, given that the true ones lie between the bounds."""
    ratios = [levels / lower, upper / levels, (n - levels) / (n - upper), (n - lower) / (n - levels)]
    return float(np.log(np.max(ratios, initial=1.0)))
