"""TailOdds: the plain formula, monotone, invertible on training values, and scikit-learn's checks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from odkit import TailOdds
from tests import naive


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([TailOdds()])
def test_scikit_learn(estimator, check):
    check(estimator)


def test_log_odds_are_the_difference_of_the_tail_costs():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40), rng.integers(0, 5, 40), rng.standard_cauchy(40)])
    Q = np.vstack([X[:10], X[:10] * 3 + 1])
    odds = TailOdds().fit(X).transform(Q)
    for i, row in enumerate(Q):
        for j, x in enumerate(row):
            left, right = naive.tail_costs(X[:, j], x, 50.0)
            assert odds[i, j] == pytest.approx(right - left, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 50))
def test_increasing_and_invertible(seed, n):
    rng = np.random.default_rng(seed)
    X = np.round(rng.standard_t(3, size=(n, 2)), 1)
    transformer = TailOdds().fit(X)
    grid = np.sort(np.concatenate([X, X.max(axis=0) + rng.random((5, 2)), X.min(axis=0) - rng.random((5, 2))]), axis=0)
    assert (np.diff(transformer.transform(grid), axis=0) >= 0).all()
    np.testing.assert_allclose(transformer.inverse_transform(transformer.transform(X)), X, atol=1e-9)


def test_a_gross_outlier_does_not_hide_the_others():
    X = np.append(np.random.default_rng(1).normal(size=(500, 1)), [[1e12]], axis=0)
    odds = TailOdds().fit_transform(X)
    assert np.ptp(odds[:-1]) > 10
    assert np.abs(odds).max() < np.log(502)


def test_beyond_the_range_values_keep_their_order_up_to_the_cap():
    X = np.random.default_rng(2).normal(size=(500, 1))
    odds = TailOdds(tail_cap=5).fit(X).transform([[3.2], [3.4], [100.0], [1000.0]]).ravel()
    assert odds[0] < odds[1] < odds[2] == odds[3] == pytest.approx(np.log(500) + 5)


def test_bad_input_is_named():
    transformer = TailOdds().fit([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"shape \(1, 1\); \(n_samples, 2\) is needed"):
        transformer.inverse_transform([[1.0]])
    with pytest.raises(ValueError, match="NaN"):
        transformer.transform([[np.nan, 1.0]])
