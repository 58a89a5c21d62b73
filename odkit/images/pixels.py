"""One image, in any form that people have it in, as three planes of float32, or what is wrong with it.

Files, and images of Pillow, become 0..255 and upright: one bit per pixel is black 0 and white 255, palettes are looked
up, an EXIF tag of orientation is followed, as viewers do. Files with more than 8 bits per channel are refused: nothing
in them says which range is in use, and their arrays can be given instead. Arrays keep their unit.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["planes"]

_ORIENTATION = 0x0112  # the EXIF tag; 1: as it is


def planes(image: Any, size: tuple[int, int] | None) -> NDArray[np.float32]:
    """One image as (3, height, width), resized where a size is given.

    Raises
    ------
    ValueError
        What is wrong, without the image's name, as the rest of a sentence that begins with it.
    """
    if type(image).__module__.partition(".")[0] == "torch":
        raise ValueError(
            "is a torch tensor in a list; give one tensor (n, 3, height, width) that the model takes as it is, or "
            "arrays (height, width, channels)"
        )
    shown = image
    if isinstance(image, str | os.PathLike) or hasattr(image, "getbands"):  # Pillow's have bands
        image = _decoded(image)
    array = np.asarray(image)
    if array.dtype.kind not in "buif":
        raise ValueError(f"has dtype {array.dtype}; numbers are needed")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise ValueError(
            f"has shape {np.shape(shown)}; (height, width) or (height, width, channels) with 1, 3 or 4 channels "
            "is needed"
        )
    if array.shape[2] == 4:
        _check_opaque(array[:, :, 3])
        array = array[:, :, :3]
    pixels = np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError("has pixels that are NaN or infinite")
    if size is not None and pixels.shape[1:] != size:
        pixels = _resized(pixels, size)
    return np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels


def _check_opaque(alpha: NDArray) -> None:
    """Opaque is the largest unsigned integer, or 1; what another type means by a number nobody says."""
    unsigned = alpha.dtype.kind == "u"
    if (alpha == (np.iinfo(alpha.dtype).max if unsigned else 1)).all():
        return
    if unsigned:
        raise ValueError("has transparent pixels, whose colour is undefined; blend it with a background")
    raise ValueError(
        f"has a fourth channel from {alpha.min()} to {alpha.max()}; of dtype {alpha.dtype} only 1 is known to be "
        "opaque: leave the channel out, image[..., :3], or give uint8"
    )


def _decoded(image: Any) -> NDArray:
    """The pixels of a file or of an image of Pillow, which may not have been decoded yet."""
    from PIL import Image

    try:
        if not isinstance(image, str | os.PathLike):
            return _as_eight_bits(image)
        with Image.open(image) as opened:
            return _as_eight_bits(opened)
    except _TooDeep:
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them run into
        raise ValueError(f"cannot be read ({type(error).__name__}: {error})") from error


class _TooDeep(ValueError):
    """More than 8 bits per channel."""


def _as_eight_bits(image: Any) -> NDArray:
    """The pixels of an image of Pillow: upright, grey, RGB or RGBA, 0..255."""
    from PIL import ImageOps

    tiles = str(getattr(image, "tile", ""))  # before it is decoded: colours of 16 bits would lose eight in silence
    if image.mode.startswith(("I", "F")) or ";16" in tiles:
        raise _TooDeep(
            f"has more than 8 bits per channel (mode {image.mode}), and its range in use is unknown; read it yourself "
            "and give arrays, in the unit that mean and std are in"
        )
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _resized(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    from PIL import Image

    height, width = size
    return np.stack(
        [np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)) for plane in pixels]
    )
