"""What several detectors say of each other, without labels: criteria on a matrix of scores (n_samples, n_detectors).

They describe agreement; they do not grade. Over the 27 development tasks of the UOMS study (Ma et al., 2021) picking
the best model by any of these criteria gained at most .01 ROC over a random isolation forest, and on 123 one-class
tables the pick by `mc_ndcg` loses .02 ROC to a plain average of three detectors. All criteria reward the majority: a
lone specialist among near-copies loses, whatever its worth. **Combine, do not select.**
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, ndcg_score

__all__ = ["Agreement", "compare", "hits", "label_weights", "mc_ndcg", "spearman", "top_overlap", "udr"]


class Agreement(NamedTuple):
    """How far the members agree. It describes and does not grade: agreement says little about accuracy.

    Attributes
    ----------
    spearman, top_overlap : ndarray of shape (n_members, n_members)
        Rank correlation, and Jaccard overlap of the top 5 %, of every pair.
    disagreement : ndarray of shape (n_samples,)
        Standard deviation over the members of the row's rank, as a share of the rows.
    twins : list of (name, name, correlation)
        Pairs with a rank correlation above .95: near-copies vote twice.
    """

    spearman: NDArray
    top_overlap: NDArray
    disagreement: NDArray
    twins: list


def compare(names: Sequence[str], scores: ArrayLike) -> Agreement:
    """The agreement report of detectors with these names on scores (n_samples, n_detectors)."""
    scores = _matrix(scores)
    correlation = spearman(scores)
    pairs = zip(*(index.tolist() for index in np.triu_indices(len(names), 1)), strict=True)
    twins = [(names[i], names[j], float(correlation[i, j])) for i, j in pairs if correlation[i, j] > 0.95]
    ranks = np.apply_along_axis(rankdata, 0, scores) / len(scores)
    return Agreement(correlation, top_overlap(scores), ranks.std(axis=1), twins)


def spearman(scores: ArrayLike) -> NDArray[np.float64]:
    """Rank correlation of every pair of columns, (n_detectors, n_detectors); 0 for a constant column."""
    ranks = np.apply_along_axis(rankdata, 0, _matrix(scores))
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(length == 0, 1.0, length)
    correlation = ranks.T @ ranks
    np.fill_diagonal(correlation, 1.0)
    return np.clip(correlation, -1.0, 1.0)


def top_overlap(scores: ArrayLike, share: float = 0.05) -> NDArray[np.float64]:
    """Jaccard overlap of the top `share` of the rows, for every pair of columns."""
    scores = _matrix(scores)
    k = max(1, round(share * len(scores)))
    top = np.zeros(scores.shape)
    np.put_along_axis(top, np.argsort(-scores, axis=0, kind="stable")[:k], 1.0, axis=0)
    both = top.T @ top
    return both / (2 * k - both)


def mc_ndcg(scores: ArrayLike, *, max_partners: int = 100, random_state: int = 0) -> NDArray[np.float64]:
    """Model centrality: how well each column's ranking serves the others, (n_detectors,), in [0, 1].

    Gains of column k are its average ranks scaled to [0, 1]; sim(k, j) is the NDCG of these gains in the order of
    column j; the centrality of k is the mean over the others of (sim(k, j) + sim(j, k)) / 2. Above `max_partners`
    columns each is compared with a seeded sample of sqrt(n_detectors). NDCG of unrelated rankings is far from 0:
    compare values within one matrix only.

    Published strength (UOMS, 25 tasks): picking the best by it .774 ROC, a random isolation forest .764 (p = .35).

    Examples
    --------
    >>> import numpy as np
    >>> from odkit.decide.agreement import mc_ndcg
    >>> S = np.array([[.1, .2, .5], [.4, .1, .4], [.2, .3, .3], [.9, .8, .2], [.5, .6, .1]])
    >>> mc_ndcg(S).round(3)  # the third column contradicts the others
    array([0.815, 0.822, 0.66 ])
    """
    scores = _matrix(scores)
    n_detectors = scores.shape[1]
    if n_detectors < 2:
        raise ValueError(f"mc_ndcg: centrality needs at least 2 columns, {n_detectors} given")
    gains = np.apply_along_axis(rankdata, 0, scores)
    gains -= gains.min(axis=0)
    gains /= np.maximum(gains.max(axis=0), np.finfo(float).tiny)
    rng = np.random.default_rng(random_state)
    centrality = np.empty(n_detectors)
    for k in range(n_detectors):
        partners = np.delete(np.arange(n_detectors), k)
        if n_detectors > max_partners:
            partners = rng.choice(partners, int(np.sqrt(n_detectors)), replace=False)
        centrality[k] = np.mean(
            [(_ndcg(gains[:, k], scores[:, j]) + _ndcg(gains[:, j], scores[:, k])) / 2 for j in partners]
        )
    return centrality


def hits(scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hubs and authorities on the matrix of 1 / rank: (consensus score of the rows, weight of the columns).

    a = I h, h = I' a, each scaled to length 1, until h moves by less than 1e-12. Rank 1 is the most anomalous, ties
    averaged. The row scores are ranks within this batch: not inductive.

    Published strength (UOMS, 27 tasks): the ensemble .788 ROC, a random isolation forest .766; picking one .761.
    """
    inverse = 1 / np.apply_along_axis(rankdata, 0, -_matrix(scores))
    weight = np.full(inverse.shape[1], inverse.shape[1] ** -0.5)
    row = inverse @ weight
    for _ in range(500):
        row = inverse @ weight
        row /= np.linalg.norm(row)
        previous, weight = weight, inverse.T @ row
        weight /= np.linalg.norm(weight)
        if np.abs(weight - previous).max() < 1e-12:
            break
    return row, weight


