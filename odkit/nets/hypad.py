"""HypAD's networks: an encoder and a decoder copy or continue windows, which are compared in the Poincaré ball.

A target window becomes a point of the ball by a linear head and the exponential map; so does what the networks make of
it. Their distance is the error, the norm of the predicted point its certainty: with several futures in view the point
of least expected distance lies nearer the origin.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from odkit.nets.backbones import BACKBONES, Conv, Dense, Recurrent
from odkit.nets.critic import critic_value
from odkit.nets.poincare import arcosh_distance, clip_norm, distance, exp0, mobius_add
from odkit.nets.weights import Shapes, tensors

__all__ = ["Plan", "embed", "point_distance", "predicted", "window_errors", "windows_of"]

RIM = 1 - 4e-3  # of the published ball in float32
CHUNK = 1024  # windows in one pass when scoring

Tensors = Mapping[str, torch.Tensor]


class Plan(NamedTuple):
    """What the networks look like: all that scoring must know beside the weights."""

    channels: int
    window: int
    task: str = "reconstruct"
    backbone: str = "conv"
    latent: int = 20
    head: str = "frozen"
    head_dim: int = 32
    clip_r: float = 2.0
    published: bool = False

    @property
    def source(self) -> int:
        """Steps that the encoder sees, the first ones of a window."""
        return self.window if self.task == "reconstruct" else self.window // 2

    @property
    def horizon(self) -> int:
        """Steps that are copied or forecast, the last ones of a window."""
        return self.window if self.task == "reconstruct" else self.window - self.window // 2

    @property
    def net(self) -> Conv | Dense | Recurrent:
        return BACKBONES[self.backbone](self.channels, self.source, self.horizon, self.latent)

    def shapes(self) -> Shapes:
        """Of everything that the generator's optimiser moves."""
        shapes = {**self.net.encoder(), **self.net.decoder()}
        if self.task == "forecast":
            shapes |= {"ahead.w": ((self.latent, self.head_dim), self.latent), "ahead.b": ((self.head_dim,), 1)}
        inputs = self.channels * self.horizon
        if self.published:
            return shapes | {"head.w": ((inputs, inputs), inputs), "head.b": ((inputs,), 1)}
        return shapes | ({"head.w": ((inputs, self.head_dim), inputs)} if self.head == "learned" else {})


def embed(plan: Plan, p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """Points of the ball for targets x (n, channels, horizon)."""
    tangent = x.flatten(1) @ p["head.w"]
    if plan.published:
        return clip_norm(mobius_add(exp0(tangent), exp0(p["head.b"])), RIM)
    return exp0(clip_norm(tangent, plan.clip_r))


def predicted(plan: Plan, p: Tensors, latent: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """Predicted points of the ball: of the copy, or straight from the latent of the past."""
    if plan.task == "reconstruct":
        return embed(plan, p, decoded)
    return exp0(clip_norm(torch.addmm(p["ahead.b"], latent, p["ahead.w"]), plan.clip_r))


def point_distance(plan: Plan, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Distance of points, in the published variant as its authors compute it."""
    return arcosh_distance(u, v) if plan.published else distance(u, v)


def windows_of(X: NDArray, window: int, device: str) -> torch.Tensor:
    """All windows of a series X (n, channels) as a view (n - window + 1, channels, window), float32."""
    series = torch.tensor(np.ascontiguousarray(X.T), dtype=torch.float32, device=device)
    return series.unfold(1, window, 1).transpose(0, 1)


def window_errors(
    plan: Plan, weights: Mapping[str, NDArray], critic: Mapping[str, NDArray], X: NDArray, device: str
) -> Iterator[tuple[slice, dict[str, NDArray[np.float32]]]]:
    """Chunks of the windows of a scaled series X (n, channels), and for each window of a chunk

    - "distance": of the predicted point from the target's,
    - "norm": of the predicted point,
    - "critic": the critic's value of the target,
    - "squares": of decoded minus target, (n_windows, channels, horizon).
    """
    p, judge = tensors(weights, device), tensors(critic, device)
    windows = windows_of(X, plan.window, device)
    for start in range(0, len(windows), CHUNK):
        with torch.no_grad():
            real = windows[start : start + CHUNK].contiguous()
            target = real[..., -plan.horizon :]
            latent = plan.net.encode(p, real[..., : plan.source])
            decoded = plan.net.decode(p, latent)
            point = predicted(plan, p, latent, decoded)
            found = {
                "distance": point_distance(plan, point, embed(plan, p, target)),
                "norm": point.norm(dim=1),
                "critic": critic_value(judge, target.flatten(1)),
                "squares": (decoded - target).square(),
            }
        yield slice(start, start + len(real)), {name: value.cpu().numpy() for name, value in found.items()}
