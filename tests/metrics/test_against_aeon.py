"""A second opinion on the metrics of series, where aeon is installed (it pins older packages than the test extra)."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from odkit.metrics.ranges import range_precision_recall
from odkit.metrics.vus import vus

aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")


def draw(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Three events of 20 steps away from the ends, and a score that finds them now and then."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(n, bool)
    for start in (60, 170, 310):
        truth[start : start + 20] = True
    return truth, rng.normal(size=n) + rng.uniform(0.5, 2) * truth


@pytest.mark.parametrize("seed", range(5))
def test_ranges(seed):
    truth, score = draw(seed)
    alarm = score > 1.5
    for alpha in (0.0, 0.2, 1.0):
        precision, recall = range_precision_recall(truth, alarm, alpha=alpha)
        weights = {"alpha": alpha, "cardinality": "reciprocal"}
        assert recall == pytest.approx(aeon.range_recall(truth.astype(int), alarm.astype(int), **weights), abs=1e-12)
        weights["alpha"] = 0.0
        assert precision == pytest.approx(
            aeon.range_precision(truth.astype(int), alarm.astype(int), **weights), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(5))
def test_area_without_borders(seed):
    truth, score = draw(seed)
    roc, pr = vus(truth, score, max_window=1)
    assert roc == pytest.approx(aeon.range_roc_vus_score(truth.astype(int), score, max_buffer_size=1), abs=1e-12)
    # the area under precision and recall is a step function here, as average precision is, and trapezoids there
    assert pr == pytest.approx(aeon.range_pr_vus_score(truth.astype(int), score, max_buffer_size=1), abs=0.02)


def test_volumes_order_scores_alike():
    """aeon counts the whole border as positive, TSB-AD and we the part that is alarmed: other volumes, one order."""
    ours, theirs = [], []
    for seed in range(20):
        truth, score = draw(seed)
        ours.append(vus(truth, score, max_window=20))
        labels = truth.astype(int)
        theirs.append(
            [f(labels, score, max_buffer_size=20) for f in (aeon.range_roc_vus_score, aeon.range_pr_vus_score)]
        )
    for found, expected in zip(np.transpose(ours), np.transpose(theirs), strict=True):
        assert spearmanr(found, expected).statistic > 0.99
        np.testing.assert_allclose(found, expected, atol=0.06)
