"""Dense autoencoders with one or two heads, several members as one batched network (Tan et al., MSS-PAE, 2025).

The gradient of the loss is written out. A step of these small networks is spent on calling operations, not on
arithmetic: the written-out form needs half the time of torch's autograd at every batch size tried, and a test holds
it against autograd.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import softplus

from odkit.kernels.cpu.reconstruction import INPUT_LIMIT, VARIANCE_FLOOR
from odkit.nets.training import History, train

__all__ = [
    "AutoEncoderMembers",
    "Layers",
    "encoder_widths",
    "fit_members",
    "loss_gradient",
    "predict",
    "reconstruction_loss",
    "room",
]


def encoder_widths(n_features: int, hidden: str | Sequence[int] = "auto") -> tuple[int, ...]:
    """Widths of the encoder's layers, the latent one last; "auto" is the paper's table.

    >>> [encoder_widths(d) for d in (1, 19, 30, 100, 200)]
    [(1,), (10,), (15, 8), (50, 25, 12), (100, 50, 12)]
    """
    if not isinstance(hidden, str):
        widths = tuple(hidden)
        if not widths or not all(isinstance(width, Integral) and width >= 1 for width in widths):
            raise ValueError(f"hidden={hidden!r}: the widths of the layers must be integers of at least 1")
        return widths
    if n_features < 20:
        parts: tuple[int, ...] = (2,)
    elif n_features < 100:
        parts = (2, 4)
    elif n_features < 200:
        parts = (2, 4, 8)
    else:
        parts = (2, 4, 16)
    return tuple(max(1, round(n_features / part)) for part in parts)


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
    sums = []
    for layer in range(n_hidden):
        sums.append(_affine(inputs, layer, layers, layer, product_dtype))
        torch.clamp_min(sums[layer], 0, out=inputs[layer + 1][1])
    residual = _affine(inputs, n_hidden, layers, n_hidden, product_dtype).sub_(x)
    if two_heads:
        # with v = softplus(z) + floor: 2 r / v for the mean, (1 - r^2 / v) sigmoid(z) / v for z; 2 and 1 / n come later
        z = _affine(inputs, n_hidden, layers, n_hidden + 1, product_dtype)
        variance = softplus(z).add_(VARIANCE_FLOOR)
        quotient = residual / variance
        squares = residual.mul_(quotient)
        slope = z.sigmoid_().div_(variance)
        slope.addcmul_(slope, squares, value=-1)
        terms = variance.log_().add_(squares)
        _write(gradients, n_hidden + 1, inputs[n_hidden], slope, scale, product_dtype)
        _write(gradients, n_hidden, inputs[n_hidden], quotient, 2 * scale, product_dtype)
        delta = _product(slope, layers.back[n_hidden + 1], product_dtype)
        delta.add_(_product(quotient, layers.back[n_hidden], product_dtype), alpha=2)
    else:
        terms = residual.square()
        scale *= 2
        _write(gradients, n_hidden, inputs[n_hidden], residual, scale, product_dtype)
        delta = _product(residual, layers.back[n_hidden], product_dtype)
    for layer in reversed(range(n_hidden)):
        delta = torch.ops.aten.threshold_backward(delta, sums[layer], 0)  # delta where the layer's sum is > 0
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
    gradients: Layers, layer: int, h: tuple[torch.Tensor, torch.Tensor], delta: torch.Tensor, scale: float, dtype
) -> None:
    whole, part = h
    if dtype is None:
        gradients.blocks[layer].baddbmm_(whole.mT, delta, beta=0, alpha=scale)
    else:
        torch.mul(_product(part.mT, delta, dtype), scale, out=gradients.weights[layer])
        torch.mul(delta.sum(dim=1, keepdim=True), scale, out=gradients.biases[layer])


def _product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    return torch.bmm(a, b) if dtype is None else torch.bmm(a.to(dtype), b.to(dtype)).to(a.dtype)


class AutoEncoderMembers:
    """Parameters of all members in one vector, and views of it as layers.

    One vector makes the optimiser one call. Inside it every layer is a block of all members, because batched products
    want their operands in one piece. (A `torch.nn.Module` would offer `to`, which cuts such views.)

    Parameters
    ----------
    n_features : int
    widths : sequence of int
        Encoder widths; the decoder mirrors them.
    two_heads : bool
        A variance head beside the mean head.
    generators : list of torch.Generator on the cpu, one per member
        Weights and biases are drawn from U(-b, b), b = 1 / sqrt(inputs), layer by layer, weight before bias.
    device : str
    product_dtype : torch.dtype, optional
        Type of the matrix products' inputs while training, such as `torch.bfloat16`.

    Attributes
    ----------
    flat : torch.Tensor of shape (n_parameters,)
    owner : torch.Tensor of shape (n_parameters,), int64
        The member that each entry of `flat` belongs to.
    weights, biases : lists of views of `flat`, (n_members, inputs, outputs) and (n_members, 1, outputs)
    """

    def __init__(
        self,
        n_features: int,
        widths: Sequence[int],
        two_heads: bool,
        generators: Sequence[torch.Generator],
        device: str = "cpu",
        product_dtype: torch.dtype | None = None,
    ) -> None:
        self.two_heads = two_heads
        self.n_members = len(generators)
        self.product_dtype = product_dtype
        inner = [n_features, *widths, *list(widths)[-2::-1]]
        self._shapes = [*pairwise(inner), *[(inner[-1], n_features)] * (1 + two_heads)]
        flat = torch.empty(self.n_members * sum(a * b + b for a, b in self._shapes))
        layers = self.layers(flat)
        for member, generator in enumerate(generators):
            for weight, bias in zip(layers.weights, layers.biases, strict=True):
                bound = weight.shape[1] ** -0.5
                weight[member].uniform_(-bound, bound, generator=generator)
                bias[member].uniform_(-bound, bound, generator=generator)
        owner = torch.empty_like(flat)
        for block in self.layers(owner).blocks:
            block.copy_(torch.arange(self.n_members).view(-1, 1, 1))
        self.flat = flat.to(device)
        self.flat.grad = torch.zeros_like(self.flat)
        self.owner = owner.long().to(device)
        self._layers, self._gradients = self.layers(self.flat), self.layers(self.flat.grad)
        self.weights, self.biases = self._layers.weights, self._layers.biases
        self._rooms: dict[int, Inputs] = {}  # by number of rows: a training has batches of two sizes at most

    def layers(self, flat: torch.Tensor) -> Layers:
        """Views of a vector like `flat` as this network's layers."""
        return Layers.of(flat, self.n_members, self._shapes)

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Mean and variance for rows x (n_members, n, d)."""
        return predict(x, self.weights, self.biases, self.two_heads)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Loss of each member on rows x (n_members, n, d), shape (n_members,)."""
        return reconstruction_loss(x, *self(x))

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Loss of each member, shape (n_members,); its gradient goes to `flat.grad`."""
        n = x.shape[1]
        if n not in self._rooms:
            self._rooms[n] = room(self._layers, n, self.two_heads)
        return loss_gradient(x, self._layers, self.two_heads, self._gradients, self._rooms[n], self.product_dtype)

    def arrays(self) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Read-only numpy copies of `weights` and `biases`."""
        copies = [[view.cpu().numpy().copy() for view in views] for views in (self.weights, self.biases)]
        for array in (*copies[0], *copies[1]):
            array.flags.writeable = False
        return copies[0], copies[1]

    def load(self, weights: Sequence[NDArray], biases: Sequence[NDArray]) -> None:
        """Take over parameters in the form of `arrays`; a ValueError names the shapes where they do not fit."""
        given, held = [array.shape for array in weights], [tuple(view.shape) for view in self.weights]
        if given != held:
            raise ValueError(f"layers of shapes {given} do not fit a network of shapes {held}")
        for view, array in zip((*self.weights, *self.biases), (*weights, *biases), strict=True):
            view.copy_(torch.tensor(array))


