"""Encoders and decoders of windows: dense, convolutional, recurrent, behind one small interface.

Windows are (n, channels, steps), latents (n, latent). A backbone owns no weights: `encoder` and `decoder` name their
shapes, `encode` and `decode` are functions of a mapping of tensors. Decoded values lie in (-1, 1).
"""

from typing import NamedTuple

import torch
from torch.nn.functional import conv1d, gelu, interpolate, pad

from odkit.nets.weights import Shapes

__all__ = ["BACKBONES", "Conv", "Dense", "Recurrent"]

Tensors = dict[str, torch.Tensor]

WIDTH = 16  # channels of the convolutions
UNITS = 64  # of the recurrent layers
STEPS = 4  # of the series that one step of a recurrent layer reads or writes


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[tuple[int, ...], int]]:
    return {f"{name}.w": ((inputs, outputs), inputs), f"{name}.b": ((outputs,), inputs)}


def _apply(p: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(p[f"{name}.b"], x, p[f"{name}.w"])


class Dense(NamedTuple):
    """Two hidden layers of 256 and 128, mirrored: what the published network is, its sequences having one step."""

    channels: int
    source: int
    horizon: int
    latent: int

    def encoder(self) -> Shapes:
        sizes = (self.channels * self.source, 256, 128, self.latent)
        return {k: v for i in range(3) for k, v in _linear(f"encoder{i}", sizes[i], sizes[i + 1]).items()}

    def decoder(self) -> Shapes:
        sizes = (self.latent, 128, 256, self.channels * self.horizon)
        return {k: v for i in range(3) for k, v in _linear(f"decoder{i}", sizes[i], sizes[i + 1]).items()}

    def encode(self, p: Tensors, x: torch.Tensor) -> torch.Tensor:
        return self._chain(p, "encoder", x.flatten(1))

    def decode(self, p: Tensors, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self._chain(p, "decoder", z)).view(-1, self.channels, self.horizon)

    def _chain(self, p: Tensors, part: str, x: torch.Tensor) -> torch.Tensor:
        for layer in range(2):
            x = gelu(_apply(p, f"{part}{layer}", x))
        return _apply(p, f"{part}2", x)


class Conv(NamedTuple):
    """Two convolutions, 8 steps wide every 4 and 5 wide every 2, then a dense layer; the way back mirrors them.

    The last convolution gives 4 steps at a place at once, so none runs at full length: at window 100 a pass costs a
    quarter of three convolutions that halve the length.
    """

    channels: int
    source: int
    horizon: int
    latent: int

    def encoder(self) -> Shapes:
        w, c = WIDTH, self.channels
        shapes = {"encoder0.w": ((w, c, 8), 8 * c), "encoder0.b": ((w,), 8 * c)}
        shapes |= {"encoder1.w": ((w, w, 5), 5 * w), "encoder1.b": ((w,), 5 * w)}
        return shapes | _linear("encoder2", w * self._lengths(self.source)[1], self.latent)

    def decoder(self) -> Shapes:
        w, c = WIDTH, self.channels
        shapes = _linear("decoder0", self.latent, w * self._lengths(self.horizon)[1])
        shapes |= {"decoder1.w": ((w, w, 5), 5 * w), "decoder1.b": ((w,), 5 * w)}
        return shapes | {"decoder2.w": ((4 * c, w, 5), 5 * w), "decoder2.b": ((4 * c,), 5 * w)}

    def encode(self, p: Tensors, x: torch.Tensor) -> torch.Tensor:
        lengths = self._lengths(self.source)
        x = pad(x, (2, 4 * lengths[0] - self.source + 2))
        x = gelu(conv1d(x, p["encoder0.w"], p["encoder0.b"], stride=4))
        x = gelu(conv1d(x, p["encoder1.w"], p["encoder1.b"], stride=2, padding=2))
        return _apply(p, "encoder2", x.flatten(1))

    def decode(self, p: Tensors, z: torch.Tensor) -> torch.Tensor:
        lengths = self._lengths(self.horizon)
        x = gelu(_apply(p, "decoder0", z)).view(len(z), WIDTH, lengths[1])
        x = interpolate(x, size=lengths[0])
        x = gelu(conv1d(x, p["decoder1.w"], p["decoder1.b"], padding=2))
        x = conv1d(x, p["decoder2.w"], p["decoder2.b"], padding=2)  # (n, 4 channels, steps / 4)
        x = x.view(len(z), self.channels, 4, -1).transpose(2, 3).flatten(2)
        return torch.tanh(x[..., : self.horizon])

    def _lengths(self, steps: int) -> tuple[int, int]:
        """Places after the first and after the second convolution."""
        places = -(-steps // 4)
        return places, -(-places // 2)


class Recurrent(NamedTuple):
    """One LSTM of 64 units over the series, its last state into the latent; the latent at every step into another.

    Like the convolutions it moves by 4 steps of the series at once: a layer's steps wait for each other, and a quarter
    of them costs a quarter.
    """

    channels: int
    source: int
    horizon: int
    latent: int

    def encoder(self) -> Shapes:
        return self._lstm("encoder", STEPS * self.channels) | _linear("encoder1", UNITS, self.latent)

    def decoder(self) -> Shapes:
        return self._lstm("decoder", self.latent) | _linear("decoder1", UNITS, STEPS * self.channels)

    def encode(self, p: Tensors, x: torch.Tensor) -> torch.Tensor:
        x = pad(x, (-self.source % STEPS, 0)).unflatten(2, (-1, STEPS))  # (n, channels, steps / 4, 4)
        return _apply(p, "encoder1", self._run(p, "encoder", x.transpose(1, 2).flatten(2))[:, -1])

    def decode(self, p: Tensors, z: torch.Tensor) -> torch.Tensor:
        states = self._run(p, "decoder", z[:, None].expand(-1, -(-self.horizon // STEPS), -1))
        x = (states @ p["decoder1.w"] + p["decoder1.b"]).unflatten(2, (self.channels, STEPS))
        return torch.tanh(x.transpose(1, 2).flatten(2)[..., : self.horizon])

    def _lstm(self, name: str, inputs: int) -> dict[str, tuple[tuple[int, ...], int]]:
        u = UNITS
        shapes = {"wi": (4 * u, inputs), "wh": (4 * u, u), "bi": (4 * u,), "bh": (4 * u,)}
        return {f"{name}.{part}": (shape, u) for part, shape in shapes.items()}

    def _run(self, p: Tensors, name: str, x: torch.Tensor) -> torch.Tensor:
        """States (n, steps, units) of torch's fused layer."""
        start = x.new_zeros(1, len(x), UNITS)
        weights = [p[f"{name}.{part}"] for part in ("wi", "wh", "bi", "bh")]
        states, _, _ = torch.lstm(x.contiguous(), (start, start), weights, True, 1, 0.0, False, False, True)
        return states


BACKBONES: dict[str, type[Conv] | type[Dense] | type[Recurrent]] = {"conv": Conv, "lstm": Recurrent, "mlp": Dense}
