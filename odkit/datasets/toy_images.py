"""Small grey images of a woven texture, with masks of the defects planted in them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from odkit.datasets.counts import check_counts

__all__ = ["ToyImages", "make_toy_images"]


class ToyImages(NamedTuple):
    """`images` (n, size, size) uint8, `masks` of the same shape, `kinds` (n,): "free" or the kind of defect."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    kinds: NDArray[np.str_]


def make_toy_images(
    n_free: int = 36, *, n_per_defect: int = 3, size: int = 48, random_state: int | np.random.Generator = 0
) -> ToyImages:
    """Grey images of a woven texture, some with a scratch, a spot, a hole in the weave or a stain.

    Parameters
    ----------
    n_free : int, default=36
        Images without a defect; they come first.
    n_per_defect : int, default=3
        Images of each of the four kinds of defect.
    size : int, default=48
        Height and width in pixels, at least 24.
    random_state : int or Generator, default=0

    Examples
    --------
    >>> from odkit.datasets import make_toy_images
    >>> images, masks, kinds = make_toy_images()
    >>> images.shape, str(images.dtype), str(kinds[-1]), bool(masks[kinds == "free"].any())
    ((48, 48, 48), 'uint8', 'stain', False)
    """
    check_counts("make_toy_images", n_free=(n_free, 1), n_per_defect=(n_per_defect, 0), size=(size, 24))
    rng = np.random.default_rng(random_state)
    kinds = np.array(["free"] * n_free + [kind for kind in _DEFECTS for _ in range(n_per_defect)])
    images = np.empty((len(kinds), size, size), np.uint8)
    masks = np.zeros((len(kinds), size, size), bool)
    y, x = np.mgrid[:size, :size].astype(float)
    for number, kind in enumerate(kinds):
        shift, turn = rng.uniform(0, 8, 2), rng.normal(0, 0.02)
        weave = np.sin(2 * np.pi * (x + turn * y + shift[0]) / 8) * np.sin(2 * np.pi * (y - turn * x + shift[1]) / 6)
        image = 128 + 34 * weave + rng.normal(0, 5) + rng.normal(0, 5, (size, size))
        if kind != "free":
            masks[number] = _DEFECTS[str(kind)](rng, image, y, x)
        images[number] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return ToyImages(images, masks, kinds)


def _scratch(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A bright line across a third to a half of the image."""
    size = len(image)
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.33, 0.5) * size
    along = (x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle)
    across = (y - size / 2) * np.cos(angle) - (x - size / 2) * np.sin(angle) - rng.uniform(-0.2, 0.2) * size
    mask = (np.abs(along) <= length / 2) & (np.abs(across) <= 0.8)
    image[mask] += 90
    return mask


def _disc(rng: np.random.Generator, y: NDArray, x: NDArray, radius: float) -> NDArray[np.bool_]:
    centre = rng.uniform(radius, len(y) - radius, 2)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def _spot(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A small dark disc."""
    mask = _disc(rng, y, x, rng.uniform(1.5, 3))
    image[mask] -= 80
    return mask


def _hole(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A disc where the weave is missing; its mean brightness is ordinary."""
    mask = _disc(rng, y, x, rng.uniform(4, 7))
    image[mask] = 128 + rng.normal(0, 5, int(mask.sum()))
    return mask


def _stain(rng: np.random.Generator, image: NDArray, y: NDArray, x: NDArray) -> NDArray[np.bool_]:
    """A wide, slightly darker disc; the weave goes on."""
    mask = _disc(rng, y, x, rng.uniform(7, 11))
    image[mask] -= 35
    return mask


_DEFECTS = {"scratch": _scratch, "spot": _spot, "hole": _hole, "stain": _stain}
