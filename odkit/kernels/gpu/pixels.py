"""torch twins of `odkit.kernels.cpu.pixels`: same names, same signatures, tensors in, tensors out."""

from typing import NamedTuple

import torch

__all__ = ["Curve", "region_curve", "top_mean"]


class Curve(NamedTuple):
    """What has entered when the threshold has fallen to each distinct wanted score, highest first."""

    threshold: torch.Tensor
    gained: torch.Tensor
    hits: torch.Tensor
    false_above: torch.Tensor
    false_upto: torch.Tensor


def region_curve(wanted: torch.Tensor, weight: torch.Tensor, unwanted: torch.Tensor) -> Curve:
    """The corners of the curve; ties enter together."""
    ordered, order = wanted.sort(descending=True)
    changes = torch.ones_like(ordered, dtype=torch.bool)
    changes[:-1] = ordered[1:] != ordered[:-1]
    last = changes.nonzero()[:, 0]
    threshold = ordered[last]
    ascending = unwanted.sort().values
    return Curve(
        threshold,
        weight[order].cumsum(0)[last],
        last + 1,
        unwanted.numel() - torch.searchsorted(ascending, threshold, side="right"),
        unwanted.numel() - torch.searchsorted(ascending, threshold, side="left"),
    )


def top_mean(maps: torch.Tensor, share: float) -> torch.Tensor:
    """Mean of the largest `share` in [0, 1] of the pixels of each map (n, ...), at least of one pixel: shape (n,)."""
    flat = maps.reshape(len(maps), -1)
    return flat.topk(max(1, int(share * flat.shape[1])), dim=1).values.double().mean(dim=1)
