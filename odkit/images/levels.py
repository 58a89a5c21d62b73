"""Levels of features on their way into a detector: in batches, side by side, as one vector per position of a grid."""

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

__all__ = ["check_maps", "choose_grid", "draw_mixture", "level_batches", "map_size", "side_by_side"]


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


def check_maps(levels: Sequence[NDArray], expected: Sequence[tuple[int, ...]] | None, who: str) -> None:
    """Refuse levels that are no maps, are not finite, or have other shapes than those expected, if any are."""
    if any(level.ndim != 4 for level in levels):
        raise ValueError(f"{who}: the extractor gives rows, maps are needed; set its pool to None")
    bad = sorted({int(i) for level in levels for i in np.flatnonzero(~np.isfinite(level).all(axis=(1, 2, 3)))})
    if bad:
        raise ValueError(
            f"{who}: the features of {len(bad)} of {len(levels[0])} images of a batch are NaN or infinite, "
            f"counted from 0 numbers {', '.join(map(str, bad[:5]))}; leave out images that cannot be read"
        )
    shapes = [level.shape[1:] for level in levels]
    if expected is not None and shapes != expected:
        raise ValueError(
            f"{who}: levels of shape {shapes} (channels, height, width) were given and {expected} were fitted; "
            "give images of the size that was fitted"
        )


def choose_grid(grid: str | int | tuple[int, int], shapes: Sequence[tuple[int, ...]], who: str) -> tuple[int, int]:
    """Height and width of the grid: as they are given, or of the level with a number, "first" being 0."""
    number = 0 if isinstance(grid, str) else grid
    if isinstance(number, Integral) and number >= len(shapes):
        raise ValueError(f"{who}: grid={number} is no level; there are {len(shapes)}, counted from 0")
    height, width = number if isinstance(number, tuple) else shapes[int(number)][1:]
    return int(height), int(width)


def draw_mixture(n_numbers: int | None, n_channels: int, random_state: Any) -> NDArray[np.float32] | None:
    """Orthonormal weights of all channels, (n_numbers, n_channels), or None for the channels themselves."""
    if n_numbers is None or n_numbers >= n_channels:
        return None
    drawn = check_random_state(random_state).normal(size=(n_channels, n_numbers))
    return np.ascontiguousarray(np.linalg.qr(drawn)[0].T, dtype=np.float32)


def map_size(images: Any, extractor: Any, shapes: Sequence[tuple[int, ...]], who: str) -> tuple[int, int]:
    """Height and width of the images behind the levels: the extractor's, an array's, or of the largest level itself."""
    size = max(shape[1:] for shape in shapes) if extractor is None else getattr(extractor, "size", None)
    if size is None and isinstance(images, np.ndarray):
        size = images.shape[1:3]
    if size is None:
        raise ValueError(f"{who}: the size of the maps is unknown; give output_size=(height, width)")
    height, width = (size, size) if isinstance(size, Integral) else size
    return int(height), int(width)