def fit_members(
    X: NDArray,
    *,
    hidden: str | Sequence[int],
    two_heads: bool,
    n_members: int,
    validation_fraction: float | None,
    start: tuple[list[NDArray], list[NDArray]] | None,
    mixed_precision: bool,
    device: str,
    random_state: np.random.RandomState,
    **training: Any,
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], History]:
    """Train members on scaled rows X (n, d): their weights and biases as numpy arrays, and the history.

    From `random_state` one integer is drawn for the held-out rows, always, and then one per member, so that the first
    members of a larger fit are the members of a smaller one. `start` holds weights and biases to begin with, and
    `training` the further arguments of `train`.
    """
    split, *seeds = (random_state.randint(2**31 - 1) for _ in range(1 + n_members))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    members = AutoEncoderMembers(
        X.shape[1],
        encoder_widths(X.shape[1], hidden),
        two_heads,
        generators,
        device,
        torch.bfloat16 if mixed_precision else None,
    )
    if start is not None:
        members.load(*start)
    rows = torch.tensor(np.clip(X, -INPUT_LIMIT, INPUT_LIMIT), dtype=torch.float32, device=device)
    held_out = None
    if validation_fraction is not None:
        order = torch.from_numpy(np.random.default_rng(split).permutation(len(X))).to(device)
        n_held_out = min(max(1, round(validation_fraction * len(X))), len(X) - 1)
        held_out, rows = rows[order[:n_held_out]], rows[order[n_held_out:]]
    history = train(members, rows, generators, held_out=held_out, **training)
    return *members.arrays(), history
