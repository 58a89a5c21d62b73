"""Latents of wafer defect maps at full resolution by a sparse network, in the spirit of Frittoli et al., Pattern
Recognition 124 (2022) 108488."""

import logging
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_random_state, column_or_1d

from odkit._sklearn import Interval, check_is_fitted, fit_context
from odkit.images.labels import known_classes

__all__ = ["SparseWaferEncoder"]


class SparseWaferEncoder(TransformerMixin, BaseEstimator):
    """A classifier of known defect patterns whose latents tell unknown patterns apart: put `LatentGMM` on top.

    A map is a list of defect coordinates, however fine the grid: cost follows the number of defects, not of cells.
    Every stage is told how many defects each of its cells has, as log(1 + number), beside what the stage before found.
    Assumes labelled maps of the known patterns and that turning or mirroring a wafer keeps its pattern. It fails on
    patterns known from a handful of maps, and where a dense network on binned maps of some 64 x 64 cells sees all that
    tells the patterns apart: that one is then better (`docs/images.md`).

    Parameters
    ----------
    channels : sequence of int, default=(16, 32, 64, 64, 64)
        Width of each stage.
    pools : sequence of int, default=(4, 2, 2, 2, 2)
        Side of the cells that each stage pools, as many as channels.
    latent : int, default=64
        Length of the latents.
    size : int, default=256
        Cells along a side of the map; coordinates are in 0..size - 1.
    epochs : int, default=12
    learning_rate : float, default=3e-3
        Of the first sixth of the training; halved for each further one.
    batch_size : int, default=32
        Maps per step.
    verbose : bool, default=False
        Log the loss of every epoch.
    random_state : int, RandomState or None, default=None
        Draws the first weights, the order of the maps and their moves.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    state_ : dict of str to ndarray
        The trained weights, on the host.
    loss_curve_ : ndarray of shape (epochs,)
        Mean cross-entropy, in nats.

    Notes
    -----
    **Score:** none; `transform` gives latents.
    **Cost:** per map and epoch O(defects x channels^2); the neighbour search runs once per map. Memory 72 bytes per
    defect and stage.
    **Source:** only the abstract of Frittoli et al. was at hand: submanifold sparse convolutions as a closed-set
    classifier, novelty by a Gaussian mixture on its latents. Layers, widths and training are ours; this is no
    reproduction.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("torch")
    >>> from odkit.datasets import make_wafer_maps
    >>> from odkit.images.wafer import SparseWaferEncoder
    >>> maps, patterns = make_wafer_maps(24, patterns=["none", "near_full"], size=64)
    >>> encoder = SparseWaferEncoder(channels=(4, 8), pools=(4, 4), latent=8, size=64, batch_size=8, random_state=0)
    >>> _ = encoder.fit(maps, patterns)
    >>> encoder.transform(maps).shape, bool((encoder.predict_class(maps) == patterns).mean() > 0.9)
    ((48, 8), True)
    """

    _parameter_constraints: dict = {
        "channels": [list, tuple],
        "pools": [list, tuple],
        "latent": [Interval(Integral, 1, None, closed="left")],
        "size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        channels: Sequence[int] = (16, 32, 64, 64, 64),
        pools: Sequence[int] = (4, 2, 2, 2, 2),
        latent: int = 64,
        size: int = 256,
        epochs: int = 12,
        learning_rate: float = 3e-3,
        batch_size: int = 32,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.channels = channels
        self.pools = pools
        self.latent = latent
        self.size = size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "state_")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Sequence[ArrayLike], y: ArrayLike) -> Self:
        """Train on maps X, a sequence of integer arrays (n_defects, 2) of (row, column), with their patterns y."""
        import torch

        from odkit.nets.sparse import SparseClassifier, Trainee, prepare
        from odkit.nets.training import train

        self.__dict__.pop("state_", None)  # a fit that fails leaves no model, rather than parts of two
        whole = all(isinstance(given, Integral) and int(given) > 0 for given in (*self.channels, *self.pools))
        if len(self.channels) != len(self.pools) or not self.channels or not whole:
            raise ValueError(
                f"SparseWaferEncoder: channels={self.channels!r} and pools={self.pools!r}; as many of both are "
                "needed, all positive whole numbers"
            )
        maps = self._checked(X)
        patterns = column_or_1d(y, warn=False)
        if len(patterns) != len(maps):
            raise ValueError(f"SparseWaferEncoder: {len(maps)} maps were given with {len(patterns)} patterns")
        self.classes_, numbers = known_classes(patterns, "SparseWaferEncoder")
        if len(self.classes_) < 2:
            raise ValueError("SparseWaferEncoder: one pattern only; a classifier needs two or more")
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        network = SparseClassifier(self.channels, self.latent, len(self.classes_), generator)
        n_steps = -(-len(maps) // self.batch_size)  # of an epoch
        trainee = Trainee(network, prepare(maps, self.size, self.pools), torch.from_numpy(numbers), generator)
        network.train()
        history = train(
            trainee,
            torch.arange(len(maps))[:, None],
            [generator],
            max_steps=self.epochs * n_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            lr_step=-(-self.epochs * n_steps // 6),
            check_every=n_steps,
            progress=_log if self.verbose else None,
        )
        self.loss_curve_ = history.loss_curve[:, 0]
        self.state_ = {name: value.numpy().copy() for name, value in network.state_dict().items()}
        return self

    def transform(self, X: Sequence[ArrayLike]) -> NDArray[np.float32]:
        """Latents of maps, shape (n, latent); zeros for a map without defects."""
        return self._run(X, "encode")

    def predict_class(self, X: Sequence[ArrayLike]) -> NDArray:
        """The most likely known pattern of each map, shape (n,)."""
        return self.classes_[self.logits(X).argmax(axis=1)]

    def logits(self, X: Sequence[ArrayLike]) -> NDArray[np.float32]:
        """Unnormalised log-probabilities of the known patterns, shape (n, n_classes)."""
        return self._run(X, "forward")

    def _run(self, X: Sequence[ArrayLike], what: str) -> NDArray[np.float32]:
        check_is_fitted(self)
        import torch

        from odkit.nets.sparse import SparseClassifier, prepare

        network = SparseClassifier(self.channels, self.latent, len(self.classes_), torch.Generator())
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in self.state_.items()})
        network.eval()
        images = prepare(self._checked(X), self.size, self.pools)
        rows = range(len(images))
        batches = [rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        with torch.no_grad():
            return np.concatenate([getattr(network, what)(images.batch(batch)).numpy() for batch in batches])

    def _checked(self, X: Sequence[ArrayLike]) -> list[NDArray[np.int64]]:
        """Distinct coordinates of each map."""
        if isinstance(X, np.ndarray) and X.dtype != object and X.ndim != 3:
            raise ValueError("SparseWaferEncoder: X must be a sequence of maps, integer arrays (n_defects, 2)")
        if len(X) == 0:
            raise ValueError("SparseWaferEncoder: no map was given")
        maps = []
        for number, wafer in enumerate(X):
            points = np.asarray(wafer)
            if points.size == 0:
                points = np.empty((0, 2), np.int64)
            if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iu":
                raise ValueError(
                    f"SparseWaferEncoder: map {number} has shape {points.shape} and dtype {points.dtype}; integers "
                    "(n_defects, 2), row and column, are needed"
                )
            if points.size and (points.min() < 0 or points.max() >= self.size):
                raise ValueError(
                    f"SparseWaferEncoder: map {number} has coordinates from {points.min()} to {points.max()}; "
                    f"0 to {self.size - 1} is allowed with size={self.size}"
                )
            maps.append(np.unique(points.astype(np.int64), axis=0))
        return maps


def _log(step: int, loss: NDArray[np.float64]) -> None:
    logging.getLogger("odkit").info("step %d: loss %.4f", step, loss[0])
