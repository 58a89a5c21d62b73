"""DynamicThreshold: Hundman et al. (2018), the cut that adapts to the scores around it, searched exactly."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from odkit import kernels
from odkit._sklearn import Interval as Range
from odkit._sklearn import StrOptions
from odkit.series.intervals import Interval, from_mask, merge

__all__ = ["DynamicThreshold"]

FALLBACK_SD = 4.0
Z_GRID = tuple(np.arange(2.5, 12.0, 0.5))


class DynamicThreshold(BaseEstimator):
    """Intervals in which a score stands out from the scores around it.

    In overlapping windows a threshold is chosen, the steps above it are padded into sequences, and sequences whose
    highest score is close to what was left unmarked are pruned. It looks ahead: for offline use.

    Assumes scores >= 0 (higher = more anomalous) whose anomalies are rare in a window. It fails where anomalies fill
    much of a window (mean and deviation then describe them), and on bounded scores such as ranks, for which mean +
    2.5 standard deviations may be out of reach: cut before ranking.

    Parameters
    ----------
    mode : {"exact", "fixed", "grid"}, default="exact"
        "exact" searches all values of the window, "grid" those of `z_grid`, for the cut that lowers mean and standard
        deviation most per marked step and squared number of runs; "fixed" cuts at mean + `k` standard deviations.
    k : float, default=4.0
        Standard deviations of "fixed".
    z_min : float, default=2.5
        Lowest cut of "exact", in standard deviations above the mean. Below about 2.5 random scores are flagged for
        most of the time.
    z_grid : sequence of float, optional
        Cuts of "grid"; None: 2.5, 3, ..., 11.5.
    window : float, default=0.33
        Length of a window as a share of the series, (0, 1].
    step : float, default=0.1
        Distance of windows as a share of the window, (0, 1].
    padding : int, default=50
        Steps added on both sides of every marked step, inside its window.
    prune : float, default=0.1
        Smallest relative drop from one sequence's maximum to the next lower one that separates kept from pruned.
    inverse : bool, default=False
        Look for dips as well.

    Notes
    -----
    **Score:** severity of an interval = (its maximum - threshold) / (mean + standard deviation of its window).
    **Cost:** find: O(n log n / step), memory O(n).
    **Source:** Hundman et al., KDD 2018, section 3.2, in the windowed form of Orion 0.7.1. Deviations: the minimum is
    exact with a floor at z_min instead of scipy's fmin from z = 0..9; single-step sequences merge by the plain mean.

    Examples
    --------
    >>> score = np.ones(100)
    >>> score[50] = 10
    >>> [found] = DynamicThreshold(window=1.0, step=1.0, padding=3).find(score)
    >>> found.start, found.stop, found.peak, round(found.severity, 3)
    (47, 54, 50, 3.36)
    """

    _parameter_constraints: dict = {
        "mode": [StrOptions({"exact", "fixed", "grid"})],
        "k": [Range(Real, 0, None, closed="left")],
        "z_min": [Range(Real, 0, None, closed="left")],
        "z_grid": ["array-like", None],
        "window": [Range(Real, 0, 1, closed="right")],
        "step": [Range(Real, 0, 1, closed="right")],
        "padding": [Range(Integral, 0, None, closed="left")],
        "prune": [Range(Real, 0, 1, closed="both")],
        "inverse": ["boolean"],
    }

    def __init__(
        self,
        *,
        mode: Literal["exact", "fixed", "grid"] = "exact",
        k: float = 4.0,
        z_min: float = 2.5,
        z_grid: Sequence[float] | None = None,
        window: float = 0.33,
        step: float = 0.1,
        padding: int = 50,
        prune: float = 0.1,
        inverse: bool = False,
    ) -> None:
        self.mode = mode
        self.k = k
        self.z_min = z_min
        self.z_grid = z_grid
        self.window = window
        self.step = step
        self.padding = padding
        self.prune = prune
        self.inverse = inverse

    def find(self, anomaly_score: ArrayLike) -> list[Interval]:
        """Anomalous intervals of a score, in time order; none for a series of fewer than 3 steps or a constant one."""
        e = self._check(anomaly_score)
        found = []
        for start, stop in self._windows(len(e)):
            w = e[start:stop]
            for values in (w, 2 * w.mean() - w) if self.inverse else (w,):
                found += [replace(i, start=i.start + start, stop=i.stop + start) for i in self._find_in(values)]
        height = np.abs(e - e.mean()) if self.inverse and len(e) else e
        return [replace(i, peak=i.start + int(np.argmax(height[i.start : i.stop]))) for i in merge(found)]

    def thresholds(self, anomaly_score: ArrayLike) -> NDArray[np.float64]:
        """(n_windows, 3): first step, step after the last, and the cut of each window (dips not included)."""
        e = self._check(anomaly_score)
        return np.array([(a, b, self._cut(e[a:b])) for a, b in self._windows(len(e))]).reshape(-1, 3)

    def _check(self, anomaly_score: ArrayLike) -> NDArray[np.float64]:
        self._validate_params()
        e = np.asarray(anomaly_score, dtype=np.float64)
        if e.ndim != 1:
            raise ValueError(f"DynamicThreshold: the score has shape {e.shape}; one value per time step is needed")
        bad = np.flatnonzero(~np.isfinite(e) | (e < 0))
        if len(bad):
            raise ValueError(
                f"DynamicThreshold: the anomaly score must be finite and >= 0; step {bad[0]} has {e[bad[0]]} "
                f"({len(bad)} such steps). Give a distance or an error; cut scores below 0, such as log-densities, at "
                "a number: odkit.series.above(score, threshold), or detect(X, threshold=number)"
            )
        return e

    def _windows(self, n: int) -> list[tuple[int, int]]:
        if n == 0:
            return []
        length = int(np.ceil(self.window * n))
        step = int(np.ceil(self.step * length))
        count = 1 + max(0, -(-(n - length) // step))  # the last window is the first one that reaches the end
        return [(i * step, min(i * step + length, n)) for i in range(count)]

    def _cut(self, w: NDArray[np.float64]) -> float:
        mu, sd = w.mean(), w.std()
        if self.mode == "fixed":
            return float(mu + self.k * sd)
        if self.mode == "exact":
            cut = kernels.on().threshold.exact_threshold(w, float(self.z_min))
        else:
            cut = _grid_cut(w, mu + sd * np.asarray(Z_GRID if self.z_grid is None else self.z_grid, dtype=np.float64))
        return float(mu + FALLBACK_SD * sd) if np.isnan(cut) else cut

    def _find_in(self, w: NDArray[np.float64]) -> list[Interval]:
        cut = self._cut(w)
        marked = np.flatnonzero(w > cut)
        if len(marked) == 0:
            return []
        covered = np.zeros(len(w) + 1, dtype=np.int64)  # +1 where a padded step begins, -1 after its end
        np.add.at(covered, np.maximum(marked - self.padding, 0), 1)
        np.add.at(covered, np.minimum(marked + self.padding + 1, len(w)), -1)
        mask = np.cumsum(covered[:-1]) > 0
        runs = from_mask(mask)
        highest = np.array([w[i.start : i.stop].max() for i in runs])
        order = np.argsort(-highest, kind="stable")
        levels = np.append(highest[order], w[~mask].max(initial=0.0))
        drops = np.flatnonzero((levels[:-1] - levels[1:]) / levels[:-1] >= self.prune)
        kept = order[: drops[-1] + 1] if len(drops) else order[:0]
        unit = w.mean() + w.std()
        return [replace(runs[i], severity=float((highest[i] - cut) / unit)) for i in np.sort(kept)]


def _grid_cut(w: NDArray[np.float64], cuts: NDArray[np.float64]) -> float:
    """The cut of a list that minimises the cost of `exact_threshold`; nan where no step lies above any of them."""
    mu, sd = w.mean(), w.std()
    if mu == 0 or sd == 0:
        return np.nan
    best, lowest = np.nan, np.inf
    for cut in cuts:
        marked = w > cut
        count = marked.sum()
        if count in (0, len(w)):
            continue
        runs = marked[0] + (marked[1:] & ~marked[:-1]).sum()
        rest = w[~marked]
        cost = -((mu - rest.mean()) / mu + (sd - rest.std()) / sd) / (count + float(runs) ** 2)
        if cost < lowest:
            best, lowest = cut, cost
    return float(best)
