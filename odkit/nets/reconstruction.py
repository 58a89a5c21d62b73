"""The loss of autoencoders with one or two heads, and its gradient written out, for all members at once.

A step of these small networks is spent on calling operations, not on arithmetic: the written-out form needs half the
time of torch's autograd at every batch size tried, and a test holds it against autograd.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch.nn.functional import softplus

from odkit.kernels.cpu.reconstruction import VARIANCE_FLOOR

__all__ = ["Inputs", "Layers", "loss_gradient", "predict", "reconstruction_loss", "room"]


def predict(
    x: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor], two_heads: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Mean and variance (None with one head), each (n_members, n, d), for rows x (n_members, n, d)."""
    n_hidden = len(weights) - (2 if two_heads else 1)
    for weight, bias in zip(weights[:n_hidden], biases[:n_hidden], strict=True):
        x = torch.relu(torch.bmm(x, weight) + bias)
    mean, *z = (torch.bmm(x, w) + b for w, b in zip(weights[n_hidden:], biases[n_hidden:], strict=True))
    return mean, softplus(z[0]) + VARIANCE_FLOOR if z else None


def reconstruction_loss(x: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor | None) -> torch.Tensor:
    """Loss of each member, shape (n_members,): mean over the rows of sum_j (x_j - mean_j)^2 [/ v_j + log v_j]."""
    terms = (x - mean).square()
    if variance is not None:
        terms = terms / variance + variance.log()
    return terms.sum(dim=(1, 2)) / x.shape[1]


class Layers(NamedTuple):
    """Parameters of the layers, or their gradients, as views of one vector; mean head and variance head come last.

    Attributes
    ----------
    blocks : list of tensors (n_members, inputs + 1, outputs)
        Weights, and in the last line biases: with a column of ones beside the inputs one product does both.
    weights, biases : lists of views (n_members, inputs, outputs) and (n_members, 1, outputs) of the blocks
    back : list of views (n_members, outputs, inputs) of the weights
    """

    blocks: list[torch.Tensor]
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    back: list[torch.Tensor]

    @classmethod
    def of(cls, flat: torch.Tensor, n_members: int, shapes: Sequence[tuple[int, int]]) -> "Layers":
        """Cut a vector into layers of these (inputs, outputs)."""
        ends = list(accumulate((n_members * (inputs + 1) * outputs for inputs, outputs in shapes), initial=0))
        parts = [flat[start:end] for start, end in pairwise(ends)]
        blocks = [part.view(n_members, -1, outputs) for part, (_, outputs) in zip(parts, shapes, strict=True)]
        weights = [block[:, :-1] for block in blocks]
        return cls(blocks, weights, [block[:, -1:] for block in blocks], [weight.mT for weight in weights])


Inputs = list[tuple[torch.Tensor, torch.Tensor]]


def room(layers: Layers, n_rows: int, two_heads: bool) -> Inputs:
    """Where `loss_gradient` puts the inputs of each layer: the room with its column of ones, and the part before it."""
    blocks = layers.blocks[:-1] if two_heads else layers.blocks
    wholes = [block.new_ones(len(block), n_rows, block.shape[1]) for block in blocks]
    return [(whole, whole[..., :-1]) for whole in wholes]


def loss_gradient(
    x: torch.Tensor,
    layers: Layers,
    two_heads: bool,
    gradients: Layers,
    inputs: Inputs,
    product_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Loss of each member, shape (n_members,), on rows x (n_members, n, d); its gradients are written to `gradients`.

    No member's numbers enter another's. `inputs` is the `room` for n rows, overwritten. `product_dtype` is the type of
    the matrix products' inputs (None: as they are); everything between the products keeps the type of the weights.
    """
    n_hidden = len(inputs) - 1
    scale = 1 / x.shape[1]
    inputs[0][1].copy_(x)
    before_relu = []
    for layer in range(n_hidden):  # forward
        before_relu.append(_affine(inputs, layer, layers, layer, product_dtype))
        torch.clamp_min(before_relu[layer], 0, out=inputs[layer + 1][1])
    residual = _affine(inputs, n_hidden, layers, n_hidden, product_dtype).sub_(x)
    if two_heads:
        # gradients of r^2 / v + log v, v = softplus(z) + floor: 2 r / v by the mean, (1 - r^2 / v) sigmoid(z) / v by z.
        # The factors 2 and 1 / n come with the products
        z = _affine(inputs, n_hidden, layers, n_hidden + 1, product_dtype)
        variance = softplus(z).add_(VARIANCE_FLOOR)
        mean_delta = residual / variance
        square_ratio = residual.mul_(mean_delta)
        z_delta = z.sigmoid_().div_(variance)
        z_delta.addcmul_(z_delta, square_ratio, value=-1)
        terms = variance.log_().add_(square_ratio)
        _write(gradients, n_hidden + 1, inputs[n_hidden], z_delta, scale, product_dtype)
        _write(gradients, n_hidden, inputs[n_hidden], mean_delta, 2 * scale, product_dtype)
        delta = _product(z_delta, layers.back[n_hidden + 1], product_dtype)
        delta.add_(_product(mean_delta, layers.back[n_hidden], product_dtype), alpha=2)
    else:
        terms = residual.square()
        scale *= 2
        _write(gradients, n_hidden, inputs[n_hidden], residual, scale, product_dtype)
        delta = _product(residual, layers.back[n_hidden], product_dtype)
    for layer in reversed(range(n_hidden)):  # back; scale * delta is the gradient by a layer's output
        delta = torch.ops.aten.threshold_backward(delta, before_relu[layer], 0)  # delta where the layer's sum is > 0
        _write(gradients, layer, inputs[layer], delta, scale, product_dtype)
        if layer:
            delta = _product(delta, layers.back[layer], product_dtype)
    return terms.flatten(1).sum(dim=1).div_(x.shape[1])


def _affine(inputs: Inputs, place: int, layers: Layers, layer: int, dtype: torch.dtype | None) -> torch.Tensor:
    whole, part = inputs[place]
    if dtype is None:
        return torch.bmm(whole, layers.blocks[layer])
    return _product(part, layers.weights[layer], dtype).add_(layers.biases[layer])  # biases are not rounded


def _write(
    gradients: Layers, layer: int, input_: tuple[torch.Tensor, torch.Tensor], delta: torch.Tensor, scale: float, dtype
) -> None:
    whole, part = input_
    if dtype is None:
        gradients.blocks[layer].baddbmm_(whole.mT, delta, beta=0, alpha=scale)
    else:
        torch.mul(_product(part.mT, delta, dtype), scale, out=gradients.weights[layer])
        torch.mul(delta.sum(dim=1, keepdim=True), scale, out=gradients.biases[layer])


def _product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    return torch.bmm(a, b) if dtype is None else torch.bmm(a.to(dtype), b.to(dtype)).to(a.dtype)
