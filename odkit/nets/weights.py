"""Named weights of a network as one vector: the optimiser makes one step, autograd sees the parts."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Shapes", "Weights", "tensors"]

Shapes = Mapping[str, tuple[tuple[int, ...], int]]  # name -> (shape, number of inputs that one output sums)


class Weights(dict[str, torch.Tensor]):
    """Parts by name, each a leaf that shares its memory with `flat`, its gradient with `flat.grad`.

    Drawn from U(-b, b), b = 1 / sqrt(inputs), in the order of the names.
    """

    def __init__(self, shapes: Shapes, generator: torch.Generator, device: str = "cpu") -> None:
        super().__init__()
        sizes = [int(np.prod(shape)) for shape, _ in shapes.values()]
        flat = torch.empty(sum(sizes))
        for part, (_, inputs) in zip(flat.split(sizes), shapes.values(), strict=True):
            part.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
        self.flat = flat.to(device)
        self.flat.grad = self.grad = torch.zeros_like(self.flat)
        parts = zip(self.flat.split(sizes), self.grad.split(sizes), strict=True)
        for (name, (shape, _)), (values, grad) in zip(shapes.items(), parts, strict=True):
            leaf = values.view(shape).detach().requires_grad_()
            leaf.grad = grad.view(shape)
            self[name] = leaf

    @property
    def gradients(self) -> dict[str, torch.Tensor]:
        """Views of `flat.grad` by name."""
        return {name: leaf.grad for name, leaf in self.items() if leaf.grad is not None}

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Read-only numpy copies."""
        copies = {name: leaf.detach().cpu().numpy().copy() for name, leaf in self.items()}
        for array in copies.values():
            array.flags.writeable = False
        return copies


def tensors(arrays: Mapping[str, NDArray], device: str = "cpu") -> dict[str, torch.Tensor]:
    """The way back: arrays by name on a device, without gradients."""
    return {name: torch.tensor(array, device=device) for name, array in arrays.items()}
