"""Images in, pixels out: arrays, folders and lists of files as float32 batches of one size, faults named."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit.images.pixels import planes
from odkit.kernels import cautions

__all__ = ["SUFFIXES", "batches", "find_images"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def find_images(folder: str | os.PathLike) -> list[Path]:
    """The image files below a folder, by suffix, sorted by path.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    NotADirectoryError
        If it is a file.
    """
    root = Path(folder)
    if root.is_file():
        raise NotADirectoryError(f"find_images: {root} is a file; a folder or a list of files is needed, give [file]")
    if not root.is_dir():
        raise FileNotFoundError(f"find_images: there is no folder {root}")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise FileNotFoundError(f"find_images: no image in {root}; looked for {', '.join(SUFFIXES)}")
    return found


def batches(
    images: Any, batch_size: int, *, size: tuple[int, int] | None, who: str, on_error: str = "raise"
) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
    """Batches of pixels, and which of the images in them could not be read.

    Parameters
    ----------
    images : ndarray (n, height, width[, channels]), sequence of such single images or of paths, or a folder
        Channels are 1, 3 or 4; grey is repeated to three channels, an opaque fourth channel is dropped.
    size : (height, width) or None
        Resize to this, without a crop; None: all images must have one size.
    who : str
        The estimator, for messages.
    on_error : {"raise", "nan"}
        An error that names the images that cannot be read, or a warning that does.

    Yields
    ------
    pixels : ndarray of shape (m, 3, height, width), float32, as `odkit.images.pixels` has them
    faults : list of int
        Numbers, in the batch, of the images that could not be read; their pixels are 0.
    """
    if isinstance(images, str | os.PathLike):
        images = find_images(images)
    if not isinstance(images, Sequence | np.ndarray) or len(images) == 0:
        raise ValueError(f"{who}: images must be an array, a folder, or a list with one image or more, not {images!r}")
    first_of: dict[tuple[int, ...], str] = {}  # a size -> the first image that has it
    waiting: list[int] = []  # lengths of batches of broken images alone, until a size is known
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        pixels: list[NDArray | None] = []
        faults: dict[int, str] = {}
        for number, image in enumerate(part):
            name = os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {start + number}"
            try:
                plane = planes(image, size)
                first_of.setdefault(plane.shape[1:], name)
                pixels.append(plane)
            except ValueError as error:
                pixels.append(None)
                faults[number] = f"{name} {error}"
        if faults:
            _report(who, "; ".join(faults.values()), on_error)
        if len(first_of) > 1:
            named = " and ".join(f"{h} x {w} ({name})" for (h, w), name in sorted(first_of.items())[:4])
            raise ValueError(
                f"{who}: images of different sizes, {named}; give size=(height, width) to resize them all, or leave "
                "out those of another size"
            )
        shape = size or next(iter(first_of), None)
        if shape is None:
            waiting.append(len(part))
            continue
        for length in waiting:
            yield np.zeros((length, 3, *shape), np.float32), list(range(length))
        waiting.clear()
        blank = np.zeros((3, *shape), np.float32)
        yield np.stack([blank if plane is None else plane for plane in pixels]), list(faults)
    if waiting:
        raise ValueError(
            f"{who}: none of the {len(images)} images can be read, so that not even their size is known; look at the "
            "warnings, or give size=(height, width)"
        )


def _report(who: str, said: str, on_error: str) -> None:
    if on_error == "raise":
        raise ValueError(f"{who}: {said}. Use on_error='nan' to go on without them.")
    cautions.warn(f"{who}: features are NaN where {said}")
