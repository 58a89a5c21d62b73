import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from sklearn.metrics import roc_auc_score

from odkit.bench import stats

# golden: benchmark.md section 5, "toy statistics"
TOY = np.array(
    [
        [0.90, 0.85, 0.80], [0.80, 0.82, 0.70], [0.95, 0.90, 0.91], [0.60, 0.65, 0.55],
        [0.75, 0.70, 0.66], [0.88, 0.80, 0.84], [0.71, 0.69, 0.70], [0.93, 0.93, 0.90],
    ]
)  # fmt: skip
BLOCKS = pd.DataFrame(TOY, columns=["one", "two", "three"])


def test_ranks_and_friedman_of_the_toy():
    np.testing.assert_array_equal(stats.average_ranks(TOY), [1.3125, 2.0625, 2.6250])
    assert stats.friedman(TOY) == pytest.approx((7.161290, 0.0278577), rel=1e-5)


def test_pairs_of_the_toy():
    table = stats.pairwise(BLOCKS)
    np.testing.assert_allclose(table["w"], [8.5, 0, 7.5])
    np.testing.assert_allclose(table["p"], [0.265625, 0.0078125, 0.171875])
    np.testing.assert_allclose(table["p_holm"], [0.34375, 0.0234375, 0.34375])


def test_unrounded_differences_would_break_a_tie():
    difference = TOY[:, 0] - TOY[:, 1]
    assert wilcoxon(difference, zero_method="zsplit").pvalue == pytest.approx(0.219, abs=5e-4)  # the trap itself
    assert stats.signed_rank_p(difference)[1] == pytest.approx(0.265625)


def test_posterior_of_the_toy_and_its_limits():
    posterior = stats.bayes_signed_rank(TOY[:, 0] - TOY[:, 1])
    np.testing.assert_allclose(posterior, [0.049, 0.041, 0.910], atol=0.005)
    assert stats.bayes_signed_rank(np.full(8, 0.05)) == (0, 0, 1)
    assert stats.bayes_signed_rank(np.zeros(8)) == (0, 1, 0)
    mirrored = stats.bayes_signed_rank(TOY[:, 1] - TOY[:, 0])
    np.testing.assert_allclose(mirrored[::-1], posterior, atol=0.005)


def test_a_failure_ranks_last_and_is_never_a_number():
    matrix = np.array([[0.9, np.nan, np.nan, 0.1]])
    np.testing.assert_array_equal(stats.rank_rows(matrix), [[1, 3.5, 3.5, 2]])
    pairs = stats.pairwise(pd.DataFrame({"a": [0.9, 0.8, np.nan], "b": [0.1, np.nan, 0.2]}))
    assert pairs["n"].tolist() == [1]


def test_a_family_is_one_block_and_fails_as_one():
    values = pd.DataFrame({"a": [0.5, 0.7, 0.9], "b": [0.5, np.nan, 0.9]}, index=["x1", "x2", "y"])
    blocks = stats.family_means(values, pd.Series({"x1": "x", "x2": "x", "y": "y"}))
    assert blocks["a"].to_dict() == {"x": 0.6, "y": 0.9}
    assert np.isnan(blocks.loc["x", "b"])
    assert blocks.loc["y", "b"] == 0.9


def test_bars_join_what_holm_does_not_separate():
    ranks = pd.Series(stats.average_ranks(TOY), index=BLOCKS.columns)
    assert stats.cliques(ranks, stats.pairwise(BLOCKS)) == [("one", "two"), ("two", "three")]


def test_elo_is_symmetric_ordered_and_finite_for_a_method_that_never_wins():
    blocks = pd.DataFrame({"best": [0.9, 0.8, 0.9], "mid": [0.8, 0.7, 0.8], "never": [0.1, np.nan, 0.2]})
    table = stats.bradley_terry(blocks, repeats=50)
    assert table["elo"].is_monotonic_decreasing
    assert np.isfinite(table.to_numpy()).all()
    assert table["elo"].mean() == pytest.approx(1000)
    swapped = stats.bradley_terry(blocks[["never", "best", "mid"]], repeats=50)
    np.testing.assert_allclose(swapped.loc[table.index, "elo"], table["elo"], atol=1e-2)


def test_bradley_terry_of_two_is_the_log_odds():
    blocks = pd.DataFrame({"a": [1.0] * 9 + [0.0] * 3, "b": [0.5] * 12})
    table = stats.bradley_terry(blocks, repeats=5)
    assert table.loc["a", "elo"] - table.loc["b", "elo"] == pytest.approx(400 * np.log10(9.25 / 3.25), abs=0.01)


def test_the_interval_of_the_roc_is_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(0)
    is_outlier = np.arange(300) < 40
    score = np.round(rng.normal(size=300) + is_outlier, 1)
    plain = []
    for _ in range(400):
        rows = np.concatenate([rng.choice(np.flatnonzero(side), side.sum()) for side in (is_outlier, ~is_outlier)])
        plain.append(roc_auc_score(is_outlier[rows], score[rows]))
    found = stats.bootstrap_interval(is_outlier, score, repeats=400)
    np.testing.assert_allclose(found, np.quantile(plain, [0.025, 0.975]), atol=0.012)
