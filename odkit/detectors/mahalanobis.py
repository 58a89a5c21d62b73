"""Mahalanobis distance to one Gaussian, shrunken and of any rank (Rippel, Mertens and Merhof, ICPR 2020)."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.false_alarms import FalseAlarms
from odkit.fitted_gaussian import FittedGaussian
from odkit.kernels import cautions, level
from odkit.kernels.cpu import mcd, mcd_factors, quantiles
from odkit.kernels.spread import lacks

__all__ = ["Mahalanobis"]


def _streams(detector: "Mahalanobis") -> bool:
    """Whether statistics add up to the same model; the error says why they do not."""
    reasons = {
        "robust='mcd' needs all rows at once": detector.robust is not None,
        "threshold='split' holds rows out of one fit; use 'loo' or 'prequential'": detector._rule() == "split",
        "Ledoit-Wolf in a subspace needs all rows at once; use 'oas' or a number": detector._needs_rows(),
    }
    if any(reasons.values()):
        raise AttributeError(next(reason for reason, holds in reasons.items() if holds))
    return True


class Mahalanobis(FittedGaussian, FalseAlarms):
    """A row is as anomalous as it is far from the mean, measured in the shape of the training cloud.

    Assumes one roughly elliptical cloud; works with fewer rows than columns, with constant and with duplicated columns.
    **It fails** on several clusters (use `GMM` or `KNN`), on curved clouds, and where training outliers inflate the
    covariance until they look ordinary (use `robust="mcd"`). Ledoit-Wolf, OAS and subspaces are not free of scale:
    standardise columns of different units first.

    The threshold asks for normal training rows. Where they hold outliers, give their share as `contamination`.

    Parameters
    ----------
    shrinkage : {"auto", "ledoit_wolf", "oas", "empirical", "diag"}, float in [0, 1] or ("ridge", eps), default="auto"
        "auto" is "ledoit_wolf", and "empirical" with robust="mcd". A number is the share of the identity (1: Euclidean
        distance); eps a variance added to every direction. "empirical" adds none: directions that no training row
        takes get 10^-12 of the mean variance, with a warning. "diag" divides columns by their standard deviations.
    robust : {"mcd"}, ("mcd", ridge) or None, default=None
        Mean and covariance of the rows around the minimum covariance determinant: nearly half of the rows may be
        outliers. Raises if the rows it would rest on lie on a hyperplane (columns in which most values are equal),
        unless a ridge in (0, 1), in squared median absolute deviations, lifts the determinant; all equal they raise.
    support_fraction : float in (0.5, 1] or None, default=None
        Share of rows the determinant is minimised over; None: the most robust, just over half.
    subspace : ("pca", t), ("npca", t) or None, default=None
        The leading components that first explain more than the share t of the variance, or the last two of them and
        all after, where normal data hardly vary; t in (0, 1].
    keep_null : bool, default=True
        Whether "npca" keeps the directions in which no training row varies.
    normalize : {"l2"} or None, default=None
        Divide every row by its Euclidean norm first; a row of zeros stays.
    threshold : {"auto", "loo", "split", "gamma", "chi2", "prequential"}, default="auto"
        Where `offset_` comes from: the conformal quantile of leave-one-out distances ("loo"; of a uniform sample where
        rows are many or gone), of rows held out of the fit ("split"), or of the last `n_calibration` distances, each
        taken before its block was absorbed ("prequential"; `merge` puts the other's last); a gamma law fitted to
        leave-one-out distances; the chi-square law, with `robust` corrected for few rows. "auto" is "loo", and "chi2"
        with `robust`, which has "split" too.
    fpr : float in (0, 1), default=0.01
        Share of normal rows that the threshold lets be flagged, in the mean over training sets; laws assume a Gaussian.
    contamination : float in (0, 0.5], 'auto' or None, default=None
        If given, `offset_` is this percentile of the training scores (Tukey's fence for 'auto'), whatever `threshold`.
    calibration_fraction, n_calibration : float in (0, 1), default=0.3, and int >= 1, default=1000
        Share of rows that "split" holds out; distances that "prequential" remembers.
    device : str or None, default=None
        None or "cpu"; "cuda", "cuda:1" for torch (all but the search of `robust`).
    random_state : int, RandomState or None, default=None
        Draws the rows of "split" and the samples of rows that `offset_` is read from.

    Attributes
    ----------
    location_ : ndarray of shape (n_features_in_,)
    components_ : ndarray of shape (r, n_features_in_) or None
        Eigenvectors of the covariance, r its rank; None for "diag".
    eigenvalues_, weights_ : ndarrays of shape (r,)
        Variances along the components (divisor n), before and after shrinkage; inf where the subspace leaves one out.
        For "diag" those of the columns, inf for constant ones.
    floor_ : float
        Variance given to each direction outside the components; inf if there is none or it is left out.
    shrinkage_, logdet_ : float
        Share of the identity; log-determinant of the shrunken covariance.
    n_directions_ : int
        Directions that count: all columns, or the dimension of the subspace.
    whitener_ : ndarray of shape (n_features_in_, n_features_in_) or None
        Upper triangle R with R'R the precision matrix; None where some direction has no component or is left out.
    support_, degrees_ : boolean ndarray of shape (n_samples,), and float; or None
        Rows that the robust estimate rests on; how many clean rows it is worth (None with a ridge).
    loo_distances_ : ndarray or None
        Leave-one-out distances of the training rows, or of 100 / fpr of them (4096 at least); None where the
        threshold needs none.
    offset_, n_samples_seen_ : float and int

    Notes
    -----
    **Score:** minus the Mahalanobis distance, at most 0, in standard deviations (10 columns of Gaussian noise: 3.1).
    **Cost:** fit O(n d min(n, d)) plus O(d^3) for n > 2 d; a score O(d r); memory O(d min(n, 2 d)) and 4096 rows.
    At 100,000 x 50 twice the bare product X'X, with `contamination` 2.7 times: `benchmarks.speed.mahalanobis`.
    **Source:** Rippel et al., section III, with subspaces that keep what the training rows do not span; Ledoit and
    Wolf, J. Multivariate Anal. 88 (2004); OAS in scikit-learn's form, without the 2/d terms of the paper. Leave-one-out
    distances are in closed form, with the shrinkage of the full fit.

    Examples
    --------
    Heights and weights. 58 kg and 188 cm are both ordinary, together they are not; 95 kg fits 192 cm:

    >>> from odkit import Mahalanobis
    >>> X = [[160, 58], [165, 61], [170, 68], [172, 70], [175, 72], [180, 80], [185, 84], [190, 93]]
    >>> detector = Mahalanobis(fpr=0.2).fit(X)
    >>> new = [[192, 95], [188, 58]]
    >>> detector.score_samples(new).round(2)
    array([-2.07, -3.84])
    >>> detector.predict(new)
    array([ 1, -1])

    What the squared distance (4.3, 14.7) falls by when height or weight is not looked at:

    >>> detector.explain(new, kind="conditional").round(1)
    array([[ 0.2,  1. ],
           [12.8, 12.8]])
    """

    _parameter_constraints: dict = {
        **FalseAlarms._parameter_constraints,
        "shrinkage": [
            StrOptions({"auto", "ledoit_wolf", "oas", "empirical", "diag"}),
            Interval(Real, 0, 1, closed="both"),
            tuple,
        ],
        "robust": [StrOptions({"mcd"}), tuple, None],
        "support_fraction": [Interval(Real, 0.5, 1, closed="right"), None],
        "subspace": [tuple, None],
        "keep_null": ["boolean"],
        "normalize": [StrOptions({"l2"}), None],
        "device": [str, None],
    }
    _merge_parameters = ("robust", "shrinkage", "subspace", "keep_null", "normalize")

    def __init__(
        self,
        *,
        shrinkage: str | float | tuple[str, float] = "auto",
        robust: str | tuple[str, float] | None = None,
        support_fraction: float | None = None,
        subspace: tuple[str, float] | None = None,
        keep_null: bool = True,
        normalize: str | None = None,
        threshold: str = "auto",
        fpr: float = 0.01,
        contamination: float | str | None = None,
        calibration_fraction: float = 0.3,
        n_calibration: int = 1000,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.shrinkage = shrinkage
        self.robust = robust
        self.support_fraction = support_fraction
        self.subspace = subspace
        self.keep_null = keep_null
        self.normalize = normalize
        self.threshold = threshold
        self.fpr = fpr
        self.contamination = contamination
        self.calibration_fraction = calibration_fraction
        self.n_calibration = n_calibration
        self.device = device
        self.random_state = random_state

    partial_fit = available_if(_streams)(FalseAlarms.partial_fit)
    merge = available_if(_streams)(FalseAlarms.merge)

    @available_if(lambda self: not self.robust)
    def leave_one_out_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """`score_samples` of the training rows X, each by the model without it: for `Conformal(method='loo')`."""
        check_is_fitted(self)
        return -self._left_out(self._validate(X, reset=False))

    def _rule(self) -> str:
        return "chi2" if self.robust and super()._rule() == "loo" and self.threshold == "auto" else super()._rule()

    def _shrinkage(self) -> str | float | tuple[str, float]:
        if self.shrinkage != "auto":
            return self.shrinkage
        return "empirical" if self.robust == "mcd" else "ledoit_wolf"

    def _merge_key(self) -> dict[str, Any]:
        return {
            **super()._merge_key(),
            "shrinkage": self._shrinkage(),
        }  # "auto" is the same model as what it stands for

    def _needs_rows(self) -> bool:
        return self.subspace is not None and self._shrinkage() == "ledoit_wolf"

    def _law_quantile(self) -> float:
        if not self.robust:
            return super()._law_quantile()
        d, m = self.n_directions_, self.degrees_
        self._check_law(max(30 * d, 200) if m is None else max(10 * d, 20), "split")
        if m is None or self.shrinkage_ > 0:  # shrunken distances are nearer to chi-square: decision 170
            return quantiles.chi2_quantile(d, self.fpr)
        return mcd_factors.scaled_quantile(d, len(self.eigenvalues_), m, self.fpr)

    def _start(self) -> None:
        level.check_options("Mahalanobis", self.shrinkage, self.subspace)
        level.check_pair("Mahalanobis", "robust", self.robust, ("mcd",), 1.0)
        if self.normalize is not None and self.n_features_in_ == 1:
            raise ValueError("Mahalanobis: normalize='l2' leaves only the signs of a single column, n_features=1")
        if self.robust and self._rule() not in ("contamination", "chi2", "split"):
            raise ValueError(f"Mahalanobis: robust='mcd' goes with threshold 'chi2' or 'split', not {self.threshold!r}")
        super()._start()

    def _partial_stats(self, X: NDArray) -> dict[str, Any]:
        X, robust = self._prepared(X), {}
        if self.robust:
            ridge = float(self.robust[1]) if isinstance(self.robust, tuple) else 0.0
            X, *found = mcd.robust_rows(X.astype(np.float64, copy=False), self.support_fraction, ridge)
            robust = dict(zip(("support", "degrees"), found, strict=True))
        if self._needs_rows():
            return {"rows": X, **robust}
        state = level.gather(kernels.on(self.device), X, diagonal=self.shrinkage == "diag")
        return {**state, **robust}

    def _merge_stats(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        return level.merge(kernels.on(self.device), a, b)

    _lacks = staticmethod(lacks)

    def _fit_from_stats(self, stats: dict[str, Any]) -> None:
        k, how = kernels.on(self.device), self._shrinkage()
        fitted = level.fit(k, stats, shrinkage=how, subspace=self.subspace, keep_null=self.keep_null)
        for name, value in fitted._asdict().items():
            setattr(self, f"{name}_", value)
        self.support_, self.degrees_ = stats.get("support"), stats.get("degrees")
        d, rank = self.n_features_in_, len(self.weights_)
        if how == "diag" and self.n_directions_ < d:
            names = getattr(self, "feature_names_in_", np.arange(d))[np.isinf(self.weights_)]
            listed = ", ".join(map(repr, names[:5].tolist())) + ", ..." * (len(names) > 5)
            cautions.warn(f"Mahalanobis: constant columns are ignored: {listed}")
        elif np.isfinite(self.floor_) and not isinstance(how, tuple) and self.shrinkage_ < 1e-12:
            cautions.warn(f"Mahalanobis: a covariance of rank {rank} over {d} columns is not shrunk")
