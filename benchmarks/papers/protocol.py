"""The protocol of Tan et al.'s published figures, and beside it what is left of them without labels.

Rows are split 50/25/25 by class into train, validation and test. Networks learn on train and validation together,
outliers included, with all rows in one batch. Two figures come from one and the same training:

- *label-picked*: the step at which the validation ROC AUC (labels!) is best, graded on the test rows. The published
  figures are of this kind, and of many seeds they show the one with the best validation ROC AUC. Nobody without labels
  can have them.
- *label-free*: the last step, graded on the test rows.

The draws are the authors' own: their split (numpy's generator seeded by 42, inliers before outliers), their scaling,
with constant columns kept in the network, and their initial weights (torch's default layers after `manual_seed`). On
Optdigits the figures hang on such things: see `docs/autoencoder.md`.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata

from odkit import MeanShift, kernels
from odkit.nets.autoencoder import AutoEncoderMembers, encoder_widths
from odkit.nets.training import train

SEED = 42
TRAIN, TRAIN_AND_VALIDATION = 0.5, 0.75
LEAST_SCALE = 1e-5  # added to every standard deviation


class Split(NamedTuple):
    fit: np.ndarray  # train and validation, scaled by themselves
    validation: np.ndarray
    test: np.ndarray
    validation_outlier: np.ndarray
    test_outlier: np.ndarray


def split(X: np.ndarray, is_outlier: np.ndarray) -> Split:
    """Inliers and outliers shuffled, then each cut into train, validation and test; a column's sd is that of fit."""
    random = np.random.RandomState(SEED)
    parts = []
    for of_class in (~is_outlier, is_outlier):
        rows = random.permutation(np.flatnonzero(of_class))
        parts.append(np.split(rows, [int(np.ceil(share * len(rows))) for share in (TRAIN, TRAIN_AND_VALIDATION)]))
    train_rows, validation, test = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    fit = np.concatenate([train_rows, validation])
    Z = (X - X[fit].mean(axis=0)) / (X[fit].std(axis=0, ddof=1) + LEAST_SCALE)
    return Split(Z[fit], Z[validation], Z[test], is_outlier[validation], is_outlier[test])


def shifted(data: Split, n_neighbors: int, n_passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean shift of the validation and the test rows along the fitted rows."""
    shift = MeanShift(n_neighbors=n_neighbors, n_passes=n_passes, scaling=None).fit(data.fit)
    return shift.transform(data.validation), shift.transform(data.test)


def roc_auc(scores: np.ndarray, is_outlier: np.ndarray) -> np.ndarray:
    """ROC AUC of each line of scores (..., n_rows), from ranks."""
    n_outliers = is_outlier.sum()
    total = rankdata(scores, axis=-1)[..., is_outlier].sum(axis=-1)
    return (total - n_outliers * (n_outliers + 1) / 2) / (n_outliers * (len(is_outlier) - n_outliers))


class Contest(NamedTuple):
    """What a network is scored by: weights of the error, and what its output is held against."""

    weighting: tuple[float, float, float] | None  # alpha, beta, min_variance; None: squared error
    validation: np.ndarray
    test: np.ndarray


class Grades(NamedTuple):
    """ROC AUC of every contest and seed, each (n_contests, n_seeds)."""

    validation: np.ndarray  # the best of all steps, by which steps and seeds are picked
    picked: np.ndarray  # that step on the test rows
    last: np.ndarray  # the last step on the test rows


def grade(data: Split, seeds: int, two_heads: bool, contests: list[Contest], steps: int, every: int) -> Grades:
    """Train a network for each of the first seeds; validation labels are looked at every `every` steps."""
    grades = [_grade_one(data, seed, two_heads, contests, steps, every) for seed in range(seeds)]
    return Grades(*np.stack(grades, axis=-1))


def _grade_one(data: Split, seed: int, two_heads: bool, contests: list[Contest], steps: int, every: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    d = data.fit.shape[1]
    network = AutoEncoderMembers(d, encoder_widths(d), two_heads, [generator])
    network.load(*published_start(d, two_heads, seed))
    rows = {part: torch.tensor(getattr(data, part), dtype=torch.float32) for part in ("fit", "validation", "test")}
    targets = {
        part: [torch.tensor(getattr(contest, part), dtype=torch.float32) for contest in contests]
        for part in ("validation", "test")
    }
    truth = {"validation": data.validation_outlier, "test": data.test_outlier}
    k = kernels.on("torch")

    def roc(part: str) -> np.ndarray:
        mean, variance = network(rows[part][None])
        scores = []
        for contest, target in zip(contests, targets[part], strict=True):
            if contest.weighting is None:
                scores.append(k.reconstruction.mse_terms(target, mean).sum(dim=-1))
            else:
                deviation, spread = k.reconstruction.apre_terms(target, mean, variance, *contest.weighting)
                scores.append((deviation + spread).sum(dim=-1))
        return roc_auc(torch.cat(scores).numpy(), truth[part])

    best = np.full(len(contests), -np.inf)
    picked = np.zeros_like(best)

    def look(step, loss):
        validation = roc("validation")
        better = validation > best
        if better.any():
            best[better], picked[better] = validation[better], roc("test")[better]

    train(network, rows["fit"], [generator], max_steps=steps, batch_size=None, check_every=every, progress=look)
    return np.stack([best, picked, roc("test")])


def published_start(d: int, two_heads: bool, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases as torch's linear layers draw them one by one after `manual_seed(seed)`.

    A layer is stored (outputs, inputs), and the two heads are drawn as one layer, the mean's half first.
    """
    generator = torch.Generator().manual_seed(seed)
    widths = encoder_widths(d)
    inner = [d, *widths, *widths[-2::-1]]
    weights, biases = [], []
    for inputs, outputs in [*pairwise(inner), (inner[-1], (1 + two_heads) * d)]:
        bound = inputs**-0.5
        weights.append(torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator).T[None].numpy())
        biases.append(torch.empty(1, 1, outputs).uniform_(-bound, bound, generator=generator).numpy())
    for parts in (weights, biases):
        parts += np.split(parts.pop(), 1 + two_heads, axis=-1)
    return weights, biases
