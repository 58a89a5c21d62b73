"""How well anomaly maps mark the defective pixels: exact curves over all distinct scores, no binning.

Truth first: `masks` and `maps` have the shape (height, width) or (n_images, height, width), higher = more anomalous.
All pixels of all images are pooled; images without a defect belong in, they supply false alarms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from odkit.kernels.cpu.pixels import Curve, region_curve, top_mean, top_share

__all__ = ["OracleF1", "au_pro", "f1_max", "image_score", "pixel_ap", "pixel_auroc"]


class OracleF1(NamedTuple):
    """The best F1 over all thresholds and the threshold that gives it. It is chosen with the truth in hand."""

    value: float
    threshold: float


def au_pro(
    masks: ArrayLike, maps: ArrayLike, limit: float | Sequence[float] = 0.3, *, connectivity: int = 8
) -> float | NDArray[np.float64]:
    """Area under the per-region overlap, up to a false-positive rate, as a share of the largest possible.

    A region is a connected component of a mask. At a threshold t the overlap is the mean over all regions of the share
    of the region with a score >= t, so a small defect counts as much as a large one; the false-positive rate is the
    share of normal pixels with a score >= t.

    Parameters
    ----------
    masks, maps : array-likes of equal shape
    limit : float in (0, 1] or a sequence of them, default=0.3
        False-positive rate at which the area ends.
    connectivity : {4, 8}, default=8
        Whether pixels that touch at a corner belong to one region.

    Returns
    -------
    float, or ndarray with one entry per limit
        1 for a perfect map, `limit / 2` for a constant one.

    Notes
    -----
    The curve starts at (0, 0), takes ties at once, is straight between its points and interpolated at the limit.
    Evaluations with 100 to 200 thresholds, or with rates rescaled to start at the first one, come out higher.

    Examples
    --------
    A large defect that is found and a small one that is missed, then the other way round:

    >>> import numpy as np
    >>> from odkit.metrics.pixels import au_pro
    >>> masks = np.zeros((8, 8), dtype=bool)
    >>> masks[:3, :3], masks[6, 6] = True, True
    >>> large, small = np.zeros((2, 8, 8))
    >>> large[:3, :3], small[6, 6] = 1, 1
    >>> round(au_pro(masks, large), 3), round(au_pro(masks, small), 3)
    (0.575, 0.575)
    """
    limits = np.atleast_1d(np.asarray(limit, dtype=np.float64))
    if not ((limits > 0) & (limits <= 1)).all():
        raise ValueError(f"au_pro: limit={limit!r} is no false-positive rate; numbers in (0, 1] are allowed")
    if connectivity not in (4, 8):
        raise ValueError(f"au_pro: connectivity={connectivity!r}; 4 or 8 is allowed")
    defect, scores = _checked("au_pro", masks, maps)
    structure = np.zeros((3, 3, 3), dtype=bool)  # regions do not reach into the next image
    structure[1] = ndimage.generate_binary_structure(2, connectivity // 4)
    labels, n_regions = ndimage.label(defect, structure)
    owner = labels[defect] - 1
    share = 1 / (n_regions * np.bincount(owner))
    curve = region_curve(scores[defect], share[owner], scores[~defect])
    n_normal = defect.size - owner.size
    before = np.concatenate(([0.0], curve.gained[:-1]))
    rate = np.concatenate(([0.0], np.stack([curve.false_above, curve.false_upto], axis=1).ravel() / n_normal, [1.0]))
    overlap = np.concatenate(([0.0], np.stack([before, curve.gained], axis=1).ravel(), [1.0]))
    areas = np.concatenate(([0.0], np.cumsum(np.diff(rate) * (overlap[1:] + overlap[:-1]) / 2)))
    last = np.minimum(np.searchsorted(rate, limits, side="right") - 1, rate.size - 2)  # the last point <= limit
    width = limits - rate[last]
    step = rate[last + 1] - rate[last]
    rise = np.divide(overlap[last + 1] - overlap[last], step, out=np.zeros(step.shape), where=step > 0)
    area = (areas[last] + width * (overlap[last] + rise * width / 2)) / limits
    return area if np.ndim(limit) else float(area[0])


def pixel_auroc(masks: ArrayLike, maps: ArrayLike) -> float:
    """Chance that a defective pixel has a higher score than a normal one, ties counted half; all pixels pooled."""
    curve, n_defect, n_normal = _pooled("pixel_auroc", masks, maps)
    beaten = n_normal - (curve.false_above + curve.false_upto) / 2
    return float(np.diff(curve.hits, prepend=0) @ beaten) / (n_defect * n_normal)


def pixel_ap(masks: ArrayLike, maps: ArrayLike) -> float:
    """Average precision over pooled pixels: precision at each distinct score, weighted by the gain in recall."""
    curve, n_defect, _ = _pooled("pixel_ap", masks, maps)
    precision = curve.hits / (curve.hits + curve.false_upto)
    return float(np.diff(curve.hits, prepend=0) @ precision) / n_defect


def f1_max(masks: ArrayLike, maps: ArrayLike) -> OracleF1:
    """The best pixel F1 that any threshold reaches: an oracle, because the threshold is chosen with the truth in hand.

    The best intersection over union follows from it: `f / (2 - f)`.
    """
    curve, n_defect, _ = _pooled("f1_max", masks, maps)
    f1 = 2 * curve.hits / (curve.hits + curve.false_upto + n_defect)
    best = int(f1.argmax())
    return OracleF1(float(f1[best]), float(curve.threshold[best]))


def image_score(maps: ArrayLike, rule: str | tuple[str, float] = "max") -> NDArray[np.float64]:
    """One anomaly score per map, shape (n_images,).

    Parameters
    ----------
    maps : array-like of shape (n_images, height, width)
    rule : {"max", "mean"} or ("top", share), default="max"
        The largest pixel, the mean, or the mean of the largest `share` in (0, 1] of the pixels, at least one.
    """
    stack = np.asarray(maps)
    if stack.ndim != 3:
        raise ValueError(f"image_score: maps have shape {stack.shape}; (n_images, height, width) is needed")
    return top_mean(stack, top_share(rule, "image_score"))


def _checked(who: str, masks: ArrayLike, maps: ArrayLike) -> tuple[NDArray[np.bool_], NDArray]:
    """Masks as bool and maps as float32 or float64, both (n_images, height, width), both kinds of pixel present."""
    truth, scores = np.asarray(masks), np.asarray(maps)
    if truth.shape != scores.shape or truth.ndim not in (2, 3):
        raise ValueError(
            f"{who}: masks have shape {truth.shape} and maps {scores.shape}; both must be (height, width) or "
            "(n_images, height, width), and equal"
        )
    if truth.dtype != bool:
        if not np.isin(truth, (0, 1)).all():
            raise ValueError(f"{who}: masks hold other values than 0 and 1; give `masks > 0` if all others are defects")
        truth = truth.astype(bool)
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{who}: {np.count_nonzero(~np.isfinite(scores))} pixels of the maps are not finite")
    n_defect = np.count_nonzero(truth)
    if n_defect in (0, truth.size):
        kind = "defective" if n_defect == 0 else "normal"
        raise ValueError(f"{who}: the masks have no {kind} pixel, so there is nothing to compare; both are needed")
    return truth.reshape(-1, *truth.shape[-2:]), scores.reshape(-1, *scores.shape[-2:])


def _pooled(who: str, masks: ArrayLike, maps: ArrayLike) -> tuple[Curve, int, int]:
    defect, scores = _checked(who, masks, maps)
    wanted = scores[defect]
    curve = region_curve(wanted, np.ones(wanted.size), scores[~defect])
    return curve, wanted.size, defect.size - wanted.size
