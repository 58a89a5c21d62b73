"""Explanations name the planted cause, wherever the detector sees it."""

import numpy as np
import pytest

from odkit import ECOD, GMM, KNN, AutoEncoder, Consensus, Mahalanobis, MeanShift, anomaly_score, explain
from odkit.explanations import shapley

N = 80


def groups(n, rng):
    """Two groups of four columns, correlation .9 within a group, unit variances."""
    return np.sqrt(0.9) * np.repeat(rng.normal(size=(n, 2)), 4, axis=1) + np.sqrt(0.1) * rng.normal(size=(n, 8))


def marginal(rng):
    X, column = groups(N, rng), rng.integers(8, size=N)
    X[np.arange(N), column] = rng.choice([-6, 6], N)
    return X, column


def contrary(rng):
    """A group high together but for one column, which is as low: no value is unusual."""
    X, column = groups(N, rng), rng.integers(8, size=N)
    for row, j in zip(X, column, strict=True):
        group = slice(j // 4 * 4, j // 4 * 4 + 4)
        row[group] += 2 - row[group].mean()
        row[j] *= -1
    return X, column


def top(parts):
    return np.argmax(parts, axis=1)


@pytest.fixture(scope="module")
def train():
    return groups(500, np.random.default_rng(0))


@pytest.mark.parametrize(
    "detector",
    [
        ECOD(),
        Mahalanobis(fpr=0.05),
        GMM(),
        AutoEncoder(max_steps=600, n_members=3, learning_rate=3e-3, random_state=0),
        KNN(),
        MeanShift(),
        Consensus(random_state=0),
    ],
    ids=lambda detector: type(detector).__name__,
)
def test_the_planted_column_comes_first(detector, train):
    rng = np.random.default_rng(1)
    detector.fit(train)
    line = np.quantile(anomaly_score(detector, train), 0.95)
    for plant in (marginal, contrary):
        X, column = plant(rng)
        seen = anomaly_score(detector, X) > line
        if plant is contrary and isinstance(detector, ECOD):
            assert seen.mean() < 0.6  # columns one by one: it is blind to combinations
            continue
        assert seen.mean() > 0.4
        assert np.mean(top(explain(detector, X))[seen] == column[seen]) >= 0.95


def test_trying_finds_it_too(train):
    X, column = marginal(np.random.default_rng(2))
    for detector in (ECOD(), Mahalanobis(fpr=0.05)):
        parts = shapley(detector.fit(train), X[:40], train[:20], budget=360, random_state=0)
        assert np.mean(top(parts) == column[:40]) >= 0.95
