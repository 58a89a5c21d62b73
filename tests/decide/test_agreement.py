"""Criteria without labels: worked values, plain definitions, and what they cannot see."""

import numpy as np
import pytest
from scipy import stats

from odkit.decide import agreement

S = np.array([[0.1, 0.2, 0.5], [0.4, 0.1, 0.4], [0.2, 0.3, 0.3], [0.9, 0.8, 0.2], [0.5, 0.6, 0.1]])


def test_worked_values():  # computed by hand from the definitions; also in the method's specification
    np.testing.assert_allclose(agreement.mc_ndcg(S), [0.814552, 0.821811, 0.659538], atol=5e-7)
    rows, weights = agreement.hits(S)
    np.testing.assert_allclose(weights, [0.619098, 0.620615, 0.481201], atol=5e-7)
    np.testing.assert_allclose(rows, [0.404087, 0.303575, 0.277505, 0.722944, 0.380656], atol=5e-7)


def test_spearman_is_scipy_s():
    scores = np.random.default_rng(0).normal(size=(50, 4)).round(1)
    np.testing.assert_allclose(agreement.spearman(scores), stats.spearmanr(scores).statistic, atol=1e-12)
    assert agreement.spearman(np.column_stack([scores[:, 0], np.zeros(50)]))[0, 1] == 0


def test_top_overlap():
    scores = np.arange(100.0)[:, None] * [1, -1, 1]
    np.testing.assert_allclose(agreement.top_overlap(scores), [[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def test_udr_prefers_the_stable_family():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=200)
    stable = truth[:, None] + rng.normal(size=(200, 3)) * 0.1
    values = agreement.udr(np.hstack([stable, rng.normal(size=(200, 4))]), list("aaabbbb"))
    assert values[:3].min() > 0.9 > 0.4 > values[3:].max()


def test_the_majority_wins_right_or_wrong():
    rng = np.random.default_rng(2)
    truth = rng.random(500) < 0.1
    specialist = truth + rng.normal(size=500) * 0.1
    noise = rng.normal(size=500)
    copies = noise[:, None] + rng.normal(size=(500, 3)) * 0.05
    assert agreement.mc_ndcg(np.column_stack([specialist, copies])).argmin() == 0


def test_many_columns_are_sampled_with_a_seed():
    scores = np.random.default_rng(3).normal(size=(30, 12))
    few = agreement.mc_ndcg(scores, max_partners=5, random_state=1)
    np.testing.assert_array_equal(few, agreement.mc_ndcg(scores, max_partners=5, random_state=1))
    assert (few != agreement.mc_ndcg(scores)).any()


def test_labels_find_the_good_column():
    rng = np.random.default_rng(4)
    truth = np.arange(200) < 20
    scores = np.column_stack([truth + rng.normal(size=200) * 0.3, rng.normal(size=(200, 2))])
    weights = agreement.label_weights(scores, truth)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx((20 + 5 / 3) / 25)
    one = agreement.label_weights(scores, np.arange(200) < 1)
    assert one[0] < 0.6  # one label is not allowed to decide


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: agreement.mc_ndcg(S[:, :1]), "at least 2 columns"),
        (lambda: agreement.hits(S * np.nan), "finite"),
        (lambda: agreement.udr(S, list("aa")), "2 labels for 3 columns"),
        (lambda: agreement.udr(S, list("aab")), "smallest family 'b' with 1"),
        (lambda: agreement.label_weights(S, np.ones(5)), "both classes"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
