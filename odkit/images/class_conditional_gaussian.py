"""A Gaussian for every known class (Lee, Lee, Lee and Shin, NeurIPS 2018), and rejection of what is far from all."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odkit import kernels
from odkit._sklearn import HasMethods, Interval, StrOptions
from odkit.false_alarms import SHRINKAGE
from odkit.images.open_set import OpenSet, take
from odkit.kernels import level

__all__ = ["ClassConditionalGaussian"]


class ClassConditionalGaussian(OpenSet):
    """A Gaussian for every known class: a row is unknown when it is far from all of them.

    Assumes features in which each known class is one cloud, best of a network trained to tell the known classes apart.
    It fails where that network maps unknown things into a known cloud, and with "class" where classes have fewer rows
    than features and differ in shape only.

    Parameters
    ----------
    extractor : transformer or None, default=None
        Turns images into rows, such as `FeaturePyramid(model, layers)`, whose levels are put side by side. None: X has
        the rows.
    covariance : {"tied", "class", "relative"}, default="tied"
        One covariance for all classes, one for each, or the tied one less the distance to all rows together, which
        counts only what tells classes apart (two classes or more).
    n_blocks : int, default=1
        Cut the features into so many equal blocks with Gaussians of their own and take the mean of their squared
        distances.
    shrinkage : as in `Mahalanobis`, default="ledoit_wolf"
    normalize : {"l2"} or None, default=None
        Divide every row by its Euclidean norm first.
    input_step : float >= 0, default=0.0
        Before an image is scored, every pixel goes this far, in units of the pixels, in the direction that brings the
        image nearer to its class, which helps known images more than others. Needs a `FeaturePyramid`; 0 for none.
        How far pays is a question to labelled outliers: the paper tries 0.0005 to 0.01 of the range of the pixels.
    fpr : float in (0, 1), default=0.01
        Share of further known rows that is rejected.
    calibration_fraction : float in (0, 1), default=0.3
        Share of every class that is held out of the fit, to read the threshold from.
    reject_label : object, default=-1
        What `predict_class` says of a rejected row.
    device : str or None, default=None
    random_state : int, RandomState or None, default=None
        Draws the rows that are held out.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    means_ : ndarray of shape (n_classes, n_features)
    offset_ : float
    n_features_in_ : int

    Notes
    -----
    **Score:** minus the smallest squared distance over the classes, at most 0; "relative" has both signs.
    **Cost:** fit as `Mahalanobis`; a score O(K d^2), and with `input_step` two passes forward and one backward through
    the network; memory O(d^2), O(K d^2) for "class".
    **Source:** "tied" and the step Lee et al. (NeurIPS 2018), without a regression on labelled outliers, levels side by
    side in place of one distance each; "relative" Ren et al. (2021); blocks after HVCM (ICCV 2023), post hoc, with
    equal weights and without the factor 1/2. Shrinkage, and thresholds from held-out rows, are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import ClassConditionalGaussian
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [8, 0]])
    >>> y = np.repeat(["left", "right"], 200)
    >>> detector = ClassConditionalGaussian(fpr=0.02, reject_label="unknown", random_state=0).fit(X, y)
    >>> detector.predict_class([[0.0, 0.0], [8.0, 1.0], [4.0, 0.0], [0.0, 9.0]]).tolist()
    ['left', 'right', 'unknown', 'unknown']
    """

    _parameter_constraints: dict = {
        **OpenSet._parameter_constraints,
        "extractor": [HasMethods(["transform"]), None],
        "covariance": [StrOptions({"tied", "class", "relative"})],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": SHRINKAGE,
        "normalize": [StrOptions({"l2"}), None],
        "input_step": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        extractor: Any = None,
        *,
        covariance: str = "tied",
        n_blocks: int = 1,
        shrinkage: str | float | tuple[str, float] = "ledoit_wolf",
        normalize: str | None = None,
        input_step: float = 0.0,
        fpr: float = 0.01,
        calibration_fraction: float = 0.3,
        reject_label: Any = -1,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.extractor = extractor
        self.covariance = covariance
        self.n_blocks = n_blocks
        self.shrinkage = shrinkage
        self.normalize = normalize
        self.input_step = input_step
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.reject_label = reject_label
        self.device = device
        self.random_state = random_state

    def _samples(self, X: Any, *, reset: bool) -> Any:
        if self.input_step > 0 and not hasattr(self.extractor, "step_down"):
            raise ValueError(
                f"ClassConditionalGaussian: input_step={self.input_step:g} moves the pixels of images, and "
                f"extractor={self.extractor!r} has no gradient for them; give a FeaturePyramid, or input_step=0"
            )
        return super()._samples(X, reset=reset) if self.extractor is None else X

    def _encoded(self, X: Any, *, reset: bool) -> NDArray:
        return self._normalised(X if self.extractor is None else self._beside(self.extractor.transform(X), reset=reset))

    def _rows(self, X: Any) -> NDArray:
        return self._stepped(X) if self.input_step > 0 else super()._rows(X)

    def _calibration(self, X: Any, Z: NDArray, held_out: NDArray) -> NDArray:
        return self._stepped(take(X, held_out)) if self.input_step > 0 else Z[held_out]

    def _stepped(self, X: Any) -> NDArray:
        """Rows of images after their pixels went `input_step` towards their class."""

        def slope(levels: list[NDArray]) -> list[NDArray]:
            widths = np.cumsum([part.shape[1] for part in levels])[:-1]
            return np.split(self._slope(self._beside(levels, reset=False)), widths, axis=1)

        return self._normalised(self._beside(self.extractor.step_down(X, slope, self.input_step), reset=False))

    def _normalised(self, Z: NDArray) -> NDArray:
        if self.normalize is None:
            return Z
        if self.n_features_in_ == 1:
            raise ValueError("ClassConditionalGaussian: normalize='l2' leaves nothing but signs, n_features=1")
        return Z / _norms(Z)

    def _fit_classes(self, Z: NDArray, numbers: NDArray) -> None:
        counts = np.bincount(numbers, minlength=len(self.classes_))
        if Z.shape[1] % self.n_blocks:
            raise ValueError(
                f"ClassConditionalGaussian: n_features={Z.shape[1]} cannot be cut into n_blocks={self.n_blocks} equal "
                "blocks; give a divisor"
            )
        if self.covariance == "relative" and len(counts) < 2:
            raise ValueError(
                "ClassConditionalGaussian: covariance='relative' compares classes and there is 1 class; give y with "
                "two classes or more, or use 'tied'"
            )
        if self.covariance == "class" and counts.min() < 2:
            few = self.classes_.tolist()[counts.argmin()]
            raise ValueError(
                f"ClassConditionalGaussian: class {few!r} has {counts.min()} row(s) to fit; covariance='class' needs 2 "
                "in each class beside those held out"
            )
        self.means_ = np.stack([Z[numbers == number].mean(axis=0) for number in range(len(counts))])
        blocks = np.split(np.arange(Z.shape[1]), self.n_blocks)
        self._levels = [self._fit_block(Z[:, block], numbers) for block in blocks]
        self._whole = [self._level(Z[:, block]) for block in blocks] if self.covariance == "relative" else []

    def _fit_block(self, Z: NDArray, numbers: NDArray) -> list[level.Level]:
        """One Gaussian per class, or the one that all classes share around 0."""
        n_classes = len(self.classes_)
        if self.covariance == "class":
            return [self._level(Z[numbers == number]) for number in range(n_classes)]
        means = np.stack([Z[numbers == number].mean(axis=0) for number in range(n_classes)])
        return [self._level(Z - means[numbers])]

    def _level(self, Z: NDArray) -> level.Level:
        k = kernels.on(self.device)
        state = level.gather(k, np.ascontiguousarray(Z), diagonal=self.shrinkage == "diag")
        return level.fit(k, state, shrinkage=self.shrinkage)

    def _check_state(self) -> None:
        self._check_means(len(self.classes_))
        width, rest = divmod(self.n_features_in_, self.n_blocks)
        counts = {"class": (len(self.classes_), 0), "relative": (1, self.n_blocks)}
        n_levels, n_whole = counts.get(self.covariance, (1, 0))
        if rest or {len(levels) for levels in self._levels} != {n_levels} or len(self._whole) != n_whole:
            raise ValueError("ClassConditionalGaussian: the Gaussians are not one per block, and class where asked for")
        for levels in (*self._levels, self._whole):
            for one in levels:
                level.check(one, width)

    def _score(self, Z: NDArray) -> NDArray:
        nearest = self._distances(Z).min(axis=1)
        if self.covariance == "relative":
            k = kernels.on(self.device)
            parts = np.split(Z, self.n_blocks, axis=1)
            whole = [level.distance_sq(k, one, part) for one, part in zip(self._whole, parts, strict=True)]
            nearest = nearest - np.mean(whole, axis=0)
        return -nearest

    def _slope(self, Z: NDArray) -> NDArray:
        """Gradient of minus the score at rows before they are normalised, (n, d), the nearest class being kept."""
        k = kernels.on(self.device)
        U = self._normalised(Z)
        nearest = self._nearest(U)
        slope = np.zeros(U.shape)
        for number, block in enumerate(np.split(np.arange(U.shape[1]), self.n_blocks)):
            for known in np.unique(nearest):
                rows = np.ix_(nearest == known, block)
                if self.covariance == "class":
                    slope[rows] = level.gradient(k, self._levels[number][known], U[rows])
                else:
                    slope[rows] = level.gradient(k, self._levels[number][0], U[rows] - self.means_[known, block])
            if self.covariance == "relative":
                slope[:, block] -= level.gradient(k, self._whole[number], np.ascontiguousarray(U[:, block]))
        slope /= self.n_blocks
        if self.normalize is None:
            return slope
        return (slope - (slope * U).sum(axis=1, keepdims=True) * U) / _norms(Z)

    def _nearest(self, Z: NDArray) -> NDArray[np.intp]:
        return self._distances(Z).argmin(axis=1)

    def _distances(self, Z: NDArray) -> NDArray[np.float64]:
        """Squared distance of each row to each class, (n, n_classes), averaged over the blocks."""
        k = kernels.on(self.device)
        total = np.zeros((len(Z), len(self.classes_)))
        means = np.split(self.means_, self.n_blocks, axis=1)
        for levels, center, part in zip(self._levels, means, np.split(Z, self.n_blocks, axis=1), strict=True):
            for number in range(len(self.classes_)):
                if self.covariance == "class":
                    total[:, number] += level.distance_sq(k, levels[number], np.ascontiguousarray(part))
                else:
                    total[:, number] += level.distance_sq(k, levels[0], part - center[number])
        return total / self.n_blocks


def _norms(Z: NDArray) -> NDArray:
    norms = np.linalg.norm(Z, axis=1, keepdims=True)
    return np.where(norms > 0, norms, 1.0)
