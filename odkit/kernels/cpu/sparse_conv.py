"""Which active sites of a sparse image see each other: the index work of submanifold convolutions and of pooling.

Sites are rows (image, y, x), int64, distinct and sorted; `size` is the side of the square image. Float work on these
indices is left to the network.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pool_rules", "submanifold_rules"]


def submanifold_rules(sites: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Neighbours of each site in its 3 x 3 window, shape (n, 9): their numbers, n where there is none.

    Column 3 (dy + 1) + dx + 1 is the neighbour at (y + dy, x + dx). O(n log n).

    Notes
    -----
    A neighbour outside the image is ruled out before its key is formed: the key of (y, size) is that of (y + 1, 0).
    """
    n = len(sites)
    image, y, x = sites.T
    keys = (image * size + y) * size + x
    rules = np.full((n, 9), n, dtype=np.int64)
    rules[:, 4] = np.arange(n)
    for tap in range(4):  # the other half is the mirror image: who sees me is whom I see
        dy, dx = divmod(tap, 3)
        dy, dx = dy - 1, dx - 1
        inside = np.flatnonzero((y + dy >= 0) & (x + dx >= 0) & (x + dx < size))
        wanted = keys[inside] + dy * size + dx
        found = np.searchsorted(keys, wanted)  # the wanted site comes before its seeker, so found < n
        hit = keys[found] == wanted
        rules[inside[hit], tap] = found[hit]
        rules[found[hit], 8 - tap] = inside[hit]
    return rules


def pool_rules(sites: NDArray[np.int64], size: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells of stride x stride that hold a site, (m, 3) in order, and the cell's number for each site, (n,).

    The pooled image has the side ceil(size / stride).
    """
    side = -(-size // stride)
    keys = (sites[:, 0] * side + sites[:, 1] // stride) * side + sites[:, 2] // stride
    cells, parent = np.unique(keys, return_inverse=True)
    return np.stack([cells // (side * side), cells // side % side, cells % side], axis=1), parent
