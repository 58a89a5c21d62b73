"""Density of latents of known things: a Gaussian per class, or a mixture, behind any encoder."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.utils import check_random_state

from odkit import kernels
from odkit._sklearn import Interval, StrOptions
from odkit.images.open_set import OpenSet
from odkit.kernels import level
from odkit.kernels.cpu import em
from odkit.kernels.cpu.mixture_search import Settings, sample_rows, search

__all__ = ["LatentGMM"]


class LatentGMM(OpenSet):
    """Known class or none, by the likelihood of the latents of an encoder under a Gaussian mixture.

    Assumes an encoder in whose latents each known class is one or a few clouds. It fails where the encoder maps
    unknown things onto known ones, and with "per_class" where a class has fewer rows than latents and is no ball.

    **The threshold** comes from rows that neither the encoder nor the mixture has seen. An encoder that has a `fit`
    is therefore cloned and trained here, without them. A callable is taken as frozen: if it was trained on rows of X,
    the threshold is too tight and more known rows are rejected than `fpr` says.

    Parameters
    ----------
    encoder : transformer, callable or None, default=None
        Turns samples into rows: `SparseWaferEncoder()`, a `FeaturePyramid`, whose levels are put side by side, any
        function, or a `torch.nn.Module`, which runs in evaluation mode on all samples at once. None: X are the latents.
    components : "per_class" or int >= 1, default="per_class"
        One Gaussian per class, shrunk, without EM; or so many, fitted by EM to all rows together.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        "per_class" knows the first two.
    shrinkage : as in `Mahalanobis`, but for "empirical" and "diag", default="ledoit_wolf"
        Of "per_class".
    reg_covar : float >= 0, default=1e-3
        Added to the variances of EM.
    fpr : float in (0, 1), default=0.01
        Share of further known samples that is rejected.
    calibration_fraction : float in (0, 1), default=0.3
        Share of every class that is held out, to read the threshold from.
    reject_label : object, default=-1
        What `predict_class` says of a rejected sample.
    device : str or None, default=None
    random_state : int, RandomState or None, default=None
        Draws the samples that are held out, the starts of EM, and seeds an encoder that has a `random_state`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : the trained clone, the callable, or None
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_latents)
    class_shares_ : ndarray of shape (n_components, n_classes)
        How much of each component the classes take up; the identity for "per_class".
    offset_ : float

    Notes
    -----
    **Score:** log density of the latents, in nats.
    **Cost:** that of the encoder; fit O(n d^2) per class or EM step, a score O(K d^2); memory O(K d^2).
    **Source:** after Frittoli et al., Pattern Recognition 124 (2022), of which only the abstract was at hand:
    components, shrinkage and threshold are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from odkit import LatentGMM
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([3, 7], 300)
    >>> X = rng.normal(size=(600, 2)) + 6 * (y == 7)[:, None]
    >>> detector = LatentGMM(encoder=lambda x: x / 2, fpr=0.02, random_state=0).fit(X, y)
    >>> detector.predict_class(np.array([[0.0, 0.0], [6.0, 6.0], [3.0, 3.0]]))
    array([ 3,  7, -1])
    """

    _parameter_constraints: dict = {
        **OpenSet._parameter_constraints,
        "encoder": "no_validation",
        "components": [StrOptions({"per_class"}), Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "shrinkage": [StrOptions({"ledoit_wolf", "oas"}), Interval(Real, 0, 1, closed="both"), tuple],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        components: str | int = "per_class",
        covariance_type: str = "full",
        shrinkage: str | float | tuple[str, float] = "ledoit_wolf",
        reg_covar: float = 1e-3,
        fpr: float = 0.01,
        calibration_fraction: float = 0.3,
        reject_label: Any = -1,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.encoder = encoder
        self.components = components
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage
        self.reg_covar = reg_covar
        self.fpr = fpr
        self.calibration_fraction = calibration_fraction
        self.reject_label = reject_label
        self.device = device
        self.random_state = random_state

    _rebuilt = ("encoder_",)  # a model file has no encoder

    def _rebuild(self) -> None:
        self.encoder_ = None

    def latents(self, X: Any) -> NDArray:
        """The latents of samples, shape (n_samples, n_latents)."""
        if self.encoder_ is None:
            return X
        if hasattr(self.encoder_, "named_modules"):
            return _evaluated(self.encoder_, X)
        return self.encoder_.transform(X) if hasattr(self.encoder_, "transform") else self.encoder_(X)

    def _fit_encoder(self, X: Any, y: NDArray) -> None:
        if self.encoder is None or not hasattr(self.encoder, "fit"):
            if self.encoder is not None and not callable(self.encoder) and not hasattr(self.encoder, "transform"):
                raise ValueError(
                    f"LatentGMM: encoder is a {type(self.encoder).__name__}; a transformer, a callable or None is due"
                )
            self.encoder_ = self.encoder
            return
        encoder = clone(self.encoder)
        if "random_state" in encoder.get_params() and encoder.get_params()["random_state"] is None:
            encoder.set_params(random_state=check_random_state(self.random_state).randint(2**31 - 1))
        self.encoder_ = encoder.fit(X, y)

    def _samples(self, X: Any, *, reset: bool) -> Any:
        return super()._samples(X, reset=reset) if self.encoder is None else X

    def _encoded(self, X: Any, *, reset: bool) -> NDArray:
        return X if self.encoder is None else self._beside(self.latents(X), reset=reset)

    def _fit_classes(self, Z: NDArray, numbers: NDArray) -> None:
        if self.components == "per_class":
            self._fit_per_class(Z, numbers)
            return
        n_components = int(self.components)
        if n_components > len(Z):
            raise ValueError(f"LatentGMM: components={n_components} for {len(Z)} rows; give more rows or lower it")
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        settings = Settings(self.covariance_type, float(self.reg_covar), 1e-3, 100, 3, False, None, None, None)
        sample, n_rows = sample_rows([Z], 10_000, rng)
        k = kernels.on(self.device)
        rows = k.array(Z)
        run, _ = search(
            lambda *parts: k.mixture.em_sums(rows, *map(k.array, parts)), [n_components], settings, sample, n_rows, rng
        )
        self.weights_, self.means_ = run.mixture.weights, run.mixture.means
        self._model: Any = em.kernel_arguments(run.mixture)
        joint = self._joint(Z)
        posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        taken = posterior.T @ np.eye(len(self.classes_))[numbers]
        self.class_shares_ = taken / np.maximum(taken.sum(axis=1, keepdims=True), np.finfo(float).tiny)

    def _fit_per_class(self, Z: NDArray, numbers: NDArray) -> None:
        if self.covariance_type not in ("full", "tied"):
            raise ValueError(
                f"LatentGMM: components='per_class' knows covariance_type 'full' and 'tied', not "
                f"{self.covariance_type!r}; give a number of components for EM"
            )
        counts = np.bincount(numbers)
        if self.covariance_type == "full" and counts.min() < 2:
            few = self.classes_.tolist()[counts.argmin()]
            raise ValueError(
                f"LatentGMM: class {few!r} has {counts.min()} row(s) to fit; 2 are needed in each class beside those "
                "held out, or covariance_type='tied'"
            )
        k = kernels.on(self.device)
        self.means_ = np.stack([Z[numbers == number].mean(axis=0) for number in range(len(counts))])
        self.weights_ = counts / counts.sum()
        self.class_shares_ = np.eye(len(counts))
        centered = Z - self.means_[numbers]
        groups = [centered] if self.covariance_type == "tied" else [centered[numbers == c] for c in range(len(counts))]
        self._model = [level.fit(k, {"rows": group}, shrinkage=self.shrinkage) for group in groups]

    def _check_state(self) -> None:
        size, d = len(self.weights_), self.n_features_in_
        self._check_means(size)
        if self.class_shares_.shape != (size, len(self.classes_)):
            raise ValueError(f"LatentGMM: class_shares_ must have shape ({size}, {len(self.classes_)})")
        if self.components == "per_class":
            if len(self._model) != (size if self.covariance_type == "full" else 1):
                raise ValueError(f"LatentGMM: {len(self._model)} Gaussians for {size} classes")
            for one in self._model:
                level.check(one, d)
            return
        means, factors, offsets = self._model
        square = self.covariance_type in ("full", "tied")
        if (means.shape, factors.shape, offsets.shape) != ((size, d), (size, d, d) if square else (size, d), (size,)):
            raise ValueError("LatentGMM: the mixture does not fit weights_ and n_features_in_")

    def _joint(self, Z: NDArray) -> NDArray[np.float64]:
        """log weight + log density of each row under each component, (n, K)."""
        k = kernels.on(self.device)
        if self.components != "per_class":
            return k.numpy(k.mixture.log_densities(k.array(Z), *(k.state(part) for part in self._model)))
        out = np.empty((len(Z), len(self.means_)))
        for number, (weight, mean) in enumerate(zip(self.weights_, self.means_, strict=True)):
            one = self._model[number if self.covariance_type == "full" else 0]
            squares = level.distance_sq(k, one, Z - mean)
            normaliser = one.logdet + one.n_directions * math.log(2 * math.pi)
            out[:, number] = math.log(weight) - 0.5 * (squares + normaliser)
        return out

    def _score(self, Z: NDArray) -> NDArray:
        return logsumexp(self._joint(Z), axis=1)

    def _nearest(self, Z: NDArray) -> NDArray[np.intp]:
        joint = self._joint(Z)
        posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return (posterior @ self.class_shares_).argmax(axis=1)


def _evaluated(model: Any, X: Any) -> Any:
    """What a torch module makes of X, its mode and statistics being as before."""
    import torch

    from odkit.nets.hooks import listening

    with torch.no_grad(), listening(model, []):
        rows = model(X)
    return rows.cpu().numpy() if isinstance(rows, torch.Tensor) else rows
