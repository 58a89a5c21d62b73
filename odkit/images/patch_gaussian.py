"""A Gaussian at every position of the feature maps (Defard, Setkov, Loesch and Audigier, PaDiM, 2020)."""

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray

from odkit import kernels
from odkit._sklearn import HasMethods, Interval, StrOptions, check_is_fitted, fit_context
from odkit.base import Detector, DetectorTags
from odkit.false_alarms import warn_of_few
from odkit.images.levels import checked_maps, draw_mixture, level_batches
from odkit.images.map_thresholds import map_thresholds
from odkit.images.sizes import check_size, choose_grid, map_size
from odkit.kernels.cpu import patches
from odkit.kernels.cpu.pixels import top_mean, top_share
from odkit.mergeable import refuse_changed

__all__ = ["PatchGaussian"]

_SHAPING = ("eps", "grid", "n_channels", "output_size", "random_state")  # what further images must not find changed
_RULE = "PatchGaussian: image_score"


class PatchGaussian(Detector):
    """Where in an image something is unusual: a heat map per image, and the image's score from it.

    Assumes that all images show the same thing in the same place: what is normal at one position is learnt there and
    nowhere else. It fails on objects that are shifted or turned, with fewer than some hundred images, and for defects
    much smaller than a cell of the grid.

    Parameters
    ----------
    extractor : transformer or None, default=None
        Turns images into levels of maps, such as `FeaturePyramid(model, layers, pool=None)`. None: X is a list of such
        levels, arrays (n, channels, height, width).
    grid : "first", int or (height, width), default="first"
        Positions: of the first or another level, or any. Larger maps are averaged, smaller ones repeated.
    n_channels : int or None, default=200
        Numbers per position: random mixtures of the channels of all levels, by orthonormal weights. None, or as many as
        there are, keeps the channels as they are: better, where time and memory, which grow with the square, allow it.
    eps : float > 0, default=0.01
        Variance added to every direction, in squared units of the features.
    sigma : float >= 0, default=4.0
        Standard deviation of the blur of the map, in output pixels; 0 for none.
    image_score : {"max", "mean"} or ("top", share), default="max"
        The image's score: largest pixel, mean, or mean of the largest share of the pixels.
    fpr : float in (0, 1), default=0.01
        Share of further normal images that `predict` flags, and of normal pixels that `mask` marks.
    output_size : (height, width) or None, default=None
        Size of the maps; None: that of the images in an array, the extractor's `size`, or of the largest level.
    batch_size : int, default=32
        Of levels and maps; an extractor has its own.
    n_jobs : int or None, default=None
    device : str or None, default=None
        "cuda", "cuda:1" for torch.
    random_state : int, RandomState or None, default=0

    Attributes
    ----------
    mixture_ : ndarray of shape (d, number of channels), float32, or None
        Weights, drawn from `random_state`; None: the channels as they are.
    grid_ : tuple of 2 ints
    location_ : ndarray of shape (d, P), float32
        Means at the P positions of the grid.
    packed_ : ndarray of shape (ceil(P / 64), d (d + 1) / 2, 64), float32
        Cholesky factors of the covariances, packed as in `odkit.kernels.cpu.patches`.
    offset_ : float
        Minus the conformal quantile of the image scores of leave-one-out maps.
    pixel_threshold_ : float
        The same quantile of their pixels.
    output_size_ : tuple of 2 ints
    n_samples_seen_ : int

    Notes
    -----
    **Score:** minus the image score of the map of Mahalanobis distances, in standard deviations, at most 0.
    **Cost:** fit O(P (n d^2 + d^3)), a score O(P d^2); memory 2 P d^2 bytes, and 4 n P d bytes while fitting.
    **Source:** Defard et al., section III, with the mixtures of Kim, Kim, Yi and Lee (Semi-orthogonal embedding, 2021)
    in place of a random choice of channels. Ours: thresholds from leave-one-out maps in closed form, upsampling and
    blur as one matrix per axis, packed triangles in place of inverses.

    Examples
    --------
    Maps of two channels on a grid of 1 x 2, normal around 0 everywhere. The second image is off at the right cell:

    >>> import numpy as np
    >>> from odkit.images.patch_gaussian import PatchGaussian
    >>> rng = np.random.default_rng(0)
    >>> detector = PatchGaussian(sigma=0, fpr=0.05).fit([rng.normal(size=(200, 2, 1, 2))])
    >>> images = np.zeros((2, 2, 1, 2))
    >>> images[1, :, 0, 1] = 4
    >>> detector.anomaly_map([images]).round(1)
    array([[[0.1, 0.1]],
           [[0.1, 5.6]]], dtype=float32)
    >>> detector.predict([images])
    array([ 1, -1])
    """

    location_: NDArray[np.float32]
    packed_: NDArray[np.float32]
    n_samples_seen_: int
    _parameter_constraints: dict = {
        "extractor": [HasMethods(["transform"]), None],
        "grid": [StrOptions({"first"}), Interval(Integral, 0, None, closed="left"), tuple],
        "n_channels": [Interval(Integral, 1, None, closed="left"), None],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "sigma": [Interval(Real, 0, None, closed="left")],
        "image_score": [StrOptions({"max", "mean"}), tuple],
        "fpr": [Interval(Real, 0, 1, closed="neither")],
        "output_size": [tuple, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        extractor: Any = None,
        *,
        grid: str | int | tuple[int, int] = "first",
        n_channels: int | None = 200,
        eps: float = 0.01,
        sigma: float = 4.0,
        image_score: str | tuple[str, float] = "max",
        fpr: float = 0.01,
        output_size: tuple[int, int] | None = None,
        batch_size: int = 32,
        n_jobs: int | None = None,
        device: str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.extractor = extractor
        self.grid = grid
        self.n_channels = n_channels
        self.eps = eps
        self.sigma = sigma
        self.image_score = image_score
        self.fpr = fpr
        self.output_size = output_size
        self.batch_size = batch_size
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> DetectorTags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn every position from normal images, at least three; `y` is ignored."""
        return self._absorb(X, fresh=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Absorb further normal images. Thresholds are read from these alone, each left out of the new model."""
        return self._absorb(X, fresh=not hasattr(self, "offset_"))

    def anomaly_map(self, X: Any) -> NDArray[np.float32]:
        """Distance at every pixel, shape (n, height, width), higher = more anomalous, unnormalised."""
        return np.concatenate(list(self._maps(X)))

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Minus the image score of each image's map, shape (n,)."""
        return -np.concatenate([top_mean(maps, top_share(self.image_score, _RULE)) for maps in self._maps(X)])

    def mask(self, X: Any) -> NDArray[np.bool_]:
        """The pixels above `pixel_threshold_`, shape (n, height, width)."""
        return self.anomaly_map(X) > self.pixel_threshold_

    def _absorb(self, X: Any, *, fresh: bool) -> Self:
        """A fitted model is changed at the end, by work that has succeeded; a fresh fit forgets it at the beginning."""
        share = top_share(self.image_score, _RULE)  # a rule that does not exist is an error before the work
        size = None if self.output_size is None else check_size(self.output_size, "output_size", "PatchGaussian")
        if fresh:
            self._forget()
            self._shaped_by = {name: getattr(self, name) for name in _SHAPING}
        refuse_changed(self, "partial_fit", "images")
        k = kernels.on(self.device)
        Z = np.concatenate([k.numpy(part) for part in self._vectors(X)])
        n_seen = 0 if fresh else self.n_samples_seen_
        n = n_seen + len(Z)
        if n < 3:
            raise ValueError(f"PatchGaussian: {n} images are too few for a covariance and a threshold; give 3 or more")
        if fresh:
            self.output_size_ = size or map_size(X, self.extractor, self.level_shapes_, "PatchGaussian")
        before = () if fresh else (n_seen, k.state(self.location_), k.state(self.packed_))
        fitted = k.patches.absorb(k.array(Z), float(self.eps), *before, n_jobs=joblib.effective_n_jobs(self.n_jobs))
        location, packed, left_out = (k.numpy(part) for part in fitted)
        warn_of_few("PatchGaussian", len(Z), "images", self.fpr, "Raise fpr or give more images.")
        thresholds = map_thresholds(left_out, self.batch_size, self._widened, share, self.fpr)
        location.flags.writeable = packed.flags.writeable = False  # a device keeps its copy while the array lives
        self.location_, self.packed_, self.n_samples_seen_ = location, packed, n
        self.pixel_threshold_, self.offset_ = thresholds[0], -thresholds[1]
        return self

    def _check_state(self) -> None:
        """Refuse a stored state whose parts do not fit together."""
        sizes = (*self.grid_, *self.output_size_)
        if len(self.grid_) != 2 or len(self.output_size_) != 2 or min(sizes) < 1:
            raise ValueError(f"PatchGaussian: grid_ {self.grid_} and output_size_ {self.output_size_} are no sizes")
        patches.check(self.location_, self.packed_, math.prod(self.grid_))
        total = sum(channels for channels, _, _ in self.level_shapes_)
        mixture = np.zeros((total, total), np.float32) if self.mixture_ is None else self.mixture_
        shape = (len(self.location_), total)
        if mixture.shape != shape or mixture.dtype != np.float32 or not np.isfinite(mixture).all():
            raise ValueError(f"PatchGaussian: mixture_ must be finite float32 numbers of shape {shape}")

    def _maps(self, X: Any) -> Iterator[NDArray[np.float32]]:
        check_is_fitted(self)
        k, n_jobs = kernels.on(self.device), joblib.effective_n_jobs(self.n_jobs)
        location, packed = k.state(self.location_), k.state(self.packed_)
        for Z in self._vectors(X):
            yield self._widened(k.numpy(k.patches.packed_triangular_distance(Z, location, packed, n_jobs)))

    def _widened(self, squares: NDArray) -> NDArray[np.float32]:
        k = kernels.on(self.device)
        distances = np.sqrt(squares, dtype=np.float32, casting="same_kind").reshape(-1, *self.grid_)
        return k.numpy(k.patches.smooth(k.array(distances), self.output_size_, float(self.sigma)))

    def _vectors(self, X: Any) -> Iterator[Any]:
        """Batches at the positions of the grid, (m, d, P), on the device; the first batch of a fit decides the grid."""
        k, first = kernels.on(self.device), 0
        for levels in level_batches(X, self.batch_size, extractor=self.extractor, who="PatchGaussian"):
            levels = checked_maps(levels, getattr(self, "level_shapes_", None), first, "PatchGaussian")
            if not hasattr(self, "level_shapes_"):
                self.level_shapes_: list[tuple[int, ...]] = [level.shape[1:] for level in levels]
                self.grid_ = choose_grid(self.grid, self.level_shapes_, "PatchGaussian")
                n_channels = sum(level.shape[1] for level in levels)
                self.mixture_ = draw_mixture(self.n_channels, n_channels, self.random_state)
            mixture = None if self.mixture_ is None else k.state(self.mixture_)
            first += len(levels[0])
            yield k.patches.embed([k.array(level) for level in levels], mixture, self.grid_)
