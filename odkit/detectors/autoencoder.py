"""Autoencoder with plain and probabilistic reconstruction error (Tan et al., MSS-PAE, Pattern Recognition, 2025)."""

import logging
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from odkit import kernels
from odkit._sklearn import Interval, StrOptions
from odkit.base import Detector
from odkit.kernels.cpu.scaling import column_scales
from odkit.nets.warm_start import check_columns, check_network
from odkit.reconstruction import Reconstruction

__all__ = ["AutoEncoder"]

# parameters that go to the training under their own names
PASSED_ON = ("hidden", "n_members", "max_steps", "batch_size", "learning_rate", "lr_step", "check_every", "patience",
             "mixed_precision")  # fmt: skip


class AutoEncoder(Reconstruction, Detector):
    """A row is as strange as a narrow network, trained to copy rows, fails to copy it.

    Assumes that normal rows lie near a surface of fewer dimensions than there are columns, and that a small network
    finds it. It fails where outliers are copied as well as the rest: clumps of them that are in the training data,
    and rows that a nearly linear map copies (a row far out along the main directions of the data). Trained longer on
    data with outliers it learns them too. Single networks differ widely by their seed; the mean of `n_members` is
    reported. On the development data neither this nor its relatives beat `KNN` by more than chance
    (docs/autoencoder.md); they add `reconstruct`, `explain`, and a view that differs from a distance's.
    Two warnings say that training failed: values beyond 1e4 scaled units, which the network sees cut there, and
    (ConvergenceWarning) members that know less than the means of the columns and get no nearer to them.

    Three errors, sums over the columns of the scaled row x, its reconstruction m and the predicted variance v, with
    w = max(v, min_variance):

    - "mse": (x - m)^2; the network has no variance head;
    - "pre": (x - m)^2 / w + log w, twice the negative log-density but for a constant;
    - "apre": alpha (x - m)^2 / w + beta log w.

    Parameters
    ----------
    error : {"mse", "pre", "apre"}, default="apre"
        Which error is the score (see above); "mse" also trains without a variance head.
    hidden : "auto" or sequence of int, default="auto"
        Widths of the encoder, the last one latent; the decoder mirrors them. "auto" is the paper's table: d/2; from
        20 columns d/2, d/4; from 100 d/2, d/4, d/8; from 200 d/2, d/4, d/16.
    alpha, beta : float, default=0.5, 2.0
        Weights of the two parts of "apre", alpha > 0, beta >= 0; they enter the score only, never the training.
    min_variance : float, default=1.0
        Least variance used in the score, above 0, in units of the column's own: 1 trusts no column to be predicted
        more precisely than its spread, so that log w only adds where the network expects more than that.
    n_members : int, default=5
        Networks trained as one batched network; the score is their mean.
    max_steps : int, default=1000
        Optimiser steps, whatever the number of rows.
    batch_size : int or None, default=128
        Rows per step; an epoch is cut into batches that differ by at most one row. None: all rows.
    learning_rate : float, default=1e-3
        Of Adam; halved after every `lr_step` steps.
    lr_step : int, default=1000
    check_every : int, default=50
        Steps per record of `loss_curve_`.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the rows, keep each member's copy with the least loss on them, and stop when
        none has improved for `patience` records. It needs no labels and saves time; it does not find the best
        detector.
    validation_fraction : float in (0, 1), default=0.1
    patience : int, default=10
    scaling : {"standard", "robust", None}, default="standard"
        Mean and standard deviation; median and IQR / 1.349; none. Constant columns stay outside the network.
    mixed_precision : bool, default=False
        Matrix products of the training in bfloat16, all else in float32. For wide networks on a GPU (not measured).
    warm_start : bool, default=False
        Start from the weights of the last fit instead of random ones. Columns (by name, where both fits have names),
        `n_members`, `hidden` and the heads must be as they were; Adam, `location_` and `scale_` start anew, the latter
        from the new rows alone: rows that have moved as a whole look to the network as the old ones did.
    verbose : bool, default=False
        Log the loss at every record (logger "odkit", level INFO). A handler of that logger is the way to follow a fit.
    contamination : float in (0, 0.5] or 'auto', default=0.1
        Share of the training rows that `offset_` marks as outliers; 'auto' draws Tukey's fence (`Detector`).
    device : str, default="cpu"
        Where to train and to score: "cpu", "cuda", "cuda:1". A model fitted elsewhere scores with `device="cpu"`. Small
        networks gain little from threads; `torch.set_num_threads(1)` leaves the other cores free.
    random_state : int, RandomState or None, default=None
        On one device, torch version and thread count equal seeds give equal bits; members 0, 1, 2 of five are the
        members of a fit with three, but for rounding (1e-6).

    Attributes
    ----------
    weights_, biases_ : lists of ndarray, (n_members, inputs, outputs) and (n_members, 1, outputs), float32
        Encoder, decoder, mean head and, but for "mse", variance head.
    location_, scale_ : ndarrays of shape (n_features,)
    constant_features_ : ndarray of shape (n_features,), bool
        Columns that did not vary in training; their reconstruction is their value, their scaled variance 1.
    error_ : str
        `error` of the fit, which the network has been built for.
    alpha_, beta_, min_variance_ : float
        In use by the score: alpha and beta are 1 and 1 for "pre", 1 and 0 for "mse".
    loss_curve_ : ndarray of shape (n_records, n_members)
    validation_curve_ : ndarray of shape (n_records, n_members), or None without early stopping
    best_step_ : ndarray of shape (n_members,), or None without early stopping
    n_steps_ : int
    offset_ : float
        Threshold on `score_samples`, by `contamination`.

    Notes
    -----
    **Score:** minus the reconstruction error, mean over the members; at most 0 for "mse", without bound or sign else.
    **Cost:** fit O(n_steps n_members batch_size d^2); score O(n_members d^2) a row, float64, in cache-sized chunks.
    **Source:** Tan et al.'s code for networks, losses and weights; the floor under v, training by steps, averaged
    members and constant columns kept out are ours. The paper's settings: `error="apre", alpha=0.5, beta=2,
    min_variance=1e-5, batch_size=None, max_steps=5000, n_members=1`.

    Examples
    --------
    The second column follows the first; the network learns that, and a row that breaks it stands out:

    >>> import numpy as np
    >>> from odkit import AutoEncoder
    >>> x = np.random.default_rng(0).normal(size=(500, 1))
    >>> X = np.hstack([x, 2 * x])
    >>> detector = AutoEncoder(
    ...     error="mse", hidden=(8, 2), n_members=2, max_steps=300, learning_rate=0.01, random_state=0
    ... ).fit(X)
    >>> detector.predict([[1.0, 2.0], [1.0, -2.0]])
    array([ 1, -1])
    >>> detector.reconstruct([[1.0, 2.0]]).round(1)
    array([[1., 2.]])
    """

    _parameter_constraints: dict = {
        **Detector._parameter_constraints,
        "error": [StrOptions({"mse", "pre", "apre"})],
        "hidden": [StrOptions({"auto"}), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "min_variance": [Interval(Real, 0, None, closed="neither")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_step": [Interval(Integral, 1, None, closed="left")],
        "check_every": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "scaling": [StrOptions({"standard", "robust"}), None],
        "mixed_precision": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        error: str = "apre",
        hidden: Any = "auto",
        alpha: float = 0.5,
        beta: float = 2.0,
        min_variance: float = 1.0,
        n_members: int = 5,
        max_steps: int = 1000,
        batch_size: int | None = 128,
        learning_rate: float = 1e-3,
        lr_step: int = 1000,
        check_every: int = 50,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        scaling: str | None = "standard",
        mixed_precision: bool = False,
        warm_start: bool = False,
        verbose: bool = False,
        contamination: float | str = 0.1,
        device: str | None = "cpu",
        random_state: Any = None,
    ) -> None:
        self.error = error
        self.hidden = hidden
        self.alpha = alpha
        self.beta = beta
        self.min_variance = min_variance
        self.n_members = n_members
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_step = lr_step
        self.check_every = check_every
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scaling = scaling
        self.mixed_precision = mixed_precision
        self.warm_start = warm_start
        self.verbose = verbose
        self.contamination = contamination
        self.device = device
        self.random_state = random_state

    def _validate(self, X: ArrayLike, *, reset: bool) -> NDArray:
        before = vars(self).copy()
        X = super()._validate(X, reset=reset)
        if reset and self.warm_start and "weights_" in before:
            check_columns(before, vars(self))
        return X

    def _fit(self, X: NDArray) -> None:
        before, warm = vars(self).copy(), self.warm_start and hasattr(self, "weights_")
        if len(X) < 2:
            raise ValueError("AutoEncoder: n_samples = 1, but a spread needs at least 2 rows. Give more rows.")
        X = X.astype(np.float64, copy=False)
        self.location_, self.scale_, self.constant_features_ = column_scales(X, self.scaling)
        if self.constant_features_.all():
            raise ValueError(
                f"AutoEncoder: all {X.shape[1]} columns are constant, so there is nothing to learn; at least one must "
                "vary. Give other columns."
            )
        if warm:
            check_network(before, vars(self))
        try:
            from odkit.nets.autoencoder import fit_members
        except ModuleNotFoundError as error:
            raise ImportError("AutoEncoder needs torch, which is missing: pip install 'odkit[torch]'") from error
        weighting = {"mse": (1.0, 0.0), "pre": (1.0, 1.0), "apre": (float(self.alpha), float(self.beta))}
        self.alpha_, self.beta_ = weighting[self.error]
        self.min_variance_ = float(self.min_variance)
        log = logging.getLogger("odkit").info
        progress = (lambda step, loss: log("AutoEncoder: step %d, loss %s", step, loss)) if self.verbose else None
        Z = self._varying(self._scaled(X))
        self._check_range(Z)
        self.weights_, self.biases_, history = fit_members(
            Z,
            two_heads=self.error != "mse",
            start=(before["weights_"], before["biases_"]) if warm else None,
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            device=kernels.on(self.device).device,
            random_state=check_random_state(self.random_state),
            progress=progress,
            **{name: getattr(self, name) for name in PASSED_ON},
        )
        self.loss_curve_, self.validation_curve_, self.best_step_, self.n_steps_, _ = history
        self.error_ = self.error
        if self.error != "mse" and self.min_variance_ < 1:
            self._warn_of_small_variances(Z)
