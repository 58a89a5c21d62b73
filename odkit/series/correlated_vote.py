"""CorrelatedVote: channels that move together vote on whether something happens, one step at a time (after RoLA)."""

from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odkit._sklearn import Interval, check_is_fitted
from odkit.kernels.cpu.streams import Vote, check_vote_state, correlated_vote, vote_state
from odkit.series.base import SeriesDetector
from odkit.series.clock import clock_of
from odkit.series.streams import SeriesStream, warmed
from odkit.series.windows import trailing

__all__ = ["CorrelatedVote"]


class CorrelatedVote(SeriesDetector):
    """Prediction errors that several correlated channels show at once.

    Every channel predicts itself from its last `order` values and learns while it runs. A surprise in one channel
    alone is noise; a surprise in more than half of a group of correlated channels is an event.

    Not recommended by any figure: on six SMD machines of 38 channels its VUS-PR is .149, that of `MovingEnergy` .357,
    of random scores .087. Its place is live data whose faults jump in several channels at once.

    Assumes several channels per fault, and faults that are sudden. It fails on faults of a single channel without
    correlated neighbours (score 0), on slow drifts (the prediction follows), and on the first `memory` steps (score
    0). It never stops learning: an anomaly that lasts becomes normal.

    Scores continue after the training rows: `score_samples(X)` takes X for the rows that follow those of `fit` and
    `partial_fit`, and forgets them again. `partial_fit` keeps them; their time stamps must go on where the last ended.

    Parameters
    ----------
    order : int, default=10
        Past values in a channel's prediction.
    forgetting : float in (0, 1], default=0.999
        Weight of a step in the prediction against the one after it.
    memory : int, default=200
        Past steps that say what error is usual.
    smooth : int, default=3
        Relative errors that are averaged.
    corr_window : int, default=200
        Rows from which correlations are computed.
    rho : float in [0, 1], default=0.7
        Smallest absolute correlation of channels in one group.
    share : float in [0, 1), default=0.5
        Share of a group that must be surprised for `alarms`.
    level : float, default=3.0
        Standard deviations above the usual error at which a channel is surprised.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Moves `offset_` only: a share of the training steps, or mean - 4 standard deviations of their scores.

    Attributes
    ----------
    scale_ : ndarray of shape (n_channels,)
        Largest absolute value of the first rows (1 where that is 0).
    state_ : dict of ndarrays
        What the detector remembers of the rows it was fitted on.
    window_ : int
        max(memory, corr_window) + 1, the fewest rows to fit on.
    end_ : int or None
        Last time stamp learnt, in nanoseconds since 1970; None without stamps.
    offset_ : float
        From `fit`; `partial_fit` leaves it.
    n_features_in_ : int

    Notes
    -----
    **Score:** -(largest mean over a group of channels of max(z, 0)), z the smoothed relative error of a channel in
    standard deviations of its own recent errors; 0 where no channels are correlated.
    **Cost:** O(C^2 + C order^2 + C memory) per step, constant in time; state O(C (order^2 + memory) + C corr_window).
    **Source:** RoLA (local predictors, aggregation by correlated channels); the details are ours.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pulse = np.sin(np.arange(900) / 7)
    >>> X = np.column_stack([pulse, -pulse, 2 * pulse, rng.normal(size=900)]) + rng.normal(size=(900, 4)) / 50
    >>> X[700, :3] += 1.0  # three of the correlated channels
    >>> X[800, 3] += 9.0  # one on its own
    >>> detector = CorrelatedVote().fit(X[:600])
    >>> np.flatnonzero(detector.alarms(X[600:])) + 600  # until the jump has left the lags
    array([700, 701, 702, 703, 704, 705, 706, 707])
    """

    _parameter_constraints: dict = {
        **SeriesDetector._parameter_constraints,
        "order": [Interval(Integral, 1, None, closed="left")],
        "forgetting": [Interval(Real, 0, 1, closed="right")],
        "memory": [Interval(Integral, 2, None, closed="left")],
        "smooth": [Interval(Integral, 1, None, closed="left")],
        "corr_window": [Interval(Integral, 2, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="both")],
        "share": [Interval(Real, 0, 1, closed="left")],
        "level": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        order: int = 10,
        forgetting: float = 0.999,
        memory: int = 200,
        smooth: int = 3,
        corr_window: int = 200,
        rho: float = 0.7,
        share: float = 0.5,
        level: float = 3.0,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.order = order
        self.forgetting = forgetting
        self.memory = memory
        self.smooth = smooth
        self.corr_window = corr_window
        self.rho = rho
        self.share = share
        self.level = level
        self.contamination = contamination

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from the rows that follow; the first call is a `fit`."""
        if not hasattr(self, "state_"):
            return self.fit(X)
        rows, end = self._validate(X, reset=False), self._end_of_what_follows(X)
        _, _, self.state_ = self._run(rows)
        self.end_ = end
        return self

    def alarms(self, X: ArrayLike) -> NDArray[np.bool_]:
        """True where more than `share` of a group of correlated channels is surprised, shape (n_samples,)."""
        check_is_fitted(self)
        return self._run(self._validate(X, reset=False))[1]

    def explain(self, X: ArrayLike) -> NDArray[np.float64]:
        """Part of each channel of the leading group in the anomaly score, shape (n_samples, n_channels)."""
        check_is_fitted(self)
        return self._run(self._validate(X, reset=False))[0]

    def stream(self, history: ArrayLike | None = None) -> "VoteStream":
        """A stream of live scores that goes on where the training rows ended."""
        check_is_fitted(self)
        return warmed(VoteStream(self), history, self)

    def _check_stamps(self, X: Any, *, reset: bool) -> None:
        super()._check_stamps(X, reset=reset)
        if reset:
            index = clock_of(X, "CorrelatedVote")
            self.end_ = None if index is None else _nanoseconds(index[-1:])

    def _end_of_what_follows(self, X: Any) -> int | None:
        """The last stamp of rows that follow those learnt, or an error where they do not."""
        index = clock_of(X, "CorrelatedVote")
        if index is None or self.end_ is None:
            return None
        gap = (_nanoseconds(index[:1]) - self.end_) / 1e9
        if gap <= 0 or (isinstance(self.step_, float) and gap != self.step_):
            raise ValueError(
                f"CorrelatedVote: the rows begin at {index[0]}, {gap:g} s after the last one learnt; partial_fit takes "
                f"the rows that follow it, steps of {self.step_} s. Fill the gap (odkit.series.resample), or fit again"
            )
        return _nanoseconds(index[-1:])

    def _looks_at(self, steps: NDArray) -> NDArray[np.bool_]:
        return trailing(steps, self.window_ + self.order)  # what error is usual, and who is correlated

    def _fit(self, X: NDArray) -> None:
        self._fit_score(X)

    def _fit_score(self, X: NDArray) -> NDArray:
        if X.shape[1] < 2:
            raise ValueError(f"CorrelatedVote: n_features = {X.shape[1]} channels; a vote needs at least 2")
        self.window_ = max(self.memory, self.corr_window) + 1
        self._check_length(X, self.window_, f"memory = {self.memory} with corr_window = {self.corr_window}")
        largest = np.abs(X).max(axis=0).astype(np.float64)
        self.scale_ = np.where(largest > 0, largest, 1.0)
        self.state_ = vote_state(X.shape[1], *self._sizes())
        parts, _, self.state_ = self._run(X)
        return -parts.sum(axis=1)

    def _score(self, X: NDArray) -> NDArray:
        return -self._run(X)[0].sum(axis=1)

    def _run(self, X: NDArray) -> tuple[NDArray, NDArray, dict[str, NDArray]]:
        """Parts, alarms and the state after X; the detector's own state stays as it is."""
        state = self._copied_state()
        return *correlated_vote(X / self.scale_, state, self._vote()), state

    def _copied_state(self) -> dict[str, NDArray]:
        """The state to go on from; not if its arrays, whose bounds the loop does not check, have other sizes now."""
        fitted = tuple(self.state_[name].shape[-1] for name in ("theta", "sizes", "errors"))
        fitted += (len(self.state_["rows"]),)
        if fitted != self._sizes():
            raise ValueError(
                f"CorrelatedVote: order, memory, smooth and corr_window are {self._sizes()} and were {fitted} in fit; "
                "set them back, or fit again"
            )
        return {name: array.copy() for name, array in self.state_.items()}

    def _check_state(self) -> None:
        """Refuse a state that the compiled loop, which checks no bounds, must not see."""
        check_vote_state(self.state_, self.n_features_in_, *self._sizes())
        if self.scale_.shape != (self.n_features_in_,) or not (np.isfinite(self.scale_) & (self.scale_ > 0)).all():
            raise ValueError(f"CorrelatedVote: scale_ must be {self.n_features_in_} positive numbers")

    def _sizes(self) -> tuple[int, int, int, int]:
        return self.order, self.memory, self.smooth, self.corr_window

    def _vote(self) -> Vote:
        return Vote(float(self.forgetting), self.smooth, float(self.rho), float(self.share), float(self.level))


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.as_unit("ns").asi8[0])


class VoteStream(SeriesStream):
    """Score of the step: O(C^2 + C order^2 + C memory)."""

    def __init__(self, detector: CorrelatedVote) -> None:
        super().__init__(detector)
        self._scale, self._vote = detector.scale_, detector._vote()
        self._state = detector._copied_state()

    def _next(self, step: NDArray) -> float:
        parts, _ = correlated_vote((step / self._scale)[None], self._state, self._vote)
        return -float(parts.sum())
