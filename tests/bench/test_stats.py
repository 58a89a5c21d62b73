import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from sklearn.metrics import roc_auc_score

from odkit.bench import stats
from odkit.datasets import get_card

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


# golden: ecod.md section 5, ROC in sample on the 28 ADBench sets, (feature_max, paper); benchmark.md section 5 has what
# scipy and baycomp 1.0.3 make of them
ECOD_ROC = {
    "1_ALOI": (0.5305, 0.5142), "22_magic.gamma": (0.6382, 0.6570), "2_annthyroid": (0.7887, 0.6826),
    "23_mammography": (0.9062, 0.8996), "4_breastw": (0.9914, 0.9890), "24_mnist": (0.7463, 0.6950),
    "6_cardio": (0.9350, 0.8811), "26_optdigits": (0.6045, 0.7081), "7_Cardiotocography": (0.7853, 0.6484),
    "29_Pima": (0.5944, 0.5820), "10_cover": (0.9204, 0.9105), "30_satellite": (0.5830, 0.4955),
    "14_glass": (0.7046, 0.7805), "31_satimage-2": (0.9649, 0.8835), "15_Hepatitis": (0.7394, 0.8037),
    "32_shuttle": (0.9929, 0.9935), "16_http": (0.9786, 0.9913), "34_smtp": (0.8801, 0.9024),
    "18_Ionosphere": (0.7284, 0.7025), "35_SpamBase": (0.6556, 0.6785), "19_landsat": (0.3678, 0.3872),
    "38_thyroid": (0.9771, 0.9208), "20_letter": (0.5723, 0.5402), "40_vowels": (0.5929, 0.6473),
    "21_Lymphography": (0.9953, 0.9953), "42_WBC": (0.9948, 0.9948), "45_wine": (0.7328, 0.8832),
    "47_yeast": (0.4439, 0.4089),
}  # fmt: skip


@pytest.fixture(scope="module")
def ecod_roc() -> pd.DataFrame:
    return pd.DataFrame(ECOD_ROC, index=["fmax", "paper"]).T


def test_the_published_statistics_of_two_rules_over_28_sets(ecod_roc):
    np.testing.assert_allclose(ecod_roc.mean(), [0.7623, 0.7563], atol=5e-5)
    difference = ecod_roc["fmax"] - ecod_roc["paper"]
    assert stats.win_tie_loss(difference, rope=0) == (15, 2, 11)
    assert stats.signed_rank_p(difference) == pytest.approx((173.5, 0.5017), abs=5e-5)
    assert np.quantile(np.round(difference, 6), [0.5, 0.1]) == pytest.approx([0.0045, -0.0678], abs=1e-4)
    posterior = stats.bayes_signed_rank(difference)
    np.testing.assert_allclose(posterior, [0.226, 0.020, 0.754], atol=0.006)
    np.testing.assert_allclose(posterior, [0.231, 0.018, 0.751], atol=0.008)  # baycomp's draws


def test_families_turn_the_sign_of_their_difference(ecod_roc):
    family = pd.Series({name: get_card(f"adbench/{name}").family for name in ecod_roc.index})
    blocks = stats.family_means(ecod_roc, family)
    assert blocks.shape == (22, 2)
    np.testing.assert_allclose(blocks.mean(), [0.7456, 0.7497], atol=1e-4)
    difference = blocks["fmax"] - blocks["paper"]
    assert stats.win_tie_loss(difference, rope=0) == (12, 1, 9)
    assert stats.signed_rank_p(difference) == pytest.approx((123.5, 0.9224), abs=5e-5)
    np.testing.assert_allclose(stats.bayes_signed_rank(difference), [0.47, 0.04, 0.49], atol=0.01)
