"""Gaussian mixture by EM (Dempster, Laird and Rubin, JRSS B 1977), its size chosen by BIC (Schwarz, 1978)."""

from collections.abc import Callable, Iterable
from functools import reduce
from numbers import Integral, Real
from typing import Any, Self

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, fit_context
from odkit.base import Detector
from odkit.fitted_mixture import FittedMixture
from odkit.kernels import cautions
from odkit.kernels.cpu import blas, em
from odkit.kernels.cpu.mixture_search import Settings, sample_rows, search

__all__ = ["GMM"]

CANDIDATES = (1, 2, 4, 8, 16)  # sizes that "auto" compares
ROWS_PER_COMPONENT = 10  # and the rows that a component must have for that
START_ROWS = 10_000  # rows on which starting points are sought

Pass = Callable[[NDArray, NDArray, NDArray], dict[str, Any]]


class GMM(FittedMixture, Detector):
    """A row is as strange as it is improbable under a mixture of Gaussians fitted to the training rows.

    Assumes that normal rows form a few roughly elliptic groups, each of many more rows than it has parameters
    (d (d + 3) / 2 for "full"). It fails where a component settles on the outliers themselves, which then look normal:
    use fewer components or cleaner rows; where columns are discrete or duplicated, so that components collapse onto
    single values; and where groups are curved or heavy-tailed.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number K of Gaussians, at most the number of rows. "auto" takes the one of 1, 2, 4, 8, 16, while there are 10
        rows to each (for "full" also more rows than columns), with the smallest BIC, and without a component that
        collapsed or, for "full", holds no more rows than there are columns.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance each, one for all, one variance per column each, one variance each.
    reg_covar : float, default=1e-6
        At least 0, in squared units of the columns: added to every variance in every step. It is the floor that keeps
        singular components (constant columns, fewer rows than columns, duplicates) finite.
    tol : float, default=1e-3
        EM stops when the mean log-likelihood gains less, at least 0.
    max_iter : int, default=100
        Most EM iterations, each one pass over the rows.
    n_init : int, default=1
        Starting points. With more than one, ten EM iterations of each on at most 10,000 rows decide which goes on.
    weights_init : array-like of shape (n_components,), default=None
        Weights to start from, together 1. What is not given comes from k-means on at most 10,000 rows.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Inverse covariances to start from, in the shape of `covariances_`.
    n_jobs : int, default=None
        Threads over the rows, and over the starts of all sizes, as in scikit-learn. The result does not depend on it.
    device : str, default=None
        None or "cpu" for numba and numpy, "cuda" or "cuda:1" for torch.
    verbose : bool, default=False
        Log every iteration to the logger "odkit" at level INFO.
    random_state : int, RandomState or None, default=None
        Draws the starting points.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).

    Attributes
    ----------
    n_components_, covariance_type_ : int, str
        Those of the fit, whatever is set afterwards.
    weights_ : ndarray of shape (n_components_,)
    means_ : ndarray of shape (n_components_, n_features)
    covariances_ : ndarray
        (n_components_, n_features, n_features) for "full", (n_features, n_features) for "tied", (n_components_,
        n_features) for "diag", (n_components_,) for "spherical".
    precisions_cholesky_ : ndarray of the same shape
        U with U U^T the inverse covariance, upper triangular; 1 / standard deviation for "diag" and "spherical".
    converged_, n_iter_ : bool, int
    lower_bound_ : float
        Mean log-likelihood of the training rows before the last step.
    bic_path_ : ndarray of shape (n_candidates, 2)
        For "auto": the sizes compared and their BIC, inf where a component is none. Else empty.
    offset_ : float
        Threshold on `score_samples`, by `contamination`.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    **Score:** log p(x) in nats, any sign: a density, so it moves with the units of the columns.
    **Cost:** O(n K d^2) per iteration and for a score ("diag", "spherical": O(n K d)); memory O(K d^2) beside the rows.
    **Source:** scores equal scikit-learn's `GaussianMixture` at equal parameters, and so do EM steps. Deviations: the
    start is k-means++ and ten k-means steps on standardised columns of at most 10,000 rows, and starts compete on them;
    "auto" lets the model of half the size, its components split in two, compete too. Moments are about the means.

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import GMM
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (300, 1)), rng.normal(5, 1, (100, 1))])
    >>> detector = GMM("auto", random_state=0).fit(X)
    >>> detector.n_components_, detector.weights_.round(2)
    (2, array([0.75, 0.25]))

    Between the groups rows are improbable, the mean of all of them too:

    >>> detector.score_samples([[-5.0], [5.0], [X.mean()]]).round(1)
    array([-1.2, -2.2, -4.2])
    """

    bench_version = 2  # "auto" takes no singular component

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "n_jobs": [Integral, None],
        "device": [str, None],
        "verbose": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | str = 1,
        *,
        covariance_type: str = "full",
        reg_covar: float = 1e-6,
        tol: float = 1e-3,
        max_iter: int = 100,
        n_init: int = 1,
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        n_jobs: int | None = None,
        device: str | None = None,
        verbose: bool = False,
        random_state: int | np.random.RandomState | None = None,
        contamination: float | str = 0.1,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose
        self.random_state = random_state
        self.contamination = contamination

    @fit_context(prefer_skip_nested_validation=True)
    def fit_chunks(self, chunks: Callable[[], Iterable[ArrayLike]]) -> Self:
        """Fit rows that never sit in memory together: one pass over them per EM iteration, and two more.

        "auto" takes one pass more for each size.

        Parameters
        ----------
        chunks : callable without arguments
            Returns a new iterable of blocks (n_rows, n_features), the same rows in the same order each time.

        Returns
        -------
        self
            The model of `fit` on all rows, up to rounding, from the same start. Memory: one block, 10,000 rows, and 8
            bytes for each row's training score.
        """
        if not callable(chunks):
            given = f"chunks is a {type(chunks).__name__}, no function; give one without arguments"
            raise TypeError(f"GMM.fit_chunks: {given} that returns the same blocks anew at every call: lambda: blocks")
        rng = self._generator()
        validated = (self._validate(chunk, reset=i == 0) for i, chunk in enumerate(chunks()))
        sample, n_rows = sample_rows(validated, START_ROWS, rng)
        if n_rows == 0:
            raise ValueError("GMM: chunks() gave no rows; it must return a new iterable of row blocks at every call.")

        def pass_over(*arguments: NDArray) -> dict[str, Any]:
            blocks = (self._validate(chunk, reset=False) for chunk in chunks())
            return reduce(em.merge_sums, (self._pass(b)(*arguments) for b in blocks), em.empty_sums(*arguments))

        self._choose(pass_over, sample, n_rows, rng)
        self.offset_ = self._quantile(np.concatenate([self.score_samples(chunk) for chunk in chunks()]))
        return self

    def _fit(self, X: NDArray) -> None:
        rng = self._generator()
        sample, n_rows = sample_rows([X], START_ROWS, rng)
        self._choose(self._pass(X), sample, n_rows, rng)

    def _choose(self, pass_over: Pass, sample: NDArray, n_rows: int, rng: np.random.Generator) -> None:
        """Fit by passes over all rows, wherever they are, from starts found in a sample of them."""
        settings = Settings(*(getattr(self, name) for name in Settings._fields))
        sizes = self._sizes(n_rows, sample.shape[1])
        n_jobs = joblib.effective_n_jobs(self.n_jobs)
        with blas.one_thread():
            judge = self.n_components == "auto"
            found = search(pass_over, sizes, settings, sample, n_rows, rng, judge=judge, n_jobs=n_jobs)
        run, self.bic_path_ = found
        self.covariance_type_, self.weights_, self.means_, self.covariances_, self.precisions_cholesky_ = run.mixture
        self.n_components_ = len(self.weights_)
        self.lower_bound_, self.n_iter_, self.converged_ = run.lower_bound, run.n_iter, run.converged
        self._warn_of_collapse(n_rows, self.reg_covar)
        if not self.converged_ and self.tol > 0:
            cautions.warn(
                f"GMM: no convergence in max_iter={self.max_iter} iterations, the mean log-likelihood still changes by "
                f"tol={self.tol} or more in each. Raise max_iter or tol.",
                ConvergenceWarning,
            )

    def _sizes(self, n_rows: int, n_columns: int) -> list[int]:
        if self.n_components != "auto":
            if int(self.n_components) > n_rows:
                raise ValueError(
                    f"GMM: fewer rows than components, n_samples={n_rows} and n_components={self.n_components}. "
                    "Give more rows or lower n_components."
                )
            return [int(self.n_components)]
        if not all(part is None for part in (self.weights_init, self.means_init, self.precisions_init)):
            raise ValueError("GMM: n_components='auto' chooses its own starts; give a number with the *_init values.")
        own = n_columns + 1 if self.covariance_type == "full" else 0  # with fewer rows, a component would be singular
        return [size for size in CANDIDATES if size == 1 or n_rows >= size * max(ROWS_PER_COMPONENT, own)]

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _pass(self, X: NDArray) -> Pass:
        """What takes EM's statistics of X, moved to the device once, under given parameters."""
        k = kernels.on(self.device)
        rows, n_jobs = k.array(X), joblib.effective_n_jobs(self.n_jobs)
        return lambda *arguments: k.mixture.em_sums(rows, *(k.array(part) for part in arguments), n_jobs)
