"""Paired statistics over data sets: ranks, Friedman, Wilcoxon with Holm, Bayesian signed ranks, Bradley-Terry.

A block is one *family* of data sets (near-copies count once); a matrix here has a row per block and a column per
method, higher = better, NaN = failed. Demsar (JMLR 2006) and Benavoli et al. (JMLR 2017) describe the tests.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import friedmanchisquare, rankdata, wilcoxon

__all__ = [
    "average_ranks",
    "bayes_signed_rank",
    "bootstrap_interval",
    "bradley_terry",
    "cliques",
    "family_means",
    "friedman",
    "holm",
    "pairwise",
    "rank_rows",
    "win_tie_loss",
]

ROPE = 0.01
DECIMALS = 6  # .90 - .85 and .75 - .70 differ in the last bit; unrounded they would break a tie


def family_means(values: pd.DataFrame, family: pd.Series) -> pd.DataFrame:
    """One row per family: the mean over its data sets, NaN where the method failed on any of them."""
    return values.groupby(family.reindex(values.index), sort=True).agg(lambda column: column.mean(skipna=False))


def rank_rows(matrix: ArrayLike) -> NDArray[np.float64]:
    """Rank of each method within each row: 1 = best, ties averaged, failures (NaN) tied for the last places."""
    rounded = np.round(np.asarray(matrix, dtype=np.float64), DECIMALS)
    return rankdata(-np.where(np.isnan(rounded), -np.inf, rounded), axis=1)


def average_ranks(matrix: ArrayLike) -> NDArray[np.float64]:
    """Mean of `rank_rows` over the blocks, one number per method.

    Examples
    --------
    >>> average_ranks([[0.9, 0.8, np.nan], [0.7, 0.7, 0.6]])
    array([1.25, 1.75, 3.  ])
    """
    return rank_rows(matrix).mean(axis=0)


def friedman(matrix: ArrayLike) -> tuple[float, float]:
    """Friedman's chi-square and p over the complete blocks; (nan, nan) below 3 methods or 2 complete blocks."""
    rounded = np.round(np.asarray(matrix, dtype=np.float64), DECIMALS)
    complete = rounded[~np.isnan(rounded).any(axis=1)]
    if complete.shape[1] < 3 or complete.shape[0] < 2 or np.all(np.ptp(complete, axis=1) == 0):
        return float("nan"), float("nan")
    result = friedmanchisquare(*complete.T)
    return float(result.statistic), float(result.pvalue)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjustment of p-values, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005])
    array([0.03, 0.06, 0.06, 0.02])
    """
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    steps = np.minimum(1, (given.size - np.arange(given.size)) * given[order])
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def signed_rank_p(difference: ArrayLike) -> tuple[float, float]:
    """Wilcoxon's signed-rank statistic and two-sided p; zeros are split between the sides, no evidence gives p = 1."""
    rounded = np.round(np.asarray(difference, dtype=np.float64), DECIMALS)
    if rounded.size == 0 or not rounded.any():
        return 0.0, 1.0
    result = wilcoxon(rounded, zero_method="zsplit")
    return float(result.statistic), float(result.pvalue)


def bayes_signed_rank(
    difference: ArrayLike, *, rope: float = ROPE, draws: int = 50_000, random_state: int = 0
) -> tuple[float, float, float]:
    """Posterior of (worse by more than the ROPE, practically equal, better by more than the ROPE).

    Weights over the differences and one prior pseudo-difference 0 are Dirichlet(.5, 1, ..., 1); in each draw the
    weighted share of Walsh averages in each region is taken, and the answer is how often each share is the largest.

    Parameters
    ----------
    difference : array-like of shape (n_blocks,), method minus rival
    rope : half width of the region of practical equivalence, in the metric's unit
    """
    rounded = np.round(np.asarray(difference, dtype=np.float64), DECIMALS)
    if rounded.size == 0:
        return float("nan"), float("nan"), float("nan")
    z = np.append(0.0, rounded)
    walsh = np.add.outer(z, z)
    better = (walsh > 2 * rope + 1e-9).astype(np.float64)
    rng = np.random.default_rng(random_state)
    wins = np.zeros(3)
    for start in range(0, draws, 5000):
        weights = rng.dirichlet(np.append(0.5, np.ones(rounded.size)), size=min(5000, draws - start))
        right = np.sum((weights @ better) * weights, axis=1)
        left = np.sum((weights @ (walsh < -2 * rope - 1e-9).astype(np.float64)) * weights, axis=1)
        wins += np.bincount(np.argmax([left, 1 - left - right, right], axis=0), minlength=3)
    left_share, rope_share, right_share = wins / draws
    return float(left_share), float(rope_share), float(right_share)


def win_tie_loss(difference: ArrayLike, *, rope: float = ROPE) -> tuple[int, int, int]:
    """Blocks won, tied (within the ROPE, its border included) and lost.

    Examples
    --------
    >>> win_tie_loss([0.2, 0.01, -0.005, -0.3])
    (1, 2, 1)
    """
    rounded = np.round(np.asarray(difference, dtype=np.float64), DECIMALS)
    won, lost = int((rounded > rope).sum()), int((rounded < -rope).sum())
    return won, int(rounded.size) - won - lost, lost


