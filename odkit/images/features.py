"""Levels of features of a network, as Rippel, Mertens and Merhof (ICPR 2020) feed them to a Gaussian."""

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from odkit._sklearn import Interval, StrOptions, fit_context
from odkit.images.reading import batches
from odkit.images.sizes import check_size

if TYPE_CHECKING:
    import torch

__all__ = ["FeaturePyramid"]


class FeaturePyramid(TransformerMixin, BaseEstimator):
    """What named layers of a network put out, pooled to one row per image or as maps.

    Assumes a network trained on images of a similar kind, frozen: nothing is trained here, no weights are ever
    downloaded, and the model's mode and hooks are as before after every call. It fails to help where the network never
    learned what distinguishes the defect (a fine texture seen by a network for objects): try other layers.

    Parameters
    ----------
    model : torch.nn.Module
        Takes a batch (n, 3, height, width). The pass runs where the model is: `model.to("cuda")` first for a GPU.
    layers : sequence of str
        Names of submodules, as `model.named_modules()` has them, in the order wanted; each is called once per pass.
        Maps have channels second; where they come last, as in torchvision's Swin, name a submodule that permutes them.
    pool : {"avg", "max"} or None, default="avg"
        How a map becomes one number per channel (and cell); None keeps maps.
    cells : int, default=1
        Pool each of cells x cells parts of a map by itself, which keeps where things are, for things that stand upright
        and in the middle; parts overlap by a pixel where the map cannot be cut evenly.
    output : {"levels", "matrix"}, default="levels"
        A list with one array per layer, or the pooled levels side by side, for the use in a Pipeline.
    size : (height, width), int or None, default=None
        Resize images to this (a square for an int), without a crop; None: they must have one size.
    mean, std : float or sequence of 3 floats, default=0.0 and 1.0
        The model is given (pixel - mean) / std. Files have pixels in 0..255, arrays those that they have; for the usual
        ImageNet networks these are (123.675, 116.28, 103.53) and (58.395, 57.12, 57.375).
    batch_size : int, default=32
    on_error : {"raise", "nan"}, default="raise"
        What a broken file or image is: an error that names it, or a row of NaN and a warning that names it. Images of
        several sizes without `size` are an error either way.

    Notes
    -----
    **Score:** none; `transform` gives features.
    **Cost:** one forward pass per image; memory that of one batch of outputs and of the result.
    **Source:** Rippel et al., section III.A: evaluation mode, no crop, global average pooling of every level.

    Examples
    --------
    A network of one layer that doubles its input, on two grey images (grey is repeated to three channels):

    >>> import numpy as np, pytest
    >>> torch = pytest.importorskip("torch")
    >>> from odkit.images.features import FeaturePyramid
    >>> twice = torch.nn.Conv2d(3, 1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(twice.weight, 2 / 3)
    >>> pyramid = FeaturePyramid(torch.nn.Sequential(twice), ["0"])
    >>> pyramid.transform(np.array([[[1, 2], [3, 4]], [[0, 0], [0, 0]]]))
    [array([[5.],
           [0.]], dtype=float32)]
    """

    _parameter_constraints: dict = {
        "model": "no_validation",
        "layers": [list, tuple],
        "pool": [StrOptions({"avg", "max"}), None],
        "cells": [Interval(Integral, 1, None, closed="left")],
        "output": [StrOptions({"levels", "matrix"})],
        "size": [Interval(Integral, 1, None, closed="left"), tuple, None],
        "mean": [Real, "array-like"],
        "std": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "on_error": [StrOptions({"raise", "nan"})],
    }

    def __init__(
        self,
        model: "torch.nn.Module",
        layers: Sequence[str],
        *,
        pool: str | None = "avg",
        cells: int = 1,
        output: str = "levels",
        size: tuple[int, int] | int | None = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        batch_size: int = 32,
        on_error: str = "raise",
    ) -> None:
        self.model = model
        self.layers = layers
        self.pool = pool
        self.cells = cells
        self.output = output
        self.size = size
        self.mean = mean
        self.std = std
        self.batch_size = batch_size
        self.on_error = on_error

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check the parameters; there is nothing to learn."""
        self._check()
        return self

    def transform(self, X: Any) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """Features of images.

        Parameters
        ----------
        X : ndarray (n, height, width) or (n, height, width, channels), list of such images or of paths, a folder
            Or a torch tensor (n, 3, height, width) that is given to the model as it is. Files, and Pillow's images, are
            turned upright where their EXIF tag says so, and have 8 bits per channel at most.

        Returns
        -------
        list of ndarrays, one per layer, in the order of `layers`
            (n, channels), or (n, channels, height, width) with `pool=None`; one matrix (n, sum of channels) with
            `output="matrix"`.

        Raises
        ------
        ValueError
            For a layer that does not exist (the message lists those that do), is called twice or never, or puts out
            no tensor; for images of different sizes without `size`, with transparent pixels, with more than 8 bits per
            channel, or that cannot be read.
        """
        self._validate_params()
        self._check()
        return self._joined(self.iterate(X))

    def iterate(self, X: Any) -> Iterator[list[NDArray[np.float32]]]:
        """The levels batch by batch, for sets of images whose maps do not fit in memory."""
        import torch

        from odkit.nets.hooks import listening, pooled

        for batch, faults in self._batches(X):
            with torch.no_grad(), listening(self.model, self.layers) as outputs:
                self.model(batch)
                levels = [_host(pooled(name, outputs, self.pool, self.cells)) for name in self.layers]
            yield _without(levels, faults)

    def step_down(
        self, X: Any, slope: Callable[[list[NDArray]], list[NDArray]], step: float
    ) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        """Features after every pixel went one step in the direction in which a function of the features falls.

        Parameters
        ----------
        X : as in `transform`
        slope : callable
            Takes the levels of a batch and gives the gradient of the function at each of them, in their shapes.
        step : float
            How far, in units of the pixels (of the numbers in a torch tensor); all pixels go equally far.

        Returns
        -------
        as `transform`
        """
        import torch

        from odkit.nets.hooks import listening, pooled

        self._validate_params()
        self._check()
        std = 1.0 if isinstance(X, torch.Tensor) else np.asarray(self.std, np.float32).reshape(-1, 1, 1)

        def moved() -> Iterator[list[NDArray[np.float32]]]:
            for batch, faults in self._batches(X):
                x = batch.detach().requires_grad_()
                with torch.enable_grad(), listening(self.model, self.layers) as outputs:
                    self.model(x.clone())  # a first layer may write into what it is given
                    levels = [pooled(name, outputs, self.pool, self.cells) for name in self.layers]
                slopes = slope([_host(level) for level in levels])
                falls = [torch.tensor(part).to(level) for part, level in zip(slopes, levels, strict=True)]
                (gradient,) = torch.autograd.grad(levels, x, falls)
                with torch.no_grad(), listening(self.model, self.layers) as outputs:
                    self.model(x - torch.as_tensor(step / std).to(x) * gradient.sign())
                    levels = [pooled(name, outputs, self.pool, self.cells) for name in self.layers]
                yield _without([_host(level) for level in levels], faults)

        return self._joined(moved())

    def _joined(self, parts: Iterator[list[NDArray]]) -> list[NDArray[np.float32]] | NDArray[np.float32]:
        levels = [np.concatenate(level) for level in zip(*[list(levels) for levels in parts], strict=True)]
        return np.concatenate(levels, axis=1) if self.output == "matrix" else levels

    def _batches(self, X: Any) -> "Iterator[tuple[torch.Tensor, list[int]]]":
        """What the model takes, where it is, batch by batch, for it alone: a first layer may write into it."""
        import torch

        parameter = next(iter(self.model.parameters()), torch.empty(0))
        ready = isinstance(X, torch.Tensor)
        source = ((batch.clone(), []) for batch in X.split(self.batch_size)) if ready else self._prepared(X)
        for batch, faults in source:
            yield torch.as_tensor(batch, dtype=parameter.dtype, device=parameter.device), faults

    def _prepared(self, X: Any) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
        size = self.size if self.size is None or isinstance(self.size, tuple) else (int(self.size), int(self.size))
        mean, std = (np.asarray(value, np.float32).reshape(-1, 1, 1) for value in (self.mean, self.std))
        for pixels, faults in batches(X, self.batch_size, size=size, who="FeaturePyramid", on_error=self.on_error):
            yield (pixels - mean) / std, faults

    def _check(self) -> None:
        if len(self.layers) == 0:
            raise ValueError("FeaturePyramid: layers is empty; name one submodule or more")
        if not all(isinstance(name, str) for name in self.layers):
            raise ValueError(f"FeaturePyramid: layers={self.layers!r}; names of submodules are needed, such as '0'")
        if self.output == "matrix" and self.pool is None:
            raise ValueError("FeaturePyramid: output='matrix' needs pooled levels; set pool='avg' or 'max'")
        if isinstance(self.size, tuple):
            check_size(self.size, "size", "FeaturePyramid")
        for name, values in (("mean", np.asarray(self.mean)), ("std", np.asarray(self.std))):
            if values.shape not in ((), (3,)) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
                raise ValueError(f"FeaturePyramid: {name}={values.tolist()!r}; a finite number or three are needed")
        if np.min(self.std) <= 0:
            raise ValueError(f"FeaturePyramid: std={self.std!r} has a number that is not positive")
        if not hasattr(self.model, "named_modules"):
            raise ValueError(f"FeaturePyramid: model is a {type(self.model).__name__}; a torch.nn.Module is needed")


def _host(level: "torch.Tensor") -> NDArray[np.float32]:
    return level.detach().float().cpu().numpy().copy()


def _without(levels: list[NDArray[np.float32]], faults: list[int]) -> list[NDArray[np.float32]]:
    """Levels with NaN for the images that could not be read."""
    for level in levels:
        level[faults] = np.nan
    return levels
