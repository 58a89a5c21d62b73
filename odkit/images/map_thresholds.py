"""Thresholds of pixels and images, from maps of images that each left itself out of the model."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from odkit.kernels.cpu import quantiles
from odkit.kernels.cpu.pixels import top_mean

__all__ = ["map_thresholds"]


def map_thresholds(
    squares: NDArray, batch_size: int, widened: Callable[[NDArray], NDArray[np.float32]], share: float, fpr: float
) -> tuple[float, float]:
    """Conformal quantiles at a rate `fpr`: of all pixels, and of the maps' image scores.

    Parameters
    ----------
    squares : ndarray of shape (n, P)
        Squared leave-one-out distances.
    widened : callable
        Makes maps (m, height, width) of `batch_size` rows of them.
    share : float
        Of the largest pixels whose mean is the image score, as `odkit.kernels.cpu.pixels.top_mean` takes it.

    Raises
    ------
    ValueError
        Where a distance is not finite, which would move the thresholds in silence.
    """
    if not np.isfinite(squares).all():
        raise ValueError(
            "PatchGaussian: leave-one-out distances are not finite: the features are too large, or too much alike, for "
            "eps; raise eps, which is in squared units of the features, or rescale them"
        )
    scores: list[NDArray] = []

    def maps() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(squares), batch_size):
            part = widened(squares[start : start + batch_size])
            scores.append(top_mean(part, share))
            yield part

    n_pixels = len(squares) * widened(squares[:1]).size
    pixels = quantiles.conformal_quantile_of_parts(maps(), n_pixels, fpr)
    return pixels, quantiles.conformal_quantile(np.concatenate(scores), fpr)
