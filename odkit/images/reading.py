"""Images in, pixels out: arrays, folders and lists of files as float32 batches of one size, faults named."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUFFIXES", "batches", "find_images", "n_images"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def find_images(folder: str | os.PathLike) -> list[Path]:
    """The image files below a folder, by suffix, sorted by path.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"find_images: there is no folder {root}")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise FileNotFoundError(f"find_images: no image in {root}; looked for {', '.join(SUFFIXES)}")
    return found


def n_images(images: Any) -> int:
    """How many images an input stands for; a folder is walked."""
    return len(find_images(images)) if isinstance(images, str | os.PathLike) else len(images)


def batches(
    images: Any, batch_size: int, *, size: tuple[int, int] | None, who: str
) -> Iterator[tuple[NDArray[np.float32], dict[int, str]]]:
    """Batches of pixels and the images in them that could not be read.

    Parameters
    ----------
    images : ndarray (n, height, width[, channels]), sequence of such single images or of paths, or a folder
        Channels are 1, 3 or 4; grey is repeated to three channels, an opaque fourth channel is dropped.
    size : (height, width) or None
        Resize to this, without a crop; None: all images must have one size.
    who : str
        The estimator, for messages.

    Yields
    ------
    pixels : ndarray of shape (m, 3, height, width), float32, in the unit of the input (0..255 for files)
    faults : dict
        Number of the image in the batch -> which image it is and what is wrong with it; its pixels are 0.
    """
    if isinstance(images, str | os.PathLike):
        images = find_images(images)
    if not isinstance(images, Sequence | np.ndarray) or len(images) == 0:
        raise ValueError(f"{who}: images must be an array, a folder, or a list with one image or more, not {images!r}")
    expected = size
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        pixels: list[NDArray | None] = []
        faults: dict[int, str] = {}
        for number, image in enumerate(part):
            name = os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {start + number}"
            try:
                pixels.append(_planes(image, size))
            except ValueError as error:
                pixels.append(None)
                faults[number] = f"{name} {error}"
        shapes = {plane.shape[1:] for plane in pixels if plane is not None} | ({expected} if expected else set())
        if len(shapes) > 1:
            raise ValueError(
                f"{who}: images of different sizes, {' and '.join(f'{h} x {w}' for h, w in sorted(shapes)[:4])}; "
                "give size=(height, width) to resize them all"
            )
        if shapes:
            expected = shapes.pop()
        blank = np.zeros((3, *(expected or (1, 1))), np.float32)
        yield np.stack([blank if plane is None else plane for plane in pixels]), faults


def _planes(image: Any, size: tuple[int, int] | None) -> NDArray[np.float32]:
    """One image as (3, height, width)."""
    if isinstance(image, str | os.PathLike):
        image = _decoded(image)
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise ValueError(f"has dtype {array.dtype}; numbers are needed")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ValueError(
            f"has shape {np.shape(image)}; (height, width) or (height, width, channels) with 1, 3 or 4 channels "
            "is needed"
        )
    if array.shape[2] == 4:
        opaque = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
        if (array[:, :, 3] != opaque).any():
            raise ValueError("has transparent pixels, whose colour is undefined; blend it with a background")
        array = array[:, :, :3]
    planes = np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32)
    if not np.isfinite(planes).all():
        raise ValueError("has pixels that are NaN or infinite")
    if size is not None and planes.shape[1:] != size:
        planes = _resized(planes, size)
    return np.repeat(planes, 3, axis=0) if len(planes) == 1 else planes


def _decoded(file: str | os.PathLike) -> NDArray:
    """The pixels of a file: 8 bits per channel, or the grey values of a deeper file as they are."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.load()
            if image.mode not in ("1", "L", "RGB", "RGBA") and not image.mode.startswith(("I", "F")):
                with_alpha = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
                return np.asarray(image.convert("RGBA" if with_alpha else "RGB"))
            return np.asarray(image)
    except Exception as error:  # decoders raise whatever a broken file makes them run into
        raise ValueError(f"cannot be read ({type(error).__name__}: {error})") from error


def _resized(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    from PIL import Image

    height, width = size
    return np.stack(
        [np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in planes]
    )
