"""Kernels that walk along a series with a state. One step needs the one before: there is no gpu twin."""

from importlib import import_module
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Vote", "check_vote_state", "correlated_vote", "vote_state"]


class Vote(NamedTuple):
    """Parameters of `correlated_vote`, in the order in which the loop takes them."""

    forgetting: float
    smooth: int
    rho: float
    share: float
    level: float


def _shapes(width: int, order: int, memory: int, smooth: int, window: int) -> dict[str, tuple[int, ...]]:
    """The arrays of a state, in the order in which the loop takes them: all float64 but `step`, int64."""
    return {
        "step": (1,),
        "theta": (width, order),
        "P": (width, order, order),
        "lags": (width, order),
        "sizes": (width, memory),
        "sorted_sizes": (width, memory),
        "errors": (width, smooth),
        "levels": (width, memory),
        "rows": (window, width),
        "origin": (width,),
        "sums": (width,),
        "products": (width, width),
    }


def vote_state(width: int, order: int, memory: int, smooth: int, window: int) -> dict[str, NDArray]:
    """A fresh state of `correlated_vote` for `width` channels: all float64 but `step` (1,) int64."""
    state = {name: np.zeros(shape) for name, shape in _shapes(width, order, memory, smooth, window).items()}
    state["step"] = np.zeros(1, dtype=np.int64)
    state["P"] += 100.0 * np.eye(order)
    state["sorted_sizes"] += np.inf
    return state


def check_vote_state(state: dict[str, NDArray], *sizes: int) -> None:
    """Refuse a state that `correlated_vote`, whose loop checks no bounds, must not see; `sizes` as in `vote_state`."""
    shapes = _shapes(*sizes)
    if list(state) != list(shapes):
        raise ValueError(f"state_ must have the arrays {', '.join(shapes)}, has {', '.join(map(str, state))}")
    for name, shape in shapes.items():
        array, dtype = np.asarray(state[name]), np.int64 if name == "step" else np.float64
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"state_: {name} must be {dtype.__name__} {shape}, is {array.dtype} {array.shape}")
    seen = np.arange(shapes["sizes"][1]) < state["step"][0]
    # a value that leaves is looked up among the sorted ones: it must be there
    if state["step"][0] < 0 or not np.array_equal(
        np.sort(np.where(seen, state["sizes"], np.inf), axis=1), state["sorted_sizes"]
    ):
        raise ValueError("state_: sorted_sizes are not the sizes of the last steps in order")


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
