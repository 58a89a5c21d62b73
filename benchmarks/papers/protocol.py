"""The protocol of Tan et al.'s published figures, and beside it what is left of them without labels.

Rows are split 50/25/25 by class into train, validation and test. Networks learn on train and validation together,
outliers included, with all rows in one batch. Two figures come from one and the same training:

- *label-picked*: the step at which the validation ROC AUC (labels!) is best, graded on the test rows. The published
  figures are of this kind, best seed of many on top. Nobody without labels can have them.
- *label-free*: the last step, graded on the test rows.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.model_selection import train_test_split

from odkit import MeanShift, kernels
from odkit.kernels.cpu.scaling import column_scales
from odkit.nets.autoencoder import AutoEncoderMembers, encoder_widths
from odkit.nets.training import train

SEED = 42


class Split(NamedTuple):
    fit: np.ndarray  # train and validation, scaled by themselves
    validation: np.ndarray
    test: np.ndarray
    fit_outlier: np.ndarray
    validation_outlier: np.ndarray
    test_outlier: np.ndarray


def split(X: np.ndarray, is_outlier: np.ndarray) -> Split:
    """Stratified 75/25 for fit and test; a third of the former is the validation part. Constant columns are dropped."""
    fit, test, fit_outlier, test_outlier = train_test_split(
        X, is_outlier, test_size=0.25, stratify=is_outlier, random_state=SEED
    )
    location, scale, constant = column_scales(fit, "standard")
    fit, test = (((rows - location) / scale)[:, ~constant] for rows in (fit, test))
    _, validation, _, validation_outlier = train_test_split(
        fit, fit_outlier, test_size=1 / 3, stratify=fit_outlier, random_state=SEED
    )
    return Split(fit, validation, test, fit_outlier, validation_outlier, test_outlier)


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


def grade(data: Split, seeds: list[int], two_heads: bool, contests: list[Contest], steps: int, every: int):
    """Train one network per seed; test ROC AUC (n_contests, n_seeds) of the label-picked and of the last step.

    The seeds are the members of one batched network. Validation labels are looked at every `every` steps.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    d = data.fit.shape[1]
    members = AutoEncoderMembers(d, encoder_widths(d), two_heads, generators)
    rows = {part: torch.tensor(getattr(data, part), dtype=torch.float32) for part in ("fit", "validation", "test")}
    targets = {
        part: [torch.tensor(getattr(contest, part), dtype=torch.float32) for contest in contests]
        for part in ("validation", "test")
    }
    truth = {"validation": data.validation_outlier, "test": data.test_outlier}

    def roc(part: str) -> np.ndarray:
        mean, variance = members(rows[part].expand(len(seeds), -1, -1))
        scores = []
        for contest, target in zip(contests, targets[part], strict=True):
            if contest.weighting is None:
                scores.append(k.reconstruction.mse_terms(target, mean).sum(dim=-1))
            else:
                deviation, spread = k.reconstruction.apre_terms(target, mean, variance, *contest.weighting)
                scores.append((deviation + spread).sum(dim=-1))
        return roc_auc(torch.stack(scores).numpy(), truth[part])

    best = np.full((len(contests), len(seeds)), -np.inf)
    picked = np.zeros_like(best)

    def look(step, loss):
        validation = roc("validation")
        better = validation > best
        if better.any():
            best[better], picked[better] = validation[better], roc("test")[better]

    k = kernels.on("torch")
    train(members, rows["fit"], generators, max_steps=steps, batch_size=None, check_every=every, progress=look)
    return picked, roc("test")
