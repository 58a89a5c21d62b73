"""Mean-shift outliers: how far averaging of neighbours carries a row (Yang, Rahardja and Franti, 2021)."""

from numbers import Integral

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.base import Detector
from odkit.kernels.cpu.mean_shift import mean_shift_distance
from odkit.kernels.cpu.scaling import column_scales, scales_fit

__all__ = ["MeanShift"]

FAR = 2.0**500  # scaled values beyond this have no squares that can be added up


class MeanShift(OneToOneFeatureMixin, TransformerMixin, Detector):
    """A row is as strange as the way is long that repeated averaging of neighbours carries it (MOD; DOD by medoids).

    Every row moves to the mean of its nearest rows, all rows at once, `n_passes` times: outliers are drawn into the
    mass, inliers stay. Assumes comparable columns (hence `scaling`) and outliers that are fewer in one place than
    `n_neighbors`. It fails on clumps of outliers larger than that, which move nowhere, and where inliers at the rim of
    the data move as far as outliers do. Among whole or rounded numbers many rows are equally far, and ties go to the
    first row: the scores then depend on the order of the training rows (rank correlation of two orders .97 on 500 rows
    of three digits, .91 on 400 counts in one column, 1 without ties).

    Parameters
    ----------
    n_neighbors : int, default=20
        Rows averaged; at least 1, cut to the number of training rows (less one where the row itself does not count).
    n_passes : int, default=3
    statistic : {"mean", "medoid"}, default="mean"
        "medoid" moves to the neighbour with the least summed Manhattan distance to the others, a row that exists.
    self_counted : bool, default=True
        A row is one of its own neighbours. False: a row is averaged over others only, so that a lone outlier moves all
        the way; a new row that equals a training row passes that one over.
    scaling : {"standard", "robust", None}, default="standard"
        Mean and standard deviation; median and IQR / 1.349; none. A constant column has the scale 1.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    device : str, default="cpu"
        "cpu", or "cuda", "cuda:1": brute force on a torch device.
    n_jobs : int, default=None
        Threads of the search on the cpu: at least 1, or -1 for all cores, -2 for all but one.

    Attributes
    ----------
    references_ : ndarray of shape (n_passes, n_samples, n_features)
        The training rows, scaled, before each pass. A new row is carried along them and never moves them.
    n_neighbors_ : int
        Rows averaged after the cut.
    statistic_, self_counted_ : str and bool
        The parameters of the fit, which `references_` go with.
    location_, scale_ : ndarrays of shape (n_features,)
    offset_ : float
        Threshold on `score_samples`, by `contamination`.

    Notes
    -----
    **Score:** minus the distance moved, in scaled units, at most 0.
    **Cost:** fit and score O(n_passes) searches: pruned boxes up to 12 columns, matrix products above; memory
    O(n (n_passes d + n_neighbors)), and O(n_neighbors) a row scored.
    **Source:** Yang, Rahardja and Franti, and their code. The neighbours of all rows are taken before any row
    moves, a row counts as its own neighbour (`self_counted`), ties go to the first row, and a new row is averaged by
    the same rule, so that a training row scores what it scored in the fit, bit for bit; the authors' code adds the new
    row to its k - 1 neighbours, which counts a training row twice.

    Examples
    --------
    With two neighbours 0 and 1 meet half way, 3 goes to the mean of 1 and 3, and 10 to that of 3 and 10:

    >>> from odkit import MeanShift
    >>> detector = MeanShift(n_neighbors=2, n_passes=1, scaling=None, contamination=0.25).fit([[0], [1], [3], [10]])
    >>> detector.transform([[0], [1], [3], [10], [20]]).ravel()
    array([0.5, 0.5, 2. , 6.5, 6.5])
    >>> detector.score_samples([[0], [1], [3], [10], [20]])
    array([ -0.5,  -0.5,  -1. ,  -3.5, -13.5])
    """

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_passes": [Interval(Integral, 1, None, closed="left")],
        "statistic": [StrOptions({"mean", "medoid"})],
        "self_counted": ["boolean"],
        "scaling": [StrOptions({"standard", "robust"}), None],
        "device": [str, None],
        "n_jobs": [Interval(Integral, None, -1, closed="right"), Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        n_neighbors: int = 20,
        n_passes: int = 3,
        statistic: str = "mean",
        self_counted: bool = True,
        scaling: str | None = "standard",
        contamination: float | str = 0.1,
        device: str | None = "cpu",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.n_passes = n_passes
        self.statistic = statistic
        self.self_counted = self_counted
        self.scaling = scaling
        self.contamination = contamination
        self.device = device
        self.n_jobs = n_jobs

    def _fit_score(self, X: NDArray) -> NDArray:
        start, end = self._fit_shift(X)
        return -mean_shift_distance(start, end)

    def _fit_shift(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """Fit, and the scaled training rows before the first and after the last pass."""
        X = X.astype(np.float64, copy=False)
        self.location_, self.scale_, _ = column_scales(X, self.scaling)
        self.statistic_, self.self_counted_ = self.statistic, bool(self.self_counted)
        self.n_neighbors_ = min(self.n_neighbors, len(X) - (not self.self_counted_))
        if self.n_neighbors_ == 0:
            raise ValueError("MeanShift: n_samples = 1, but self_counted=False needs at least 2 rows. Give more rows.")
        passes = [self._scaled(X)]
        if (largest := max(passes[0].max(), -passes[0].min())) > FAR:  # infinite distances would all tie
            raise ValueError(
                f"MeanShift: distances between training rows overflow (largest value {largest:g} in scaled units, "
                f"scaling={self.scaling!r}). Rescale the columns."
            )
        for _ in range(self.n_passes):
            passes.append(self._pass(passes[-1], passes[-1]))
        self.references_ = np.stack(passes[:-1])
        self.references_.flags.writeable = False
        return passes[0], passes[-1]

    def _score(self, X: NDArray) -> NDArray:
        return -mean_shift_distance(*self._shift(X))

    def _check_state(self) -> None:
        """Before a model from a file meets compiled code, which checks no bounds."""
        if not hasattr(self, "statistic_"):  # a file of before these were kept: it went by the parameter, with the row
            self.statistic_, self.self_counted_ = self.statistic, True
        n_passes, n, d = np.shape(self.references_) if np.ndim(self.references_) == 3 else (0, 0, 0)
        fine = n_passes > 0 and d == self.n_features_in_ and isinstance(self.n_neighbors_, Integral)
        fine = fine and 1 <= self.n_neighbors_ <= n - (not self.self_counted_)
        fine = fine and self.statistic_ in ("mean", "medoid") and isinstance(self.self_counted_, bool)
        fine = fine and scales_fit(self.location_, self.scale_, d)
        if not fine or self.references_.dtype != np.float64 or not np.isfinite(self.references_).all():
            raise ValueError(
                f"MeanShift: references_ of shape {np.shape(self.references_)}, location_ and scale_ do not fit "
                f"n_neighbors_={self.n_neighbors_}, statistic_={self.statistic_!r}, self_counted_={self.self_counted_} "
                f"and {self.n_features_in_} columns, or are not finite float64 numbers."
            )

    def _scaled(self, X: NDArray) -> NDArray:
        with np.errstate(over="ignore"):  # a row beyond all numbers of this unit is infinitely far
            return (X - self.location_) / self.scale_

    def _shift(self, X: NDArray) -> tuple[NDArray, NDArray]:
        """The scaled rows before and after all passes."""
        start = end = self._scaled(X)
        for rows in self.references_:
            end = self._pass(end, rows)
        return start, end

    def _pass(self, queries: NDArray, rows: NDArray) -> NDArray:
        k = kernels.on(self.device)
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        rule = self.n_neighbors_, self.statistic_, n_jobs, self.self_counted_
        return np.asarray(k.numpy(k.mean_shift.shift(k.array(queries), k.array(rows), *rule)))

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the passes carry the rows, shape (n_samples, n_features), in the units of X."""
        check_is_fitted(self)
        return self._shift(self._validate(X, reset=False))[1] * self.scale_ + self.location_

    def expected(self, X: ArrayLike) -> NDArray[np.float64]:
        """Where the passes carry the rows: `transform(X)`."""
        return np.asarray(self.transform(X))

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Contribution of each column to the distance, shape (n_samples, n_features); rows sum to it.

        (x_j - x'_j)^2 / |x - x'|, and 0 where a row stays.
        """
        check_is_fitted(self)
        start, end = self._shift(self._validate(X, reset=False))
        distance = mean_shift_distance(start, end)[:, None]
        gap = start - end
        with np.errstate(invalid="ignore"):
            share = np.divide(gap, distance, out=np.zeros(gap.shape), where=distance > 0)  # its square may overflow
            return np.where(np.isinf(gap), np.inf, gap * share)
