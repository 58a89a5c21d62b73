"""VUS against slow loops, golden values and the ordinary area."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.metrics.vus import vus
from tests import naive

masks = arrays(bool, 20)
TRUTH = np.isin(np.arange(20), [5, 6, 7, 14])
SCORE = np.array([1, 2, 1, 3, 2, 9, 8, 4, 6, 1, 2, 1, 3, 5, 7, 10, 2, 1, 4, 1]) + 0.001 * np.arange(20)


@pytest.mark.parametrize(
    ("longest", "roc", "pr"), [(0, 0.890625, 0.645833), (2, 0.920196, 0.721295), (4, 0.947804, 0.804630)]
)
def test_vus_golden(longest, roc, pr):
    np.testing.assert_allclose(vus(TRUTH, SCORE, max_window=longest), (roc, pr), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(masks, arrays(np.float64, 20, elements=st.integers(0, 6).map(float)), st.sampled_from([0, 1, 5, 13]))
def test_vus_equals_the_loops(truth, score, longest):
    if truth.all() or not truth.any():
        with pytest.raises(ValueError, match="both classes must occur"):
            vus(truth, score, max_window=longest)
        return
    found = vus(truth, score, max_window=longest, n_thresholds=11)
    np.testing.assert_allclose(found, naive.vus(truth, score, longest, 11), atol=1e-12)


def test_vus_without_borders_on_distinct_scores_is_the_ordinary_area():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth, score = rng.random(200) < 0.2, rng.normal(size=200)
    single = np.zeros(200, bool)
    single[50:90] = True  # one event: the share of events touched is 1 from the first hit on
    roc, _ = vus(single, score, max_window=0, n_thresholds=200)
    hits_first = single[np.argsort(-score)].argmax()
    assert hits_first < 10
    assert roc == pytest.approx(roc_auc_score(single, score), abs=1e-9)
    assert vus(truth, score, max_window=0)[0] < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vus([0, 0, 0], [1.0, 2.0, 3.0]), "all 3 labels are False; both classes"),
        (lambda: vus([1, 1, 1], [1.0, 2.0, 3.0]), "all 3 labels are True; both classes"),
        (lambda: vus([0, 1], [1.0, np.nan]), "2 finite numbers"),
        (lambda: vus([], []), "is_outlier is empty"),
        (lambda: vus([0, 1], [1.0, 2.0], max_window=-1), "max_window=-1; a whole number of at least 0"),
        (lambda: vus([0, 1], [1.0, 2.0], max_window=2.5), "max_window=2.5; a whole number"),
        (lambda: vus([0, 1], [1.0, 2.0], n_thresholds=0), "n_thresholds=0; a whole number of at least 2"),
        (lambda: vus([0, 1], [1.0, 2.0], n_thresholds=1), "n_thresholds=1; a whole number of at least 2"),
        (lambda: vus([0, 1, 2], [1.0, 2.0, 3.0]), "is_outlier must be .* only True and False"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
