import numpy as np
import pytest
from scipy.stats import somersd

from odkit.metrics import severity
from odkit.metrics.ranking import roc_auc

# golden: benchmark.md section 5, "severity toy"
LEVEL = np.array([0, 0, 1, 1, 2, 2, 3])
SCORE = np.array([0.1, 0.2, 0.2, 0.5, 0.4, 0.9, 0.8])


def test_the_toy():
    assert severity.c_index(LEVEL, SCORE) == pytest.approx(0.861111, abs=1e-6)
    assert severity.c_index_outliers(LEVEL, SCORE) == 0.75
    assert severity.tau_b(LEVEL, SCORE) == pytest.approx(0.685160, abs=1e-6)
    assert severity.adjacent_auc(LEVEL, SCORE) == {0: 0.875, 1: 0.75, 2: 0.5}
    assert severity.severity_auc_min(LEVEL, SCORE) == 0.5
    assert severity.auc_against_normal(LEVEL, SCORE) == {1: 0.875, 2: 1.0, 3: 1.0}
    assert roc_auc(LEVEL > 0, SCORE) == pytest.approx(0.95)


@pytest.mark.parametrize("seed", range(4))
def test_c_index_is_somers_d_and_the_double_loop(seed):
    rng = np.random.default_rng(seed)
    level, score = rng.integers(0, 4, 40), rng.integers(0, 9, 40).astype(float)
    right = pairs = 0.0
    for i in range(40):
        for j in range(40):
            if level[i] < level[j]:
                pairs += 1
                right += 1.0 if score[i] < score[j] else 0.5 if score[i] == score[j] else 0.0
    assert severity.c_index(level, score) == pytest.approx(right / pairs)
    assert severity.c_index(level, score) == pytest.approx((somersd(level, score).statistic + 1) / 2)


def test_two_levels_are_the_roc_area_and_constant_scores_are_chance():
    level = (LEVEL > 1).astype(int)
    assert severity.c_index(level, SCORE) == pytest.approx(roc_auc(level == 1, SCORE))
    assert severity.c_index(LEVEL, np.ones(7)) == 0.5
    assert severity.tau_b(LEVEL, np.ones(7)) == 0


@pytest.mark.parametrize(
    ("level", "score", "message"),
    [
        ([0, 0], [1.0, 2.0], "one value only"),
        ([0, -1], [1.0, 2.0], "integers >= 0"),
        ([0.0, 1.5], [1.0, 2.0], "integers >= 0"),
        ([0, 1], [1.0, np.inf], "non-finite"),
        ([0, 1], [1.0], "one length"),
    ],
)
def test_what_cannot_be_graded_says_why(level, score, message):
    with pytest.raises(ValueError, match=message):
        severity.c_index(level, score)


def test_levels_without_normal_rows_have_no_contrast_to_normal():
    with pytest.raises(ValueError, match="no normal rows"):
        severity.auc_against_normal([1, 2], [0.1, 0.2])
