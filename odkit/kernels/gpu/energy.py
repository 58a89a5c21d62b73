"""Torch twin of `odkit.kernels.cpu.energy`: same names, signatures and quantities, tensors in, tensors out."""

from torch import Tensor
from torch.nn.functional import pad

__all__ = ["moving_energy"]


def moving_energy(x: Tensor, mean: Tensor, scale: Tensor, window: int, clip: float | None = None) -> Tensor:
    """Mean square of the standardised values in every window, (n - window + 1, C)."""
    z = (x - mean) / scale
    if clip is not None:
        z = z.clamp(-clip, clip)
    n, width = z.shape
    n_windows = n - window + 1
    blocks = pad(z * z, (0, 0, 0, -n % window)).reshape(-1, window, width)
    ends = blocks.flip(1).cumsum(1).flip(1).reshape(-1, width)
    beginnings = pad(blocks.cumsum(1)[:, :-1], (0, 0, 1, 0)).reshape(-1, width)
    following = pad(beginnings[window:], (0, 0, 0, window))
    return (ends[:n_windows] + following[:n_windows]) / window
