"""A Gaussian at every position of the feature maps (Defard, Setkov, Loesch and Audigier, PaDiM, 2020)."""

import math
import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from odkit import kernels
from odkit._sklearn import HasMethods, Interval, StrOptions, check_is_fitted, fit_context
from odkit.base import Detector, DetectorTags
from odkit.kernels.cpu import quantiles
from odkit.kernels.cpu.patches import LANES
from odkit.kernels.cpu.pixels import top_mean

__all__ = ["PatchGaussian"]


class PatchGaussian(Detector):
    """Where in an image something is unusual: a heat map per image, and the image's score from it.

    Assumes that all images show the same thing in the same place: what is normal at one position is learnt there and
    nowhere else. It fails on objects that are shifted or turned, with fewer images than some three per channel, and
    for defects much smaller than a cell of the grid.

    Parameters
    ----------
    extractor : transformer or None, default=None
        Turns images into levels of maps, such as `FeaturePyramid(model, layers, pool=None)`. None: X is a list of such
        levels, arrays (n, channels, height, width).
    grid : "first", int or (height, width), default="first"
        Positions: those of the first level, of the level with that number, or any others. Larger maps are averaged,
        smaller ones repeated.
    n_channels : int or None, default=100
        Channels drawn at random from all levels together; None, or as many as there are, keeps all. All are better
        where they can be afforded: memory and time grow with the square.
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
        Levels are cut into batches of this size; an extractor has its own.
    n_jobs : int or None, default=None
        Threads.
    device : str or None, default=None
        None or "cpu"; "cuda", "cuda:1" for torch.
    random_state : int, RandomState or None, default=0
        Draws the channels.

    Attributes
    ----------
    channels_ : ndarray of shape (d,)
        The channels drawn, numbered through all levels.
    grid_ : tuple of 2 ints
    location_ : ndarray of shape (d, P), float32
        Means at the P positions of the grid.
    packed_ : ndarray of shape (ceil(P / 64), d (d + 1) / 2, 64), float32
        Cholesky factors of the covariances, packed as in `odkit.kernels.cpu.patches`.
    offset_ : float
        Minus the conformal quantile of the image scores of leave-one-out maps.
    pixel_threshold_ : float
        The same quantile of the pixels of these maps.
    output_size_ : tuple of 2 ints
    n_samples_seen_ : int

    Notes
    -----
    **Score:** minus the image score of the map of Mahalanobis distances, in standard deviations, at most 0.
    **Cost:** fit O(P (n d^2 + d^3)), a score O(P d^2); memory 2 P d^2 bytes, and 4 n P d bytes while fitting.
    **Source:** Defard et al., section III. Ours: thresholds from leave-one-out maps in closed form, upsampling and blur
    as one matrix per axis, packed triangles in place of inverses.

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
        n_channels: int | None = 100,
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn every position from normal images, at least three; `y` is ignored."""
        self.n_samples_seen_ = 0
        return self._absorb(X)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Absorb further normal images. Thresholds are read from these alone, each left out of the new model."""
        self.n_samples_seen_ = getattr(self, "n_samples_seen_", 0)
        return self._absorb(X)

    def anomaly_map(self, X: Any) -> NDArray[np.float32]:
        """Distance at every pixel, shape (n, height, width), higher = more anomalous, unnormalised."""
        return np.concatenate(list(self._maps(X)))

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Minus the image score of each image's map, shape (n,)."""
        return -np.concatenate([self._image_scores(maps) for maps in self._maps(X)])

    def mask(self, X: Any) -> NDArray[np.bool_]:
        """The pixels above `pixel_threshold_`, shape (n, height, width)."""
        return self.anomaly_map(X) > self.pixel_threshold_

    def _absorb(self, X: Any) -> Self:
        fresh = self.n_samples_seen_ == 0
        Z = np.concatenate([self._features(levels, reset=fresh and not i) for i, levels in enumerate(self._levels(X))])
        n = self.n_samples_seen_ + len(Z)
        if n < 3:
            raise ValueError(f"PatchGaussian: {n} images are too few for a covariance and a threshold; give 3 or more")
        if fresh:
            self.output_size_ = self._size_of(X)
        k = kernels.on(self.device)
        before: tuple = ()
        if not fresh:
            before = (self.n_samples_seen_, k.array(self.location_), k.array(self.packed_))
        fitted = k.patches.absorb(k.array(Z), float(self.eps), *before, n_jobs=self._threads())
        location, packed, left_out = (k.numpy(part) for part in fitted)
        for array in (location, packed):
            array.flags.writeable = False  # fitted state: a device keeps its copy as long as the array lives
        self.location_: NDArray[np.float32] = location
        self.packed_: NDArray[np.float32] = packed
        self.n_samples_seen_ = n
        self._calibrate(left_out)
        return self

    def _calibrate(self, squares: NDArray) -> None:
        """Image and pixel thresholds from squared leave-one-out distances (n, P)."""
        n, needed = len(squares), math.ceil(1 / self.fpr - 1 - 1e-9)
        if n < needed:
            warnings.warn(
                f"PatchGaussian: {n} images are too few for a threshold at fpr={self.fpr:g}, which needs {needed}: "
                "normal images will be flagged more often. Raise fpr or give more images.",
                UserWarning,
                stacklevel=5,
            )
        scores, highest = [], np.empty(0, np.float32)
        n_pixels = n * math.prod(self.output_size_)
        n_highest = n_pixels - quantiles.conformal_rank(n_pixels, self.fpr) + 1
        for start in range(0, n, self.batch_size):
            maps = self._widened(squares[start : start + self.batch_size])
            scores.append(self._image_scores(maps))
            highest = np.concatenate([highest, maps.ravel()])
            if len(highest) > n_highest:  # no more than the pixels that can be above the threshold is kept
                highest = np.partition(highest, len(highest) - n_highest)[-n_highest:]
        self.offset_ = -quantiles.conformal_quantile(np.concatenate(scores), self.fpr)
        self.pixel_threshold_ = float(highest.min())

    def _check_state(self) -> None:
        """Refuse a state that the compiled kernel, which checks no bounds, must not see."""
        d, P = len(self.channels_), math.prod(self.grid_)
        n_channels = sum(channels for channels, _, _ in self.level_shapes_)
        fine = (
            self.channels_.dtype.kind == "i"
            and 0 < d == len(np.unique(self.channels_))
            and 0 <= self.channels_.min() <= self.channels_.max() < n_channels
            and min(*self.grid_, *self.output_size_) >= 1
            and len(self.grid_) == len(self.output_size_) == 2
            and self.location_.shape == (d, P)
            and self.packed_.shape == (-(-P // LANES), d * (d + 1) // 2, LANES)
            and self.location_.dtype == self.packed_.dtype == np.float32
        )
        if not fine or not np.isfinite(self.location_).all() or not np.isfinite(self.packed_).all():
            raise ValueError(
                f"PatchGaussian: location_ {np.shape(self.location_)} and packed_ {np.shape(self.packed_)} do not fit "
                f"the channels_ and the grid_ {self.grid_}, or are not finite float32 numbers"
            )

    def _maps(self, X: Any) -> Iterator[NDArray[np.float32]]:
        check_is_fitted(self, "packed_")
        k = kernels.on(self.device)
        location, packed = k.array(self.location_), k.array(self.packed_)
        for levels in self._levels(X):
            Z = k.array(self._features(levels, reset=False))
            yield self._widened(k.numpy(k.patches.packed_triangular_distance(Z, location, packed, self._threads())))

    def _widened(self, squares: NDArray) -> NDArray[np.float32]:
        k = kernels.on(self.device)
        distances = np.sqrt(squares, dtype=np.float32, casting="same_kind").reshape(-1, *self.grid_)
        return k.numpy(k.patches.smooth(k.array(distances), self.output_size_, float(self.sigma)))

    def _image_scores(self, maps: NDArray) -> NDArray[np.float64]:
        share = {"max": 0.0, "mean": 1.0}[self.image_score] if isinstance(self.image_score, str) else self._top_share()
        return top_mean(maps, share)

    def _top_share(self) -> float:
        rule = self.image_score
        if not (len(rule) == 2 and rule[0] == "top" and isinstance(rule[1], Real) and 0 < rule[1] <= 1):
            raise ValueError(f"PatchGaussian: image_score={rule!r} is no ('top', share) with a share in (0, 1]")
        return float(rule[1])

    def _levels(self, X: Any) -> Iterator[list[NDArray]]:
        """Batches of levels, each a list of arrays (m, channels, height, width)."""
        if self.extractor is not None:
            if hasattr(self.extractor, "iterate"):
                yield from self.extractor.iterate(X)
            else:
                yield self.extractor.transform(X)
            return
        if not isinstance(X, list | tuple) or not X or any(np.ndim(level) != 4 for level in X):
            raise ValueError(
                "PatchGaussian: without an extractor X must be a list of levels, arrays (n, channels, height, width)"
            )
        levels = [np.asarray(level) for level in X]
        if len({len(level) for level in levels}) > 1 or len(levels[0]) == 0:
            raise ValueError(f"PatchGaussian: the levels have {', '.join(str(len(level)) for level in levels)} images")
        for start in range(0, len(levels[0]), self.batch_size):
            yield [level[start : start + self.batch_size] for level in levels]

    def _features(self, levels: list[NDArray], *, reset: bool) -> NDArray[np.float32]:
        """One batch at the positions of the grid, shape (m, d, P)."""
        if any(level.ndim != 4 for level in levels):
            raise ValueError("PatchGaussian: the extractor gives rows, maps are needed; set its pool to None")
        shapes = [level.shape[1:] for level in levels]
        if reset:
            self._choose(shapes)
        elif shapes != self.level_shapes_:
            raise ValueError(
                f"PatchGaussian: levels of shape {shapes} (channels, height, width) were given and "
                f"{self.level_shapes_} were fitted; give images of the size that was fitted"
            )
        first, parts = 0, []
        for level in levels:
            own = self.channels_[(self.channels_ >= first) & (self.channels_ < first + level.shape[1])] - first
            first += level.shape[1]
            if own.size:
                maps = np.ascontiguousarray(level[:, own], dtype=np.float32)
                parts.append(self._resampled(maps).reshape(len(maps), own.size, -1))
        Z = np.concatenate(parts, axis=1)
        if not np.isfinite(Z).all():
            bad = np.flatnonzero(~np.isfinite(Z).all(axis=(1, 2)))
            raise ValueError(f"PatchGaussian: the features of {bad.size} images of a batch are NaN or infinite")
        return Z

    def _resampled(self, maps: NDArray) -> NDArray:
        k = kernels.on(self.device)
        return k.numpy(k.patches.resample(k.array(maps), self.grid_))

    def _choose(self, shapes: list[tuple[int, ...]]) -> None:
        """The positions, the channels and the size of the maps."""
        if isinstance(self.grid, tuple):
            grid: tuple[int, ...] = self.grid
        else:
            number = 0 if isinstance(self.grid, str) else int(self.grid)
            if number >= len(shapes):
                raise ValueError(f"PatchGaussian: grid={number} is no level; there are {len(shapes)}, counted from 0")
            grid = shapes[number][1:]
        if isinstance(self.image_score, tuple):
            self._top_share()
        self.level_shapes_ = shapes
        self.grid_ = (int(grid[0]), int(grid[1]))
        total = sum(shape[0] for shape in shapes)
        n_channels = min(self.n_channels or total, total)
        drawn = check_random_state(self.random_state).permutation(total)[:n_channels]
        self.channels_ = np.sort(drawn)

    def _size_of(self, X: Any) -> tuple[int, int]:
        if self.output_size is not None:
            return int(self.output_size[0]), int(self.output_size[1])
        if self.extractor is None:
            return max((shape[1], shape[2]) for shape in self.level_shapes_)
        size = getattr(self.extractor, "size", None)
        if size is not None:
            return (int(size), int(size)) if isinstance(size, Integral) else size
        if isinstance(X, np.ndarray):
            return X.shape[1:3]
        raise ValueError("PatchGaussian: the size of the maps is unknown; give output_size=(height, width)")

    def _threads(self) -> int:
        return joblib.effective_n_jobs(self.n_jobs)
