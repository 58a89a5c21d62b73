"""The keys of a staircase in few bytes.

- a float64 key loses its lower 32 or 16 bits where the step is nearly as good at the place that it moves to;
- keys ascend, so that many in a row have the same upper 16 bits, which are kept once;
- of the lower bits only what is not 0 is kept, beside a mask.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["packed", "shortened", "unpacked"]

SHARE = 1 / 8  # of eps: what a shorter key may cost
LONGEST = 255  # keys in a run


def shortened(
    keys: NDArray, below: NDArray[np.int64], upto: NDArray[np.int64], n: int, eps: float
) -> tuple[NDArray, NDArray[np.int64]]:
    """Keys with fewer bits where that costs little, and the counts that are surely reached at them.

    A shorter key is a smaller number; sure is the count of the last entry that is not larger.
    """
    if keys.dtype == np.float32 or keys.size < 3:
        return keys, upto
    growth = math.exp(eps)
    found, reached = keys.copy(), upto.copy()

    def affordable(sure: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.bool_]:
        return upto[at] - sure <= SHARE * eps * np.minimum(sure, n - sure)

    at = np.arange(1, keys.size - 1)  # the ends of the training range stay exact
    at = at[affordable(upto[:-2], at)]
    for dropped in (np.uint64(0xFFFFFFFF), np.uint64(0xFFFF)):
        up = np.where(np.signbit(keys[at]), dropped, np.uint64(0))  # below 0, larger bits are a smaller number
        short = ((keys[at].view(np.uint64) + up) & ~dropped).view(np.float64)
        place = np.searchsorted(keys, short, side="right") - 1
        sure, after = upto[np.maximum(place, 0)], below[at + 1]
        # a step that ends at the very next entry must have a level left
        bottom, top = np.maximum(after / growth, n - (n - after) * growth), sure * growth
        fine = (place >= 0) & affordable(sure, at) & (bottom <= np.minimum(top, n - (n - sure) / growth))
        found[at[fine]], reached[at[fine]] = short[fine], sure[fine]
        at = at[~fine]
    return found, reached


def packed(keys: NDArray) -> dict[str, NDArray]:
    """The fields of a staircase that keep its keys."""
    narrow = keys.dtype == np.float32
    bits = keys.view(np.uint32).astype(np.uint64) << np.uint64(32) if narrow else keys.view(np.uint64)
    upper, middle, lower, lowest = ((bits >> np.uint64(shift)).astype(np.uint16) for shift in (48, 32, 16, 0))
    place = np.arange(upper.size)
    new = np.diff(upper, prepend=~upper[:1]) != 0
    starts = np.flatnonzero((place - np.maximum.accumulate(np.where(new, place, 0))) % LONGEST == 0)
    return {
        "upper": upper[starts],
        "runs": np.diff(starts, append=upper.size).astype(np.uint8),
        "middle": middle,
        "lower": lower[lower > 0],
        "lowest": lowest[lowest > 0],
        "lower_mask": np.packbits(lower > 0),
        "lowest_mask": np.packbits(lowest > 0),
    }


def unpacked(staircase: Any) -> NDArray:
    """The keys of all features of a `Staircase`; ValueError where its arrays do not fit."""
    size = staircase.middle.size
    if staircase.runs.dtype != np.uint8 or staircase.runs.sum() != size:
        raise ValueError("ECOD: the stored keys have not as many upper as middle bits; the state is damaged")
    bits = np.repeat(staircase.upper.astype(np.uint64), staircase.runs) << np.uint64(16) | staircase.middle
    if staircase.narrow:
        return bits.astype(np.uint32).view(np.float32)
    for part, mask in ((staircase.lower, staircase.lower_mask), (staircase.lowest, staircase.lowest_mask)):
        bits <<= np.uint64(16)
        bits[np.unpackbits(mask, count=size).astype(bool)] |= part
    return bits.view(np.float64)
