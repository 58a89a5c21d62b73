"""Heights and widths: checked, and found where nobody gives them."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

__all__ = ["check_size", "choose_grid", "map_size"]


def check_size(size: Any, name: str, who: str) -> tuple[int, int]:
    """A parameter of this name as (height, width)."""
    pair = isinstance(size, tuple) and len(size) == 2
    if not pair or not all(isinstance(side, Integral) and int(side) > 0 for side in size):
        raise ValueError(f"{who}: {name}={size!r} is no pair (height, width) of positive whole numbers")
    return int(size[0]), int(size[1])


def choose_grid(grid: str | int | tuple[int, int], shapes: Sequence[tuple[int, ...]], who: str) -> tuple[int, int]:
    """Height and width of the grid: as they are given, or of the level with a number, "first" being 0."""
    if isinstance(grid, tuple):
        return check_size(grid, "grid", who)
    number = 0 if isinstance(grid, str) else int(grid)
    if number >= len(shapes):
        raise ValueError(f"{who}: grid={number} is no level; there are {len(shapes)}, counted from 0")
    return check_size(shapes[number][1:], "grid", who)


def map_size(images: Any, extractor: Any, shapes: Sequence[tuple[int, ...]], who: str) -> tuple[int, int]:
    """Height and width of the images behind the levels: the extractor's, an array's, or of the largest level itself."""
    size = max(shape[1:] for shape in shapes) if extractor is None else getattr(extractor, "size", None)
    if size is None and isinstance(images, np.ndarray):
        size = images.shape[1:3]
    if size is None:
        raise ValueError(f"{who}: the size of the maps is unknown; give output_size=(height, width)")
    height, width = (size, size) if isinstance(size, Integral) else size
    return int(height), int(width)
