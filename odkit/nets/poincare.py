"""The Poincaré ball of curvature -1: the few operations that a network needs, on tensors (..., d).

Points lie inside the unit ball; the distance to the rim is infinite. All functions differentiate at 0 and at equal
points, compute in the dtype they are given, and draw nothing.
"""

import torch

__all__ = ["arcosh_distance", "clip_norm", "distance", "exp0", "mobius_add", "norm"]

TINY = 1e-15  # under roots of squared norms: their gradient at 0 is then 0, not NaN
RIM = 1e-5  # least 1 - |x|^2 in a distance
ROOT = 1e-12


def norm(x: torch.Tensor) -> torch.Tensor:
    """|x|, shape (..., 1), with gradient 0 at 0."""
    return (x.square().sum(-1, keepdim=True) + TINY).sqrt()


def clip_norm(x: torch.Tensor, most: float) -> torch.Tensor:
    """x, shortened to length `most` where it is longer; inside, the gradient passes unchanged.

    >>> clip_norm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    return x * (most / norm(x)).clamp(max=1.0)


def exp0(u: torch.Tensor) -> torch.Tensor:
    """Exponential map at the origin, tanh(|u|) u / |u|: tangent vectors to points of the ball.

    >>> exp0(torch.tensor([0.3, 0.4]))
    tensor([0.2773, 0.3697])
    """
    length = norm(u)
    return u * (torch.tanh(length) / length)


def mobius_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Möbius addition, the translation of y by x; not commutative, its inverse is `mobius_add(-x, .)`.

    >>> mobius_add(torch.tensor([0.3, 0.4]), torch.tensor([-0.2, 0.5]))
    tensor([0.2373, 0.7416])
    """
    inner = (x * y).sum(-1, keepdim=True)
    x2, y2 = x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
    return ((1 + 2 * inner + y2) * x + (1 - x2) * y) / (1 + 2 * inner + x2 * y2)


def _conformal(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """(1 - |u|^2)(1 - |v|^2), each factor at least 1e-5."""
    return (1 - u.square().sum(-1)).clamp(min=RIM) * (1 - v.square().sum(-1)).clamp(min=RIM)


def distance(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Geodesic distance, shape (...): 2 asinh(|u - v| / sqrt((1 - |u|^2)(1 - |v|^2))).

    The same as arcosh(1 + 2 |u - v|^2 / ...), which cancels for near points: in float32 it has a step of 5e-4 there.

    >>> distance(torch.zeros(2), torch.tensor([0.3, 0.4]))
    tensor(1.0986)
    """
    return 2 * torch.asinh(((u - v).square().sum(-1) / _conformal(u, v) + ROOT).sqrt())


def arcosh_distance(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The distance as HypAD's authors compute it, arcosh(1 + 2 |u - v|^2 / ... + 1e-7): coarse below 1e-3."""
    return torch.acosh(1 + 2 * (u - v).square().sum(-1) / _conformal(u, v) + 1e-7)
