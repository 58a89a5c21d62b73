"""Submanifold sparse convolutions (Graham, Engelcke and van der Maaten, CVPR 2018) and a classifier made of them.

A batch of sparse images is a list of stages; the float work is one gather and one matrix product per convolution, and
its gradient is a gather too, because who sees me is whom I see.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from odkit.kernels.cpu.sparse_conv import pool_rules, submanifold_rules

__all__ = ["Images", "SparseClassifier", "SubmanifoldConvolution", "Trainee", "prepare"]

# the nine taps of a 3 x 3 window after each of the eight moves of a square
_TAPS = torch.arange(9).view(3, 3)
_MOVES = torch.stack([m.reshape(-1) for k in range(4) for m in (_TAPS.rot90(k), _TAPS.rot90(k).flip(0))])


class _Gathered(torch.autograd.Function):
    """out[o] = sum over taps t of f[rules[o, t]] @ weight[t], absent neighbours being 0."""

    @staticmethod
    def forward(ctx, f, weight, rules):
        ctx.save_for_backward(f, weight, rules)
        return _columns(f, rules) @ weight.flatten(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        f, weight, rules = ctx.saved_tensors
        grad_f = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_f = _columns(grad, rules) @ weight.flip(0).transpose(1, 2).flatten(0, 1)
        if ctx.needs_input_grad[1]:
            grad_weight = (_columns(f, rules).T @ grad).view_as(weight)
        return grad_f, grad_weight, None


def _columns(f: torch.Tensor, rules: torch.Tensor) -> torch.Tensor:
    """The features of the nine neighbours side by side, (n, 9 channels)."""
    padded = torch.cat([f, f.new_zeros(1, f.shape[1])])
    return padded.index_select(0, rules.reshape(-1)).view(len(rules), 9 * f.shape[1])


class SubmanifoldConvolution(nn.Module):
    """A 3 x 3 convolution without bias at the active sites only, which stay the same.

    Equal to a dense convolution with padding 1 whose output is read at the active sites. `weight` is (9, in, out), tap
    3 (dy + 1) + dx + 1 being the neighbour at (y + dy, x + dx).
    """

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = (2 / (9 * n_in)) ** 0.5
        self.weight = nn.Parameter(torch.randn(9, n_in, n_out, generator=generator) * bound)

    def forward(self, f: torch.Tensor, rules: torch.Tensor) -> torch.Tensor:
        return _Gathered.apply(f, self.weight, rules)


class Images(NamedTuple):
    """Sparse images with their index work done, stage by stage; `bounds[s]` cuts the sites of stage s by image.

    `rules[s]` (n_s, 9) and `parents[s]` (n_s,) count within the image; `rules` has -1 for no neighbour. `counts[s]`
    (n_s, 1) are the logarithms of 1 + the number of points in each site's cell.
    """

    rules: list[torch.Tensor]
    parents: list[torch.Tensor]
    counts: list[torch.Tensor]
    bounds: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.bounds[0]) - 1

    def batch(self, rows: Sequence[int], moves: Sequence[int] | None = None) -> "Batch":
        """The images with these numbers as one batch; `moves` turns or mirrors each, 0 to 7."""
        rules, parents, inputs, sizes = [], [], [], []
        for stage, bounds in enumerate(self.bounds):
            first = 0
            parts, links = [], []
            last = stage == len(self.bounds) - 1
            counts = [int(bounds[row + 1] - bounds[row]) for row in rows]
            total, above = sum(counts), 0
            for number, row in enumerate(rows):
                part = self.rules[stage][bounds[row] : bounds[row + 1]]
                if moves is not None:
                    part = part[:, _MOVES[moves[number]]]
                parts.append(torch.where(part < 0, total, part + first))
                if not last:
                    links.append(self.parents[stage][bounds[row] : bounds[row + 1]] + above)
                    above += int(self.bounds[stage + 1][row + 1] - self.bounds[stage + 1][row])
                first += counts[number]
            rules.append(torch.cat(parts))
            inputs.append(torch.cat([self.counts[stage][bounds[row] : bounds[row + 1]] for row in rows]))
            parents.append(torch.cat(links) if not last else torch.repeat_interleave(torch.tensor(counts)))
            sizes.append(above if not last else len(rows))
        return Batch(rules, parents, inputs, sizes)


class Batch(NamedTuple):
    """One batch: `rules` per stage, the site above (of the image, last), counts, and how many sites are above."""

    rules: list[torch.Tensor]
    parents: list[torch.Tensor]
    counts: list[torch.Tensor]
    sizes: list[int]


def prepare(maps: Sequence[NDArray[np.int64]], size: int, pools: Sequence[int]) -> Images:
    """Index work of all stages for maps of distinct (y, x).

    The canvas is extended to a multiple of all pools together, so that a turned or mirrored canvas pools into the
    turned or mirrored cells, and a move is a permutation of taps: nothing is searched again while training.
    """
    stride = int(np.prod(pools))
    side = -(-size // stride) * stride
    counts = [len(wafer) for wafer in maps]
    image = np.repeat(np.arange(len(maps)), counts)
    sites = np.concatenate([np.column_stack([image, np.concatenate([*maps, np.empty((0, 2), np.int64)])])]).astype(int)
    sites = sites[np.lexsort(sites.T[::-1])]
    points: NDArray = np.ones(len(sites))
    rules, parents, inputs, bounds = [], [], [], []
    for pool in [*pools, None]:
        cut = np.searchsorted(sites[:, 0], np.arange(len(maps) + 1))
        first = cut[sites[:, 0]]
        own = submanifold_rules(sites, side)
        rules.append(torch.from_numpy(np.where(own < len(sites), own - first[:, None], -1)))
        inputs.append(torch.from_numpy(np.log1p(points)[:, None].astype(np.float32)))
        bounds.append(cut)
        if pool is not None:
            sites, parent = pool_rules(sites, side, pool)
            points = np.bincount(parent, points)
            above = np.searchsorted(sites[:, 0], np.arange(len(maps) + 1))
            parents.append(torch.from_numpy(parent - above[sites[parent, 0]]))
            side //= pool
    return Images(rules, parents, inputs, bounds)


class SparseClassifier(nn.Module):
    """Stages of convolution, normalisation over sites, ReLU and max-pooling; a last convolution, an average, a head.

    All weights come from `generator`: torch's global one is left alone.
    """

    def __init__(self, channels: Sequence[int], latent: int, n_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [0, *channels, latent]
        pairs = list(pairwise(widths))
        self.convolutions = nn.ModuleList(SubmanifoldConvolution(a + 1, b, generator) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) for _, b in pairs)
        self.head = nn.utils.skip_init(nn.Linear, latent, n_classes)
        bound = latent**-0.5
        for parameter in self.head.parameters():
            parameter.data.uniform_(-bound, bound, generator=generator)

    def encode(self, batch: Batch) -> torch.Tensor:
        """Latents (n_images, latent): means over the sites left; 0 for an image without sites."""
        f = self.head.weight.new_empty(len(batch.rules[0]), 0)
        stages = zip(self.convolutions, self.norms, batch.rules, batch.parents, batch.counts, batch.sizes, strict=True)
        for stage, (convolution, norm, rules, parents, counts, size) in enumerate(stages):
            f = torch.relu(_normalised(norm, convolution(torch.cat([f, counts.to(f)], dim=1), rules)))
            if stage < len(self.convolutions) - 1:  # every cell has a site and f >= 0, so 0 never wins wrongly
                f = f.new_zeros(size, f.shape[1]).scatter_reduce(0, parents[:, None].expand_as(f), f, "amax")
        counts = torch.bincount(batch.parents[-1], minlength=batch.sizes[-1]).clamp(min=1)
        return f.new_zeros(batch.sizes[-1], f.shape[1]).index_add(0, batch.parents[-1], f) / counts[:, None]

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.head(self.encode(batch))


def _normalised(norm, f: torch.Tensor) -> torch.Tensor:
    """Batch statistics need two sites; with fewer there is nothing to learn, and the running ones serve."""
    if norm.training and len(f) < 2:
        return nn.functional.batch_norm(f, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return norm(f)


class Trainee:
    """A classifier and its images in the form that `odkit.nets.training.train` takes: rows are image numbers.

    Parameters become views of one vector, gradients of another. Every pass turns or mirrors each image at random.
    """

    n_members = 1

    def __init__(
        self, network: SparseClassifier, images: Images, classes: torch.Tensor, generator: torch.Generator
    ) -> None:
        self.network, self.images, self.classes, self.generator = network, images, classes, generator
        parameters = list(network.parameters())
        self.flat = nn.utils.parameters_to_vector(parameters).detach()
        self.grad = torch.zeros_like(self.flat)
        self.flat.grad = self.grad
        self.owner = torch.zeros(len(self.flat), dtype=torch.int64)
        sizes = [parameter.numel() for parameter in parameters]
        parts = zip(self.flat.split(sizes), self.grad.split(sizes), strict=True)
        for parameter, (values, grad) in zip(parameters, parts, strict=True):
            parameter.data, parameter.grad = values.view_as(parameter), grad.view_as(parameter)

    def gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the images x (1, n, 1), shape (1,), gradient in `flat.grad`."""
        with torch.enable_grad():
            self.grad.zero_()
            loss = self._cross_entropy(x)
            loss.backward()
        return loss.detach()[None]

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """The same loss without its gradient."""
        return self._cross_entropy(x)[None]

    def _cross_entropy(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1)
        moves = torch.randint(8, (len(rows),), generator=self.generator)
        logits = self.network(self.images.batch(rows.tolist(), moves.tolist()))
        return nn.functional.cross_entropy(logits, self.classes[rows])
