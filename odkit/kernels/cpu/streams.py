"""Kernels that walk along a series with a state. One step needs the one before: there is no gpu twin."""

from importlib import import_module
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Vote", "correlated_vote", "vote_state"]


class Vote(NamedTuple):
    """Parameters of `correlated_vote`, in the order in which the loop takes them."""

    forgetting: float
    smooth: int
    rho: float
    share: float
    level: float


def vote_state(width: int, order: int, memory: int, smooth: int, window: int) -> dict[str, NDArray]:
    """A fresh state of `correlated_vote` for `width` channels: all float64 but `step` (1,) int64."""
    return {
        "step": np.zeros(1, dtype=np.int64),
        "theta": np.zeros((width, order)),
        "P": np.tile(100.0 * np.eye(order), (width, 1, 1)),
        "lags": np.zeros((width, order)),
        "sizes": np.zeros((width, memory)),
        "sorted_sizes": np.full((width, memory), np.inf),
        "errors": np.zeros((width, smooth)),
        "levels": np.zeros((width, memory)),
        "rows": np.zeros((window, width)),
        "origin": np.zeros(width),
        "sums": np.zeros(width),
        "products": np.zeros((width, width)),
    }


def correlated_vote(x: NDArray, state: dict[str, NDArray], vote: Vote) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Score parts and alarms of the next rows; **writes to the arrays of `state`**.

    Per channel a recursive least squares prediction from the last p values gives the relative error
    |e| / (|x| + median |x| of the last `memory` values); z is the mean of its last `smooth` values, standardised by
    the last `memory` such means. Per step the group of a channel holds the channels with |Pearson correlation| >= rho
    over the last `window` rows; the score is the largest mean of max(z, 0) over groups of two and more.

    Parameters
    ----------
    x : float64 array of shape (n, C)
    state : as made by `vote_state`
    vote : Vote

    Returns
    -------
    parts : float64 array of shape (n, C)
        max(z, 0) / size of group for the channels of the leading group, 0 for others; a row adds up to its score.
        0 until `memory` errors and `window` rows were seen.
    alarms : bool array of shape (n,)
        More than `share` of some group has z > level.
    """
    parts, alarms = np.zeros(x.shape), np.zeros(len(x), dtype=np.bool_)
    jit = import_module("odkit.kernels.cpu.streams_jit")
    rows = np.ascontiguousarray(x, dtype=np.float64).view()
    rows.flags.writeable = False  # one compiled form for all callers
    jit.vote(rows, *state.values(), *vote, parts, alarms)
    return parts, alarms
