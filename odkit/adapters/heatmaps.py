"""Pictures of anomaly maps: images with the unusual parts coloured, and galleries of them. Needs pillow."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

__all__ = ["gallery", "overlay"]

# yellow to red to dark violet: lightness falls all the way, so that the order survives a grey print
_COLOURS = np.array([[255, 236, 120], [255, 170, 40], [230, 60, 20], [150, 10, 60], [70, 0, 90]], np.float32)


def overlay(
    image: ArrayLike, anomaly_map: ArrayLike, *, threshold: float, top: float | None = None, strength: float = 0.7
) -> NDArray[np.uint8]:
    """An image with the pixels above a threshold coloured, stronger the farther above.

    Parameters
    ----------
    image : array-like (height, width) or (height, width, 3), uint8
    anomaly_map : array-like (height, width)
        Such as one map of `PatchGaussian.anomaly_map`.
    threshold : float
        Where colour begins, such as `PatchGaussian.pixel_threshold_`.
    top : float or None, default=None
        Where the darkest colour is reached, above the threshold; None: the largest value of this map, or the threshold
        where nothing is above it. Give one number for all maps that are to be compared.
    strength : float in (0, 1], default=0.7
        Share of the colour where it is strongest.

    Returns
    -------
    ndarray (height, width, 3), uint8

    Examples
    --------
    >>> import numpy as np
    >>> from odkit.adapters.heatmaps import overlay
    >>> picture = overlay(np.full((1, 3), 100, np.uint8), [[0.0, 2.0, 4.0]], threshold=1.0, strength=1.0)
    >>> picture[0].tolist()
    [[100, 100, 100], [198, 122, 56], [70, 0, 90]]
    """
    pixels, scores = np.asarray(image), np.asarray(anomaly_map, dtype=np.float64)
    if pixels.dtype != np.uint8 or pixels.shape[:2] != scores.shape or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"overlay: the image has shape {pixels.shape} and dtype {pixels.dtype}, the map {scores.shape}; an uint8 "
            "image (height, width[, 3]) and a map of its height and width are needed"
        )
    if not np.isfinite(scores).all():
        raise ValueError("overlay: the map is not finite")
    if not np.isfinite([threshold, threshold if top is None else top]).all():
        raise ValueError(f"overlay: threshold={threshold!r} and top={top!r}; finite numbers are needed")
    if not 0 < strength <= 1:
        raise ValueError(f"overlay: strength={strength!r}; a number in (0, 1] is allowed")
    ceiling = max(float(scores.max()), threshold) if top is None else top
    if ceiling < threshold:
        raise ValueError(f"overlay: top={top!r} lies below threshold={threshold!r}")
    base = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    height = np.clip((scores - threshold) / ((ceiling - threshold) or 1.0), 0, 1)
    at = height * (len(_COLOURS) - 1)
    low = np.minimum(at.astype(int), len(_COLOURS) - 2)
    part = (at - low)[:, :, None]
    colour = (1 - part) * _COLOURS[low] + part * _COLOURS[low + 1]
    weight = np.where(scores > threshold, strength * (0.5 + 0.5 * height), 0.0)[:, :, None]
    return np.rint((1 - weight) * base + weight * colour).astype(np.uint8)


def gallery(
    rows: Sequence[Sequence[ArrayLike]],
    file: str | os.PathLike | None = None,
    *,
    titles: Sequence[str] = (),
    labels: Sequence[str] = (),
    scale: int = 1,
) -> Image.Image:
    """Pictures of one size in rows and columns, with a title over each column and a label before each row.

    Parameters
    ----------
    rows : sequence of rows, each a sequence of uint8 images (height, width[, 3])
    file : path or None, default=None
        Where to write it too; the suffix says in which format.
    titles, labels : sequences of str
        One per column, one per row; empty for none.
    scale : int, default=1
        Enlarge every pixel to scale x scale.

    Returns
    -------
    PIL.Image.Image
    """
    pictures = [[np.asarray(picture) for picture in row] for row in rows]
    for picture in (picture for row in pictures for picture in row):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)):
            raise ValueError(
                f"gallery: a picture has shape {picture.shape} and dtype {picture.dtype}; uint8 (height, width) or "
                "(height, width, 3) is needed, such as overlay gives"
            )
    if scale < 1:
        raise ValueError(f"gallery: scale={scale!r}; a whole number from 1 on is allowed")
    sizes = {picture.shape[:2] for row in pictures for picture in row}
    if len(sizes) != 1 or len({len(row) for row in pictures}) != 1:
        raise ValueError(
            f"gallery: rows of {sorted({len(row) for row in pictures})} pictures of sizes {sorted(sizes)}; equally "
            "many in each row and one size are needed"
        )
    for name, given, needed in (("titles", titles, len(pictures[0])), ("labels", labels, len(pictures))):
        if len(given) not in (0, needed):
            raise ValueError(f"gallery: {len(given)} {name} for {needed} {'columns' if name == 'titles' else 'rows'}")
    ((height, width),) = sizes
    height, width, gap = scale * height, scale * width, 4
    left, above = (90 if labels else 0), (16 if titles else 0)
    sheet = Image.new(
        "RGB", (left + len(pictures[0]) * (width + gap), above + len(pictures) * (height + gap)), (255, 255, 255)
    )
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(pictures):
        if labels:
            draw.text((2, above + i * (height + gap) + 2), str(labels[i]), fill=(0, 0, 0))
        for j, picture in enumerate(row):
            shown = Image.fromarray(picture).convert("RGB").resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(shown, (left + j * (width + gap), above + i * (height + gap)))
    for j, title in enumerate(titles):
        draw.text((left + j * (width + gap) + 2, 2), str(title), fill=(0, 0, 0))
    if file is not None:
        sheet.save(file)
    return sheet