def udr(scores: ArrayLike, family: ArrayLike, *, random_state: int = 0) -> NDArray[np.float64]:
    """Unsupervised disentanglement ranking: median rank correlation with other members of the column's own family.

    `family` (n_detectors,): labels such as the algorithm; each needs at least 2 columns. Every column meets as many
    partners as the smallest family allows, drawn with a seed. Measures stability under hyper-parameters, not quality.

    Published strength (UOMS, 26 tasks): picking the best by it .754 ROC, a random isolation forest .762.
    """
    scores, family = _matrix(scores), np.asarray(family)
    labels, sizes = np.unique(family, return_counts=True)
    if family.size != scores.shape[1] or sizes.min() < 2:
        raise ValueError(
            f"udr: one family label per column and at least 2 columns per family are needed; given {family.size} "
            f"labels for {scores.shape[1]} columns, smallest family {str(labels[sizes.argmin()])!r} with {sizes.min()}"
        )
    correlation = spearman(scores)
    rng = np.random.default_rng(random_state)
    values = np.empty(scores.shape[1])
    for k in range(scores.shape[1]):
        mates = np.flatnonzero((family == family[k]) & (np.arange(family.size) != k))
        values[k] = np.median(correlation[k, rng.choice(mates, sizes.min() - 1, replace=False)])
    return values


def label_weights(
    scores: ArrayLike, is_outlier: ArrayLike, *, n_bootstrap: int = 200, random_state: int = 0
) -> NDArray[np.float64]:
    """Weights of the columns from a few labelled rows: how often each has the best average precision, (n_detectors,).

    The labelled rows are drawn again with replacement within each class, `n_bootstrap` times; a column's weight is the
    share of draws it wins (ties shared), shrunk towards equal weights by the 5 outliers it takes to mean something:
    weight = (o * share + 5 / n_detectors) / (o + 5) for o labelled outliers.

    Raises ValueError without both classes.
    """
    scores, truth = _matrix(scores), np.asarray(is_outlier, dtype=bool)
    if truth.shape != (len(scores),) or truth.all() or not truth.any():
        raise ValueError("label_weights: one boolean label per row and both classes among them are needed")
    rng = np.random.default_rng(random_state)
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    wins = np.zeros(scores.shape[1])
    for _ in range(n_bootstrap):
        rows = np.concatenate([rng.choice(positive, positive.size), rng.choice(negative, negative.size)])
        ap = np.array([average_precision_score(truth[rows], column) for column in scores[rows].T])
        best = ap >= ap.max() - 1e-12
        wins += best / best.sum()
    return (positive.size * wins / n_bootstrap + 5 / wins.size) / (positive.size + 5)


def _ndcg(gains: NDArray, order: NDArray) -> float:
    return float(ndcg_score(gains[None], order[None])) if gains.any() else 0.0


def _matrix(scores: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or 0 in scores.shape or not np.isfinite(scores).all():
        raise ValueError(f"agreement: scores must be a finite (n_samples, n_detectors) matrix; given {scores.shape}")
    return scores
