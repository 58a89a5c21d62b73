"""Maps of defects on wafers in eight classic patterns, as lists of coordinates at any resolution."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.datasets.counts import check_counts

__all__ = ["PATTERNS", "WaferMaps", "make_wafer_maps"]


class WaferMaps(NamedTuple):
    """`maps`: distinct (row, column) of the defects of each wafer, (n_defects, 2); `patterns`: the names of theirs."""

    maps: list[NDArray[np.int64]]
    patterns: NDArray[np.str_]


def make_wafer_maps(
    n_per_pattern: int = 20,
    *,
    patterns: Sequence[str] | None = None,
    size: int = 256,
    random_state: int | np.random.Generator = 0,
) -> WaferMaps:
    """Wafers with a pattern of defects over a random background.

    The wafer is the disc of radius 1. Every map has Poisson(60) uniform background points; all but "none" have a
    pattern of n more, n uniform in 150..400. Points outside the disc are dropped; the others fall into a grid of
    size x size cells over the square around the disc, where duplicates merge. U(a, b) is uniform, N standard normal.

    ==========  ====================================================================================
    pattern     points
    ==========  ====================================================================================
    center      c + s N, c in U(-0.05, 0.05)^2, s in U(0.10, 0.20)
    donut       at any angle, radius r + t N, r in U(0.35, 0.60), t in U(0.04, 0.08)
    edge_loc    radius 1 - t abs(N), t in U(0.04, 0.10), in an arc of U(20, 80) degrees
    edge_ring   radius 1 - t abs(N), t in U(0.02, 0.06), at any angle
    loc         a blob s N, s in U(0.05, 0.12), around a centre at radius U(0.30, 0.75)
    near_full   uniform, n in 1500..3000
    none        background only
    random      uniform
    scratch     n / 2 points along an arc of length U(0.5, 1.3) and curvature U(-1.5, 1.5) with jitter 0.006 N,
                any heading, its middle in U(-0.4, 0.4)^2
    ==========  ====================================================================================

    Parameters
    ----------
    n_per_pattern : int, default=20
    patterns : sequence of str or None, default=None
        Which patterns, in this order; None: all nine.
    size : int, default=256
        Cells along a side.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_wafer_maps
    >>> maps, patterns = make_wafer_maps(2, patterns=["none", "scratch"], size=1000)
    >>> [len(wafer) for wafer in maps], patterns.tolist()
    ([63, 55, 209, 138], ['none', 'none', 'scratch', 'scratch'])
    """
    names = PATTERNS if patterns is None else tuple(patterns)
    unknown = [name for name in names if name not in _POINTS]
    if unknown:
        raise ValueError(f"make_wafer_maps: there is no pattern {unknown[0]!r}; there are {', '.join(PATTERNS)}")
    check_counts("make_wafer_maps", n_per_pattern=(n_per_pattern, 1), size=(size, 1))
    rng = np.random.default_rng(random_state)
    labels = np.repeat(np.array(names), n_per_pattern)
    return WaferMaps([_wafer(rng, _POINTS[str(label)], size) for label in labels], labels)


def _wafer(rng: np.random.Generator, pattern: Callable, size: int) -> NDArray[np.int64]:
    background = _disc(rng, int(rng.poisson(60)))
    points = np.concatenate([background, pattern(rng, int(rng.integers(150, 401)))])
    points = points[(points**2).sum(axis=1) <= 1]
    cells = np.minimum(np.floor((points + 1) / 2 * size), size - 1).astype(np.int64)
    return np.unique(cells, axis=0)


def _at(angle: NDArray, radius: NDArray) -> NDArray[np.float64]:
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)


def _disc(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return _at(rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n)))


def _center(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.uniform(-0.05, 0.05, 2) + rng.uniform(0.10, 0.20) * rng.normal(size=(n, 2))


def _donut(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    radius = rng.uniform(0.35, 0.60) + rng.uniform(0.04, 0.08) * rng.normal(size=n)
    return _at(rng.uniform(0, 2 * np.pi, n), radius)


def _edge_loc(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    radius = 1 - rng.uniform(0.04, 0.10) * np.abs(rng.normal(size=n))
    return _at(rng.uniform(0, 2 * np.pi) + np.radians(rng.uniform(20, 80)) * rng.random(n), radius)


def _edge_ring(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    radius = 1 - rng.uniform(0.02, 0.06) * np.abs(rng.normal(size=n))
    return _at(rng.uniform(0, 2 * np.pi, n), radius)


def _loc(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    center = _at(rng.uniform(0, 2 * np.pi, 1), rng.uniform(0.30, 0.75, 1))
    return center + rng.uniform(0.05, 0.12) * rng.normal(size=(n, 2))


def _near_full(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return _disc(rng, int(rng.integers(1500, 3001)))


def _none(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.empty((0, 2))


def _scratch(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    length, curvature = rng.uniform(0.5, 1.3), rng.uniform(-1.5, 1.5)
    heading, middle = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4, 2)
    along = rng.uniform(-length / 2, length / 2, n // 2)
    # chord from the middle of a circular arc: sin(k s) / k along and (1 - cos(k s)) / k across the heading
    forward = along * np.sinc(curvature * along / np.pi)
    sideways = curvature * along**2 / 2 * np.sinc(curvature * along / (2 * np.pi)) ** 2
    turn = np.array([[np.sin(heading), np.cos(heading)], [np.cos(heading), -np.sin(heading)]])
    return middle + np.stack([forward, sideways], axis=1) @ turn + 0.006 * rng.normal(size=(n // 2, 2))


_POINTS: dict[str, Callable] = {
    "center": _center,
    "donut": _donut,
    "edge_loc": _edge_loc,
    "edge_ring": _edge_ring,
    "loc": _loc,
    "near_full": _near_full,
    "none": _none,
    "random": _disc,
    "scratch": _scratch,
}
PATTERNS = tuple(_POINTS)
