"""HypAD: windows copied by an adversarially trained network, errors in the Poincaré ball (Flaborea et al., 2023)."""

import logging
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from odkit import kernels
from odkit._sklearn import Interval, StrOptions, check_is_fitted
from odkit.series import hypad_factors as factors
from odkit.series.base import SeriesDetector

__all__ = ["HypAD"]

CLIP = 4.0  # scaled values of a scored series; training values lie in [-1, 1]
NETWORK = ("task", "backbone", "latent", "head", "head_dim", "clip_r", "published")
TRAINING = ("lambda_rec", "lambda_mse", "learning_rate", "epochs", "batch_size", "n_critic", "max_train_windows",
            "patience")  # fmt: skip


class HypAD(SeriesDetector):
    """How badly an adversarially trained network copies, or forecasts, what surrounds a step.

    Assumes that the training series is normal and long enough to train a network on (some hundred windows). It fails on
    anomalies that are in the training series and on windows that are easy to copy whatever they mean (flat ones).
    Its place is that of a member of `SeriesConsensus` beside `Windowed(KNN())`, which alone ranks as well as it does;
    `window=50` gives the better alarms, and `n_critic=0` is as good in half the time (docs/series.md).

    Parameters
    ----------
    window : int, default=100
        Steps per window, at least 2.
    task : {"reconstruct", "forecast"}, default="reconstruct"
        Copy the whole window through a latent vector, or forecast its second half from its first.
    backbone : {"conv", "lstm", "mlp"}, default="conv"
        Encoder and decoder: strided convolutions, a recurrent layer, dense layers. "mlp" is what the published
        network amounts to.
    head : {"frozen", "learned"}, default="frozen"
        The linear map of windows into the ball: orthogonal and kept, or trained.
    latent, head_dim : int, default=20, 32
        Numbers between encoder and decoder, and dimensions of the ball.
    clip_r : float, default=2.0
        Longest tangent vector; points then have norm at most tanh(clip_r).
    combination : {"rec", "euclidean", "critic", "mult", "uncertainty", "rec_uncertainty"}, default="rec"
        Which factors the score multiplies (see Notes).
    lambda_rec, lambda_mse : float, default=10.0, 1.0
        Weights of the distance in the ball and of the squared error in the loss.
    learning_rate, epochs, batch_size : default=2e-3, 24, 128
    n_critic : int, default=3
        Minibatches for the critic per minibatch for the rest; 0 leaves the critic untrained and its loss out.
    max_train_windows : int, default=640
        Windows that make an epoch, where there are more; drawn anew each time.
    patience : int, optional
        Keep the weights of least loss on the last tenth of windows, stop after so many epochs without a lower one.
    published : bool, default=False
        Train and measure as the published code does, defects included, but without its gates, dropout, Riemannian
        optimiser, mode of a density and rolling mean (docs/decisions/065), and by the schedule given here: for
        comparison. Only "reconstruct", without `head`, `head_dim`, `clip_r` and `lambda_mse`.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.
    verbose : bool, default=False
        Log the loss of every epoch (logger "odkit", level INFO).
    device : str, default="cpu"
        Where to train and to score: "cpu", "cuda", "cuda:1"; a fitted model may be moved by `set_params`.
    random_state : int, RandomState or None, default=None
        On one device, torch version and thread count equal seeds give equal bits.

    Attributes
    ----------
    weights_, critic_ : dicts of float32 ndarrays by name
    network_ : dict of the parameters that shaped the network, as they were in `fit`
    location_, scale_ : ndarrays (n_channels,), middle and half of the training range (1 where that is 0)
    usual_ : dict
        Mean and standard deviation of every factor on the training steps.
    critic_level_ : float, median of the critic over the training windows; only distances from it mean something
    uncertainty_ : ndarray of shape (n_timesteps,), `uncertainty(X)` of the training series
    norm_mean_, norm_cv_ : float
        Mean norm of the predicted points over the training windows, and standard deviation / mean.
    uncertainty_informative_ : bool
        Whether that norm varies (by more than 1 %) and its mean lies in [.01, .95].
    loss_curve_, validation_curve_ : ndarrays of shape (n_epochs, 1)
        lambda_rec * distance + lambda_mse * squared error; the second is None without `patience`.
    window_, n_features_in_, offset_ : int, int, float

    Notes
    -----
    **Score:** -(product of factors), -1 on steps that are no worse than usual. R = 1 + max(0, (d - mean) / sd) of the
    distance d between predicted and true point, K the same of the critic's distance from its training median, E the
    same of the root mean squared error, U = norm of the predicted point / its mean. "rec" R, "critic" K,
    "euclidean" E, "mult" K R, "uncertainty" K R U, "rec_uncertainty" R U. Values of windows are averaged over those
    that cover a step (critic: median).
    **Cost:** fit `epochs` * (n_critic + 1) passes, some seconds a series of one channel; score one pass over n windows;
    memory O(n) beside chunks of 1024 windows.
    **Source:** aleflabo/HypAD for the idea; the frozen head, stopped gradient, Euclidean loss, critic on windows,
    penalty of single rows and placement of scores are ours (docs/decisions/065-hypad.md).

    Examples
    --------
    >>> x = np.sin(np.arange(400) / 5)
    >>> detector = HypAD(window=20, epochs=20, random_state=0).fit(x)
    >>> x[250:260] = 1.5
    >>> bool(240 < np.argmin(detector.score_samples(x)) < 270)
    True
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "window": [Interval(Integral, 2, None, closed="left")],
        "task": [StrOptions({"reconstruct", "forecast"})],
        "backbone": [StrOptions({"conv", "lstm", "mlp"})],
        "latent": [Interval(Integral, 1, None, closed="left")],
        "head": [StrOptions({"frozen", "learned"})],
        "head_dim": [Interval(Integral, 1, None, closed="left")],
        "clip_r": [Interval(Real, 0, None, closed="neither")],
        "combination": [StrOptions(set(factors.FACTORS))],
        "lambda_rec": [Interval(Real, 0, None, closed="left")],
        "lambda_mse": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_critic": [Interval(Integral, 0, None, closed="left")],
        "max_train_windows": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "published": ["boolean"],
        "verbose": ["verbose"],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        window: int = 100,
        task: Literal["reconstruct", "forecast"] = "reconstruct",
        backbone: Literal["conv", "lstm", "mlp"] = "conv",
        latent: int = 20,
        head: Literal["frozen", "learned"] = "frozen",
        head_dim: int = 32,
        clip_r: float = 2.0,
        combination: str = "rec",
        lambda_rec: float = 10.0,
        lambda_mse: float = 1.0,
        learning_rate: float = 2e-3,
        epochs: int = 24,
        batch_size: int = 128,
        n_critic: int = 3,
        max_train_windows: int = 640,
        patience: int | None = None,
        published: bool = False,
        contamination: float | Literal["auto"] = "auto",
        verbose: bool = False,
        device: str | None = "cpu",
        random_state: Any = None,
    ) -> None:
        self.window = window
        self.task = task
        self.backbone = backbone
        self.latent = latent
        self.head = head
        self.head_dim = head_dim
        self.clip_r = clip_r
        self.combination = combination
        self.lambda_rec = lambda_rec
        self.lambda_mse = lambda_mse
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.n_critic = n_critic
        self.max_train_windows = max_train_windows
        self.patience = patience
        self.published = published
        self.contamination = contamination
        self.verbose = verbose
        self.device = device
        self.random_state = random_state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "usual_")

    def components(self, X: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Errors of each step before they are joined: rec, critic, euclidean, certainty, each (n_samples,)."""
        check_is_fitted(self)
        return self._errors(self._validate(X, reset=False))[0]

    def uncertainty(self, X: ArrayLike) -> NDArray[np.float64]:
        """1 - norm of the predicted point, (n_samples,), from 0 to 1: what the ball is for."""
        return 1 - self.components(X)["certainty"]

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel in the anomaly score, (n_samples, n_channels): by its share of the squared error."""
        check_is_fitted(self)
        steps, squares = self._errors(self._validate(X, reset=False))
        return self._joined(steps)[:, None] * factors.channel_shares(squares)

    def _fit_score(self, X: NDArray) -> NDArray:
        if self.published and self.task != "reconstruct":
            raise ValueError("HypAD: published=True with task='forecast'; the published task is 'reconstruct'")
        self.window_ = self.window
        self._check_length(X, self.window_, f"window = {self.window_}")
        try:
            from odkit.nets.adversarial import fit_networks
        except ModuleNotFoundError as error:
            raise ImportError("HypAD needs torch, which is missing: pip install 'odkit[torch]'") from error
        self.network_ = {name: getattr(self, name) for name in NETWORK}
        self.location_, self.scale_ = factors.middle_and_half(X)
        log = logging.getLogger("odkit").info
        self.weights_, self.critic_, history = fit_networks(
            self._plan(),
            self._scaled(X),
            device=kernels.on(self.device).device,
            seed=check_random_state(self.random_state).randint(2**31 - 2),
            progress=(lambda step, loss: log("HypAD: step %d, loss %.6g", step, loss[0])) if self.verbose else None,
            **{name: getattr(self, name) for name in TRAINING},
        )
        self.loss_curve_, self.validation_curve_ = history.loss_curve, history.validation_curve
        found = self._of_windows(X)
        self.critic_level_ = float(np.median(found["critic"]))
        norm = factors.norm_summary(found["norm"], self.combination)
        self.norm_mean_, self.norm_cv_, self.uncertainty_informative_ = norm
        steps = factors.of_steps(self._plan(), found, self.critic_level_)
        self.uncertainty_ = 1 - steps["certainty"]
        self.usual_ = {name: (float(values.mean()), float(values.std())) for name, values in steps.items()}
        return -self._joined(steps)

    def _score(self, X: NDArray) -> NDArray:
        return -self._joined(self._errors(X)[0])

    def _errors(self, X: NDArray) -> tuple[dict[str, NDArray], NDArray]:
        """Errors of each step, and its squared errors (n_samples, n_channels)."""
        self._check_length(X, self.window_, f"window = {self.window_}")
        found = self._of_windows(X)
        return factors.of_steps(self._plan(), found, self.critic_level_), found["squares"]

    def _of_windows(self, X: NDArray) -> dict[str, NDArray]:
        device = kernels.on(self.device).device
        return factors.of_windows(self._plan(), self.weights_, self.critic_, self._scaled(X), device)

    def _joined(self, steps: dict[str, NDArray]) -> NDArray:
        return factors.joined(steps, self.usual_, factors.chosen(self.combination, self.uncertainty_informative_))

    def _scaled(self, X: NDArray) -> NDArray:
        return np.clip((X - self.location_) / self.scale_, -CLIP, CLIP)

    def _plan(self) -> Any:
        from odkit.nets.hypad import Plan

        return Plan(self.n_features_in_, self.window_, **self.network_)
