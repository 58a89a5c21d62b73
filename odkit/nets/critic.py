"""A Wasserstein critic with gradient penalty (Gulrajani et al., 2017), the gradient of its loss written out.

The critic is linear between the kinks of its leaky ReLUs, C(x) = ((x w1 + b1) m1 w2 + b2) m2 w3 + b3 with slopes m,
so the penalty on |dC/dx| needs products only where autograd would differentiate twice. A test holds both together.
It has no dropout: drawing the masks took 40 % of a step.
"""

from collections.abc import Mapping

import torch

from odkit.nets.weights import Shapes

__all__ = ["critic_gradient", "critic_shapes", "critic_value", "input_gradient"]

HIDDEN, LEAK, PENALTY = 64, 0.2, 10.0
Tensors = Mapping[str, torch.Tensor]


def critic_shapes(n_inputs: int) -> Shapes:
    """Two hidden layers of 64 and one output."""
    return {
        "w1": ((n_inputs, HIDDEN), n_inputs),
        "b1": ((HIDDEN,), n_inputs),
        "w2": ((HIDDEN, HIDDEN), HIDDEN),
        "b2": ((HIDDEN,), HIDDEN),
        "w3": ((HIDDEN, 1), HIDDEN),
        "b3": ((1,), HIDDEN),
    }


def critic_value(p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """C(x) of rows x (n, n_inputs), shape (n,). Only differences between values mean something."""
    h = torch.nn.functional.leaky_relu(torch.addmm(p["b1"], x, p["w1"]), LEAK)
    h = torch.nn.functional.leaky_relu(torch.addmm(p["b2"], h, p["w2"]), LEAK)
    return torch.addmm(p["b3"], h, p["w3"])[:, 0]


def input_gradient(p: Tensors, x: torch.Tensor) -> torch.Tensor:
    """dC/dx at rows x (n, n_inputs)."""
    m1, _, m2, _ = _pass(p, x)
    return ((m2 * p["w3"][:, 0]) @ p["w2"].T).mul_(m1) @ p["w1"].T


def critic_gradient(
    p: Tensors,
    gradients: dict[str, torch.Tensor],
    real: torch.Tensor,
    fake: torch.Tensor,
    generator: torch.Generator,
    *,
    joint_norm: bool = False,
) -> torch.Tensor:
    """Loss mean C(fake) - mean C(real) + 10 mean (|dC/dx| - 1)^2 of rows (n, n_inputs); its gradient is written.

    The norm is taken of each row, at a random point between a real row and a fake one. `joint_norm` takes one norm of
    all rows together and mixes every number by itself, as HypAD's authors do: each row's norm is then pushed to
    1 / sqrt(n).
    """
    n = len(real)
    weight = torch.rand(real.shape if joint_norm else (n, 1), generator=generator, device=real.device)
    mixed = torch.lerp(fake, real, weight)
    x = torch.cat([fake, real])
    m1, a1, m2, a2 = _pass(p, torch.cat([x, mixed]))
    w1, w2, w3 = p["w1"], p["w2"], p["w3"]
    # the two means: dC is 1/n for fake rows, -1/n for real ones
    sign = x.new_full((2 * n, 1), 1 / n)
    sign[n:] = -1 / n
    delta2 = m2[: 2 * n] * w3[:, 0] * sign
    delta1 = (delta2 @ w2.T).mul_(m1[: 2 * n])
    loss = ((a2[: 2 * n] @ w3) * sign).sum()
    # the penalty: dC/dx = a w1', a = m1 c, c = b w2', b = m2 w3', followed backwards
    b = m2[2 * n :] * w3[:, 0]
    a = (b @ w2.T).mul_(m1[2 * n :])
    slope = a @ w1.T
    length = slope.norm() if joint_norm else slope.norm(dim=1, keepdim=True)
    excess = length - 1
    loss = loss + PENALTY * excess.square().mean()
    slope.mul_(2 * PENALTY / excess.numel() * excess / length.clamp(min=1e-12))
    c_bar = (slope @ w1).mul_(m1[2 * n :])
    b_bar = c_bar @ w2
    gradients["w1"].copy_(torch.addmm(slope.T @ a, x.T, delta1))
    gradients["b1"].copy_(delta1.sum(0))
    gradients["w2"].copy_(torch.addmm(c_bar.T @ b, a1[: 2 * n].T, delta2))
    gradients["b2"].copy_(delta2.sum(0))
    gradients["w3"].copy_((a2[: 2 * n].T @ sign).add_(b_bar.mul_(m2[2 * n :]).sum(0)[:, None]))
    gradients["b3"].zero_()  # it cancels
    return loss


def _pass(p: Tensors, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Slopes and outputs of both hidden layers, each (n, 64)."""
    found = []
    for w, b in (("w1", "b1"), ("w2", "b2")):
        h = torch.addmm(p[b], x, p[w])
        m = torch.where(h > 0, 1.0, LEAK)
        x = h.mul_(m)
        found += [m, x]
    return found[0], found[1], found[2], found[3]
