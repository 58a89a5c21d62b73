"""Dense autoencoders, several members as one batched network (Tan et al., MSS-PAE, 2025)."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from odkit.kernels import cautions
from odkit.kernels.cpu.reconstruction import INPUT_LIMIT, VARIANCE_FLOOR
from odkit.nets.reconstruction import Inputs, Layers, loss_gradient, predict, reconstruction_loss, room
from odkit.nets.training import History, train

__all__ = ["AutoEncoderMembers", "encoder_widths", "fit_members"]

BLOWN = 50  # times `far` that a loss reaches where steps are too long; heavy tails reach 3 (23 sets of ADBench)
SLACK = 0.01  # share of `far` below the means that is no more than the noise of batches


def encoder_widths(n_features: int, hidden: str | Sequence[int] = "auto") -> tuple[int, ...]:
    """Widths of the encoder's layers, the latent one last; "auto" is the paper's table.

    >>> [encoder_widths(d) for d in (1, 19, 30, 100, 200)]
    [(1,), (10,), (15, 8), (50, 25, 12), (100, 50, 12)]
    """
    if not isinstance(hidden, str):
        widths = tuple(hidden)
        if not widths or not all(isinstance(width, Integral) and width >= 1 for width in widths):
            raise ValueError(
                f"AutoEncoder: hidden={hidden!r}, but the widths of the layers must be integers of at least 1."
            )
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
            raise ValueError(
                f"AutoEncoder: layers of shapes {given} do not fit a network of shapes {held}, so `hidden` is not what "
                "it was. Set it so, or set warm_start=False."
            )
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
    history = train(members, rows, generators, held_out=held_out, name="AutoEncoder", **training)
    _warn_of_the_unlearnt(rows, two_heads, history)
    return *members.arrays(), history


def _warn_of_the_unlearnt(rows: torch.Tensor, two_heads: bool, history: History) -> None:
    """Name members that know no more than the means (and, with two heads, variances) of the columns, and will not.

    Short fits are no failures: a member is let off whose excess over the means has fallen by a tenth in the second half
    of its records, unless the excess is far beyond that of a network that answers nothing, or was so very far beyond.
    """
    variance = rows.var(dim=0, correction=0)
    known = float((1 + (variance + VARIANCE_FLOOR).log() if two_heads else variance).sum())
    far = 2 * rows.shape[1] if two_heads else 2 * known
    curve, excess = history.loss_curve - known, history.kept_loss - known
    stuck = ~(excess < 0.9 * curve[(len(curve) - 1) // 2]) & (len(curve) > 2)
    blown = np.nanmax(curve, axis=0) > BLOWN * far
    worse = np.flatnonzero((excess > far) | ((excess > -SLACK * far) & (stuck | blown)))
    if worse.size and len(curve) > 1:
        losses = ", ".join(f"{history.kept_loss[member]:.3g}" for member in worse)
        cautions.warn(
            f"AutoEncoder: member {', '.join(map(str, worse))} ended with the loss {losses} where the "
            f"columns' means alone have {known:.3g}: it has learnt nothing of use and votes all the same. Lower "
            "learning_rate, or raise max_steps.",
            ConvergenceWarning,
        )
