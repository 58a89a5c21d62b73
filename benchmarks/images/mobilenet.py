"""MobileNetV1 0.5 with real weights: the frozen network that the image tests and benchmarks look through.

It is no part of the package, which takes any `torch.nn.Module` and downloads none.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["LEVELS", "SCALE", "MobileNet"]

# outputs of the arrays 00, 02, 06, 10, 22, 26 of the file: 16, 32, 64, 128, 256, 512 channels
LEVELS = ("block0", "block2", "block6", "block10", "block22", "block26")
SCALE = {"mean": 127.5, "std": 127.5}  # of pixels in 0..255


class SameConvolution(nn.Conv2d):
    """TensorFlow's SAME padding, which puts the odd pixel after, then ReLU clipped at 6."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads = []
        for size in x.shape[:1:-1]:  # width, then height
            stride, kernel = self.stride[0], self.kernel_size[0]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads)).clamp(0, 6)


class MobileNet(nn.Module):
    """The convolutions in the order of the file, named `block0` to `block26`; the classifier is left out."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        with np.load(weights) as archive:
            names = sorted(name for name in archive.files if name.endswith("_weight"))[:-1]
            self.names = []
            for name in names:
                number, kind, stride, _ = name.split("_")
                weight = torch.from_numpy(archive[name])
                bias = torch.from_numpy(archive[name.replace("_weight", "_bias")])
                out, _, kernel, _ = weight.shape
                groups = out if kind == "dw" else 1
                layer = SameConvolution(
                    out if kind == "dw" else weight.shape[1], out, kernel, int(stride[1:]), 0, 1, groups
                )
                layer.weight.data, layer.bias.data = weight, bias
                self.names.append(f"block{int(number)}")
                self.add_module(self.names[-1], layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.names:
            x = getattr(self, name)(x)
        return x