def pairwise(blocks: pd.DataFrame, *, rope: float = ROPE) -> pd.DataFrame:
    """Every pair of methods on the blocks that both finished: Wilcoxon, Holm over all pairs, win/tie/loss, quantiles.

    Returns
    -------
    DataFrame with columns a, b, n, w, p, p_holm, won, tied, lost, median, q10 (differences are a minus b)
    """
    rows = []
    for a, b in combinations(blocks.columns, 2):
        difference = (blocks[a] - blocks[b]).dropna().to_numpy()
        statistic, p = signed_rank_p(difference)
        middle, low = np.quantile(difference, [0.5, 0.1]) if difference.size else (np.nan, np.nan)
        rows.append((a, b, difference.size, statistic, p, *win_tie_loss(difference, rope=rope), middle, low))
    table = pd.DataFrame(rows, columns=["a", "b", "n", "w", "p", "won", "tied", "lost", "median", "q10"])
    table.insert(5, "p_holm", holm(table["p"]))
    return table


def cliques(ranks: pd.Series, pairs: pd.DataFrame, *, alpha: float = 0.05) -> list[tuple[str, ...]]:
    """Maximal runs of methods, in order of rank, of which no two are separated at `alpha` (the bars of the diagram)."""
    order = list(ranks.sort_values(kind="stable").index)
    separated = {frozenset((row.a, row.b)) for row in pairs.itertuples() if row.p_holm < alpha}
    bars: list[tuple[str, ...]] = []
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and all(frozenset((m, order[stop])) not in separated for m in order[start:stop]):
            stop += 1
        bar = tuple(order[start:stop])
        if len(bar) > 1 and not (bars and set(bar) <= set(bars[-1])):
            bars.append(bar)
    return bars


def _strengths(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bradley-Terry strengths by the MM iteration, for a stack (b, k, k) of tables at once; wins[:, i, j] counts
    i over j, draws as half a win each."""
    games = wins + wins.transpose(0, 2, 1)
    beta = np.ones(wins.shape[:2])
    for _ in range(10_000):
        updated = wins.sum(axis=2) / (games / (beta[:, :, None] + beta[:, None, :])).sum(axis=2)
        updated /= np.exp(np.mean(np.log(updated), axis=1, keepdims=True))
        moved = np.max(np.abs(np.log(updated / beta)))
        beta = updated
        if moved < 1e-6:
            break
    return beta


def bradley_terry(blocks: pd.DataFrame, *, repeats: int = 200, random_state: int = 0) -> pd.DataFrame:
    """Elo of each method, `1000 + 400 log10(strength)`, with a 95 % interval from resampling the families.

    A failure loses to every finisher and draws with other failures. Half a draw per pair is added, so that a method
    that never wins keeps a finite figure.

    Returns
    -------
    DataFrame indexed by method with columns elo, low, high
    """
    ranks = rank_rows(blocks.to_numpy())
    n, k = ranks.shape
    if k < 2 or n < 1:
        return pd.DataFrame({"elo": np.full(k, 1000.0), "low": np.nan, "high": np.nan}, index=blocks.columns)
    won = (ranks[:, :, None] < ranks[:, None, :]) + 0.5 * (ranks[:, :, None] == ranks[:, None, :])
    prior = 0.25 * (1 - np.eye(k))

    rng = np.random.default_rng(random_state)
    resampled = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(repeats)]
    weights = np.array([np.ones(n), *resampled])
    wins = (np.tensordot(weights, won, axes=1) + prior) * (1 - np.eye(k))
    elo = 1000 + 400 * np.log10(_strengths(wins))
    low, high = np.quantile(elo[1:], [0.025, 0.975], axis=0)
    return pd.DataFrame({"elo": elo[0], "low": low, "high": high}, index=blocks.columns)


def bootstrap_interval(
    is_outlier: NDArray[np.bool_], anomaly_score: ArrayLike, *, repeats: int = 200, random_state: int = 0
) -> tuple[float, float]:
    """95 % interval of the ROC area: outliers and inliers are resampled apart, so that both kinds stay."""
    score = rankdata(anomaly_score)
    inlier = np.sort(score[~is_outlier])
    # placement of each outlier among the inliers; resampling the inliers only reweights their order statistics
    outlier = score[is_outlier]
    low_index = np.searchsorted(inlier, outlier, side="left")
    high_index = np.searchsorted(inlier, outlier, side="right")
    rng = np.random.default_rng(random_state)
    areas = np.empty(repeats)
    for i in range(repeats):
        drawn = np.bincount(rng.integers(0, inlier.size, inlier.size), minlength=inlier.size)
        below = np.append(0, np.cumsum(drawn))
        placement = (below[low_index] + below[high_index]) / 2
        areas[i] = placement[rng.integers(0, outlier.size, outlier.size)].mean() / inlier.size
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
