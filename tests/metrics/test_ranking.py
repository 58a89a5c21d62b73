import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from odkit.metrics import ranking


def test_constant_scores_are_worth_chance():
    # golden: benchmark.md 2.8, constant scores at an outlier rate of .05
    is_outlier = np.arange(100) < 5
    constant = np.ones(100)
    assert ranking.ap(is_outlier, constant) == pytest.approx(0.05)
    assert ranking.ap_norm(is_outlier, constant) == pytest.approx(0, abs=1e-15)
    assert ranking.roc_auc(is_outlier, constant) == 0.5
    assert ranking.p_at_n(is_outlier, constant) == pytest.approx(0.05)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=4, max_size=9))
def test_p_at_n_is_the_mean_over_all_orders_of_the_ties(rows):
    is_outlier, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    if is_outlier.all() or not is_outlier.any():
        return
    rng, n, hits = np.random.default_rng(0), int(is_outlier.sum()), []
    for _ in range(2000):
        shuffled = rng.permutation(len(rows))
        top = shuffled[np.argsort(-score[shuffled], kind="stable")[:n]]
        hits.append(is_outlier[top].mean())
    assert ranking.p_at_n(is_outlier, score) == pytest.approx(np.mean(hits), abs=0.05)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=3, max_size=12))
def test_the_oracle_is_the_best_of_all_thresholds(rows):
    is_outlier, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    if is_outlier.all() or not is_outlier.any():
        return
    best = max(f1_score(is_outlier, score >= t) for t in np.unique(score))
    assert ranking.oracle_f1(is_outlier, score) == pytest.approx(best)


def test_flags_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    is_outlier, flagged = rng.random(50) < 0.3, rng.random(50) < 0.2
    assert ranking.precision(is_outlier, flagged) == precision_score(is_outlier, flagged)
    assert ranking.recall(is_outlier, flagged) == recall_score(is_outlier, flagged)
    assert ranking.f1(is_outlier, flagged) == pytest.approx(f1_score(is_outlier, flagged))
    assert ranking.flag_rate(is_outlier, flagged) == flagged.mean()
    nothing = np.zeros(50, dtype=bool)
    assert ranking.precision(is_outlier, nothing) == ranking.f1(is_outlier, nothing) == 0


@pytest.mark.parametrize("coding", [[0, 1, 0], [1, -1, 1], [0.0, 1.0, 0.0]])
def test_a_truth_that_is_not_boolean_is_refused(coding):
    with pytest.raises(TypeError, match="must be boolean"):
        ranking.roc_auc(coding, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("is_outlier", "score", "message"),
    [
        ([True, False], [1.0, np.nan], "1 non-finite"),
        ([True, False], [1.0], "shape"),
        ([False, False], [1.0, 2.0], "0 outliers in 2 rows"),
        ([[True, False]], [[1.0, 2.0]], "one-dimensional"),
    ],
)
def test_what_cannot_be_ranked_says_why(is_outlier, score, message):
    with pytest.raises(ValueError, match=message):
        ranking.ap(is_outlier, score)


def test_metrics_leave_their_inputs_alone():
    is_outlier, score = np.array([True, False, True]), np.array([3.0, 2.0, 1.0])
    for metric in (ranking.roc_auc, ranking.ap, ranking.p_at_n, ranking.oracle_f1):
        assert metric(is_outlier, score) == metric(is_outlier, score)
    assert is_outlier.tolist() == [True, False, True]
    assert score.tolist() == [3, 2, 1]
