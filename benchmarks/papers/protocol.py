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
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from odkit import MeanShift
from odkit.kernels.cpu.reconstruction import apre_terms, mse_terms, reconstruct
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


def snapshots(rows: np.ndarray, seeds: list[int], two_heads: bool, steps: int, every: int = 50) -> list:
    """Weights and biases of all seeds at every record of one full-batch training, the seeds as members of a network."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    members = AutoEncoderMembers(rows.shape[1], encoder_widths(rows.shape[1]), two_heads, generators)
    kept: list = []
    train(
        members,
        torch.tensor(rows, dtype=torch.float32),
        generators,
        max_steps=steps,
        batch_size=None,
        check_every=every,
        progress=lambda step, loss: kept.append(members.arrays()),
    )
    return kept


def shifted(data: Split, n_neighbors: int, n_passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean shift of the validation and the test rows along the fitted rows."""
    shift = MeanShift(n_neighbors=n_neighbors, n_passes=n_passes, scaling=None).fit(data.fit)
    return shift.transform(data.validation), shift.transform(data.test)


def errors(state, rows: np.ndarray, target: np.ndarray, weighting: tuple[float, float, float] | None) -> np.ndarray:
    """Anomaly scores (n_seeds, n_rows); `weighting` is (alpha, beta, min_variance), or None for the squared error."""
    mean, variance = reconstruct(rows, *state, weighting is not None)
    if weighting is None:
        return mse_terms(target, mean).sum(axis=-1)
    deviation, log_variance = apre_terms(target, mean, variance, *weighting)
    return (deviation + log_variance).sum(axis=-1)


def grade(data: Split, states: list, targets: tuple[np.ndarray, np.ndarray], weighting=None):
    """Test ROC AUC of every seed: at the step picked by validation labels, and at the last step."""
    validation, test = (
        np.array([[roc_auc_score(truth, s) for s in errors(state, rows, target, weighting)] for state in states])
        for rows, target, truth in (
            (data.validation, targets[0], data.validation_outlier),
            (data.test, targets[1], data.test_outlier),
        )
    )
    picked = np.take_along_axis(test, validation.argmax(axis=0)[None], axis=0)[0]
    return picked, test[-1]
