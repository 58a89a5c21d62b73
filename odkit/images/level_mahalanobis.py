"""Sum of Mahalanobis distances over levels of features (Rippel, Mertens and Merhof, ICPR 2020)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if

from odkit import kernels
from odkit._sklearn import StrOptions, check_is_fitted
from odkit.false_alarms import SHRINKAGE, FalseAlarms
from odkit.images.levels import side_by_side
from odkit.kernels import level
from odkit.kernels.spread import lacks

__all__ = ["LevelMahalanobis"]


def _adds_up(detector: "LevelMahalanobis") -> bool:
    if detector._rule() == "split" or detector._needs_rows():
        raise AttributeError("threshold='split', and Ledoit-Wolf in a subspace, need all rows at once")
    return True


class LevelMahalanobis(FalseAlarms):
    """A Gaussian on every level of a network's features; an image is as anomalous as its distances add up to.

    Assumes that normal images are one roughly elliptical cloud on each level. It fails on several kinds of normal
    images, and where one level alone tells more: wide levels weigh most, because a distance grows with the square root
    of the number of features. Which level is best cannot be known without labelled defects.

    X is a list of levels, arrays (n_samples, width) as `FeaturePyramid` gives them, or one matrix with the levels side
    by side.

    Parameters
    ----------
    widths : sequence of int or None, default=None
        Columns of each level in a matrix; None: one level, or those of the list that is fitted.
    shrinkage, subspace, keep_null : as in `Mahalanobis`
        Applied to each level: by default Ledoit-Wolf and all directions. ("npca", 0.99) keeps those in which normal
        images hardly vary.
    threshold : {"auto", "loo", "split", "gamma", "prequential"}, default="auto"
        Where `offset_` comes from, as in `Mahalanobis`, read from the sums.
    fpr : float in (0, 1), default=0.01
        Share of normal images that the threshold lets be flagged.
    contamination : float in (0, 0.5], 'auto' or None, default=None
        If given, `offset_` is this percentile of the training scores (Tukey's fence for 'auto'), and
        `threshold` and `fpr` have no effect.
    calibration_fraction : float in (0, 1), default=0.3
        Share of rows that "split" holds out.
    n_calibration : int >= 1, default=1000
        Distances that "prequential" remembers.
    device : str or None, default=None
        None or "cpu"; "cuda", "cuda:1" for torch.
    random_state : int, RandomState or None, default=None
        Draws the rows of "split".

    Attributes
    ----------
    levels_ : list of `odkit.kernels.level.Level`
        Mean, components, weights, shrinkage and log-determinant of each level.
    widths_ : tuple of int
    n_levels_ : int
    loo_distances_ : ndarray or None
        Leave-one-out sums of the training rows.
    offset_ : float
    n_directions_ : int
        Directions that count, over all levels.
    n_features_in_ : int
        Columns of all levels together.

    Notes
    -----
    **Score:** minus the sum of the levels' Mahalanobis distances (not of their squares), at most 0.
    **Cost:** that of `Mahalanobis` for each level.
    **Source:** Rippel et al., section III; there the mean over levels, which ranks alike. Leave-one-out thresholds are
    ours.

    Examples
    --------
    Two levels; the second image is ordinary on the first level and far off on the second:

    >>> import numpy as np
    >>> from odkit import LevelMahalanobis
    >>> rng = np.random.default_rng(0)
    >>> detector = LevelMahalanobis(fpr=0.05).fit([rng.normal(size=(100, 2)), rng.normal(size=(100, 4))])
    >>> images = [np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]])]
    >>> detector.distances(images).round(1)
    array([[1.1, 0.2],
           [1.1, 8.9]])
    >>> detector.predict(images)
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **FalseAlarms._parameter_constraints,
        "widths": ["array-like", None],
        "shrinkage": SHRINKAGE,
        "subspace": [tuple, None],
        "keep_null": ["boolean"],
        "threshold": [StrOptions({"auto", "loo", "split", "gamma", "prequential"})],
        "device": [str, None],
    }
    _merge_parameters = ("shrinkage", "subspace", "keep_null", "widths_")
    widths_: tuple[int, ...]

    def __init__(
        self,
        *,
        widths: Sequence[int] | None = None,
        shrinkage: str | float | tuple[str, float] = "ledoit_wolf",
        subspace: tuple[str, float] | None = None,
        keep_null: bool = True,
        threshold: str = "auto",
        fpr: float = 0.01,
        contamination: float | str | None = None,
        calibration_fraction: float = 0.3,
        n_calibration: int = 1000,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.widths = widths
        self.shrinkage = shrinkage
        self.subspace = subspace
        self.keep_null = keep_null
        self.threshold = threshold
        self.fpr = fpr
        self.contamination = contamination
        self.calibration_fraction = calibration_fraction
        self.n_calibration = n_calibration
        self.device = device
        self.random_state = random_state

    partial_fit = available_if(_adds_up)(FalseAlarms.partial_fit)
    merge = available_if(_adds_up)(FalseAlarms.merge)

    def distances(self, X: ArrayLike | list) -> NDArray[np.float64]:
        """Mahalanobis distance of each row on each level, shape (n_samples, n_levels_), >= 0."""
        check_is_fitted(self)
        return self._distances(self._validate(X, reset=False))

    def score_levels(self, X: ArrayLike | list) -> NDArray[np.float64]:
        """Normality on each level, shape (n_samples, n_levels_); rows sum to `score_samples(X)`."""
        return -self.distances(X)

    def explain(self, X: ArrayLike | list) -> NDArray[np.float64]:
        """Part of each feature in the anomaly score, shape (n_samples, n_features_in_); rows sum to it.

        The share z_j (precision z)_j of a level's squared distance over that distance; single parts may be negative.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        k = kernels.on(self.device)
        parts = []
        for one, rows, distance in zip(self.levels_, self._cut(X), self._distances(X).T, strict=True):
            share = level.contributions(k, one, rows, "share")
            parts.append(np.divide(share, distance[:, None], out=np.zeros(share.shape), where=distance[:, None] > 0))
        return np.concatenate(parts, axis=1)

    def _needs_rows(self) -> bool:
        return self.subspace is not None and self.shrinkage == "ledoit_wolf"

    def _score(self, X: NDArray) -> NDArray:
        return -self._distances(X).sum(axis=1)

    def _distances(self, X: NDArray) -> NDArray[np.float64]:
        k = kernels.on(self.device)
        squares = [level.distance_sq(k, *pair) for pair in zip(self.levels_, self._cut(X), strict=True)]
        return np.sqrt(np.stack(squares, axis=1))

    def _left_out(self, X: NDArray) -> NDArray:
        """Leave-one-out sums of training rows."""
        k, n = kernels.on(self.device), self.n_samples_seen_
        squares = [level.left_out_sq(k, one, rows, n) for one, rows in zip(self.levels_, self._cut(X), strict=True)]
        return np.sqrt(np.stack(squares, axis=1)).sum(axis=1)

    def _cut(self, X: NDArray) -> list[NDArray]:
        return [np.ascontiguousarray(part) for part in np.split(X, np.cumsum(self.widths_)[:-1], axis=1)]

    def _validate(self, X: Any, *, reset: bool) -> NDArray:
        """Levels side by side; fixes `widths_` at a fit."""
        widths = None if self.widths is None else tuple(np.asarray(self.widths).tolist())
        if widths is not None and not all(isinstance(width, int) and width > 0 for width in widths):
            raise ValueError(
                f"LevelMahalanobis: widths={self.widths!r}; positive whole numbers are needed, one a level"
            )
        parts = X if isinstance(X, list | tuple) else [X]
        if any(len(getattr(part, "shape", ())) == 4 for part in parts):
            raise ValueError(
                "LevelMahalanobis: maps (n, channels, height, width) were given; rows are needed: pool the levels, "
                "pool='avg', or take PatchGaussian"
            )
        if isinstance(X, list | tuple) and len(X) > 0 and all(np.ndim(part) == 2 for part in X):
            expected, by = (widths, "widths") if reset else (self.widths_, "the fit")
            X, widths = side_by_side(X, expected, by, "LevelMahalanobis")
        checked = super()._validate(X, reset=reset)
        if reset:
            widths = (checked.shape[1],) if widths is None else widths
            if sum(widths) != checked.shape[1]:
                raise ValueError(f"LevelMahalanobis: widths={widths} do not cut n_features={checked.shape[1]} columns")
            self.widths_ = widths
        return checked

    def _validate_params(self) -> None:
        if self.threshold == "chi2":
            raise ValueError(
                "LevelMahalanobis: threshold='chi2' is a law of one squared distance and not of sums of distances; "
                "take 'auto', 'loo', 'split', 'gamma' or 'prequential', or Mahalanobis for a single level"
            )
        super()._validate_params()

    def _start(self) -> None:
        level.check_options("LevelMahalanobis", self.shrinkage, self.subspace)
        super()._start()

    def _check_state(self) -> None:
        """Refuse a stored state whose levels do not cover the columns."""
        if sum(self.widths_) != self.n_features_in_ or min(self.widths_) < 1:
            raise ValueError(f"LevelMahalanobis: widths_ {self.widths_} do not cut {self.n_features_in_} columns")
        for one, width in zip(self.levels_, self.widths_, strict=True):
            level.check(one, width)

    def _partial_stats(self, X: NDArray) -> dict[str, Any]:
        parts = self._cut(X)
        if self._needs_rows():
            return {"levels": [{"rows": rows} for rows in parts]}
        k = kernels.on(self.device)
        return {"levels": [level.gather(k, rows, diagonal=self.shrinkage == "diag") for rows in parts]}

    def _lacks(self, stats: dict[str, Any], /) -> str:
        return next(filter(None, map(lacks, stats["levels"])), "")

    def _merge_stats(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        k = kernels.on(self.device)
        return {"levels": [level.merge(k, *pair) for pair in zip(a["levels"], b["levels"], strict=True)]}

    def _fit_from_stats(self, stats: dict[str, Any]) -> None:
        k = kernels.on(self.device)
        options: dict[str, Any] = {name: getattr(self, name) for name in ("shrinkage", "subspace", "keep_null")}
        levels = []
        for number, state in enumerate(stats["levels"]):
            try:
                levels.append(level.fit(k, state, **options))
            except ValueError as error:
                where = f"level {number}: " if len(stats["levels"]) > 1 else ""
                raise ValueError(f"LevelMahalanobis: {where}{error}") from None
        self.levels_ = levels
        self.n_levels_ = len(levels)
        self.n_directions_ = sum(one.n_directions for one in levels)
