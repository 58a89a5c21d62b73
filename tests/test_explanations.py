"""Reasons: Shapley sampling against the exact value, planted causes, pipelines and units."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from odkit import ECOD, expected, reasons
from odkit.explanations import shapley


class Product:
    """A score with an interaction: -score_samples = x0 * x1 + x2."""

    def score_samples(self, X):
        X = np.asarray(X)
        return -(X[:, 0] * X[:, 1] + X[:, 2])


def exact_shapley(score, row, start):
    d, values = len(row), np.zeros(len(row))
    for order in itertools.permutations(range(d)):
        at = start.copy()
        for j in order:
            before = score(at)
            at[j] = row[j]
            values[j] += (score(at) - before) / math.factorial(d)
    return values


def test_shapley_is_exact_where_enough_orders_are_drawn():
    row, start = np.array([3.0, 2.0, 5.0]), np.array([1.0, -1.0, 0.0])
    truth = exact_shapley(lambda x: x[0] * x[1] + x[2], row, start)
    found = shapley(Product(), row[None], start[None], budget=8000, random_state=0)[0]
    np.testing.assert_allclose(found, truth, atol=1e-9)  # pairs of reversed orders are exact for interactions of two
    assert found.sum() == pytest.approx(6 + 5 + 1)


def test_shapley_adds_up_whatever_the_budget():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    detector, rows = ECOD().fit(X), rng.normal(size=(4, 5)) * 3
    single = X[:1]
    for budget in (12, 100):
        values = shapley(detector, rows, single, budget=budget, random_state=1)
        np.testing.assert_allclose(
            values.sum(axis=1), -detector.score_samples(rows) + detector.score_samples(single), rtol=1e-9
        )
    again = shapley(detector, rows, X, random_state=2)
    np.testing.assert_array_equal(again, shapley(detector, rows, X, random_state=2))


def test_planted_causes_come_first():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 6))
    rows = rng.normal(size=(60, 6)).clip(-2, 2)
    planted = rng.integers(0, 6, 60)
    rows[np.arange(60), planted] = 6.0
    for detector in (ECOD().fit(X), IsolationForest(n_estimators=50, random_state=0).fit(X)):
        found = reasons(detector, rows, top=1, background=X, budget=500, random_state=0)
        assert np.mean(found["feature"].astype(int) == planted) >= 0.95
        assert (found["direction"] == "high").all()


def test_units_are_those_of_the_user():
    frame = pd.DataFrame({"volt": [230.0, 231, 229, 230, 232, 228], "kelvin": [300.0, 301, 299, 305, 300, 302]})
    rows = pd.DataFrame({"volt": [230.0], "kelvin": [100.0]}, index=["mon"])
    plain = reasons(ECOD().fit(frame), rows)
    scaled = reasons(make_pipeline(StandardScaler(), ECOD()).fit(frame), rows)
    pd.testing.assert_frame_equal(plain, scaled)
    assert plain.loc[0, ["row", "feature", "value", "expected", "direction"]].tolist() == [
        "mon", "kelvin", 100.0, 300.0, "low",
    ]  # fmt: skip
    assert plain["share"].sum() == pytest.approx(1)


def test_without_background_nothing_is_expected_of_a_detector_that_does_not_say():
    class Mute(ECOD):
        expected = property()

    found = reasons(Mute().fit([[1.0], [2.0], [3.0]]), [[9.0]])
    assert found["expected"].isna().all()
    assert found["direction"].isna().all()


X = np.random.default_rng(2).normal(size=(50, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: shapley(ECOD().fit(X), X, X[:, :2]), ValueError, "same columns"),
        (lambda: shapley(ECOD().fit(X), X, X[:0]), ValueError, "not empty"),
        (lambda: shapley(ECOD().fit(X), X, X, budget=7), ValueError, "budget=7 is less than one pair of orders, 8"),
        (lambda: reasons(ECOD().fit(X), X, top=0), ValueError, "top=0"),
        (lambda: reasons(IsolationForest(n_estimators=2).fit(X), X), TypeError, "give ordinary rows as background"),
        (lambda: reasons(make_pipeline(PCA(), ECOD()).fit(X), X), TypeError, "PCA mixes columns"),
        (lambda: expected(IsolationForest(n_estimators=2).fit(X), X), TypeError, "does not say"),
        (lambda: expected(make_pipeline(Normalizer(), ECOD()).fit(X), X), TypeError, "no inverse_transform"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
