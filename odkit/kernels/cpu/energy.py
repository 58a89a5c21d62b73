"""Mean squares of standardised values in every window of a series.

Series are float64, time along the first axis. Sums are built from blocks of one window's length, never from one long
prefix sum: a spike of 1e8 then leaves no rounding error in windows that do not contain it. Free of side effects and
safe in threads.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["moving_energy"]


def moving_energy(
    x: NDArray, mean: NDArray, scale: NDArray, window: int, clip: float | None = None
) -> NDArray[np.float64]:
    """Mean square of the standardised values in every window, channel by channel.

    q_ic = 1/W sum_{t=i}^{i+W-1} z_tc^2, z = (x - mean) / scale, |z| cut at `clip` where that is given. O(n C).

    Parameters
    ----------
    x : float array of shape (n, C), n >= window
    mean, scale : float64 arrays of shape (C,)
    window : int
    clip : float, optional

    Returns
    -------
    float64 array of shape (n - window + 1, C), no unit
    """
    n, width = x.shape
    blocks = np.zeros((-(-n // window), window, width))
    z = blocks.reshape(-1, width)[:n]
    np.subtract(x, mean, out=z)
    z /= scale
    if clip is not None:
        np.clip(z, -clip, clip, out=z)
    z *= z
    # a window that starts inside a block is the end of that block and the beginning of the next one
    ends = np.empty_like(blocks)
    np.cumsum(blocks[:, ::-1], axis=1, out=ends[:, ::-1])
    beginnings = np.cumsum(blocks, axis=1, out=blocks)
    ends[:-1, 1:] += beginnings[1:, :-1]
    squares = ends.reshape(-1, width)[: n - window + 1]
    squares /= window
    return squares
