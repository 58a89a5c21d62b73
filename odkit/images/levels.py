"""Levels of features on their way into a detector: in batches, side by side, as one vector per position of a grid."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

__all__ = ["checked_maps", "draw_mixture", "level_batches", "side_by_side"]


def level_batches(levels: Any, batch_size: int, *, extractor: Any, who: str) -> Iterator[list[NDArray]]:
    """Batches of maps, each a list with one array (m, channels, height, width) per level.

    Parameters
    ----------
    levels : images for the extractor, or without one a list of arrays (n, channels, height, width)
    batch_size : int
        Of levels that are given; an extractor that has an `iterate` has its own.
    extractor : transformer or None
    who : str
        The estimator, for messages.
    """
    if extractor is not None:
        yield from extractor.iterate(levels) if hasattr(extractor, "iterate") else [extractor.transform(levels)]
        return
    if not isinstance(levels, list | tuple) or not levels or any(np.ndim(level) != 4 for level in levels):
        raise ValueError(f"{who}: without an extractor X must be a list of levels, arrays (n, channels, height, width)")
    arrays = [np.asarray(level) for level in levels]
    if len({len(level) for level in arrays}) > 1 or len(arrays[0]) == 0:
        raise ValueError(f"{who}: the levels have {', '.join(str(len(level)) for level in arrays)} images")
    for start in range(0, len(arrays[0]), batch_size):
        yield [level[start : start + batch_size] for level in arrays]


def side_by_side(
    levels: Sequence[Any], expected: tuple[int, ...] | None, by: str, who: str
) -> tuple[NDArray, tuple[int, ...]]:
    """Levels (n, width) as one matrix, and their widths, which must be those expected `by` something."""
    lengths = [len(part) for part in levels]
    if len(set(lengths)) > 1:
        raise ValueError(f"{who}: the levels have {', '.join(map(str, lengths))} rows; all must agree")
    widths = tuple(np.shape(part)[1] for part in levels)
    if expected is not None and widths != expected:
        raise ValueError(f"{who}: levels of widths {widths} were given and {expected} are expected, by {by}")
    return np.concatenate([np.asarray(part) for part in levels], axis=1), widths


@np.errstate(over="ignore")  # what leaves the range of float32 is named
def checked_maps(
    levels: Sequence[NDArray], expected: Sequence[tuple[int, ...]] | None, first: int, who: str
) -> list[NDArray[np.float32]]:
    """A batch of levels in float32; refuses what is no map, not finite, or not of the shapes expected, if any are.

    `first` is the number of the batch's first image among all.
    """
    if any(level.ndim != 4 for level in levels):
        raise ValueError(f"{who}: the extractor gives rows, maps are needed; set its pool to None")
    levels = [np.asarray(level, np.float32) for level in levels]
    bad = sorted({first + int(i) for x in levels for i in np.flatnonzero(~np.isfinite(x).all(axis=(1, 2, 3)))})
    if bad:
        raise ValueError(
            f"{who}: the features of images {', '.join(map(str, bad[:5]))}{' and others' * (len(bad) > 5)}, counted "
            "from 0, are NaN or infinite in float32; leave out images that cannot be read, and rescale huge features"
        )
    shapes = [level.shape[1:] for level in levels]
    if expected is not None and shapes != expected:
        raise ValueError(
            f"{who}: levels of shape {shapes} (channels, height, width) were given and {expected} were fitted; "
            "give images of the size that was fitted"
        )
    return levels


def draw_mixture(n_numbers: int | None, n_channels: int, random_state: Any) -> NDArray[np.float32] | None:
    """Orthonormal weights of all channels, (n_numbers, n_channels), or None for the channels themselves."""
    if n_numbers is None or n_numbers >= n_channels:
        return None
    drawn = check_random_state(random_state).normal(size=(n_channels, n_numbers))
    return np.ascontiguousarray(np.linalg.qr(drawn)[0].T, dtype=np.float32)
