"""Range precision and recall against slow loops and golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.metrics.ranges import range_precision_recall
from tests import naive

masks = arrays(bool, 20)
TRUTH = np.isin(np.arange(20), [5, 6, 7, 14])
ALARM = np.isin(np.arange(20), [6, 7, 8, 11, 14, 15])


def test_range_golden():
    precision, recall = range_precision_recall(TRUTH, ALARM)
    assert recall == pytest.approx(0.866667, abs=1e-6)
    assert precision == pytest.approx(0.388889, abs=1e-6)
    assert range_precision_recall(TRUTH, ALARM, alpha=1.0)[1] == 1.0
    assert range_precision_recall(TRUTH, ALARM, alpha=0.0)[1] == pytest.approx(0.833333, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(masks, masks, st.sampled_from([0.0, 0.2, 1.0]))
def test_range_equals_the_loops(truth, alarm, alpha):
    precision, recall = range_precision_recall(truth, alarm, alpha=alpha)
    for value, rows, columns, weight in ((precision, alarm, truth, 0.0), (recall, truth, alarm, alpha)):
        if rows.any():
            assert value == pytest.approx(naive.range_reward(rows, columns, weight), abs=1e-12)
        else:
            assert np.isnan(value)


def test_labels_and_alarms_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 labels and 3 alarms"):
        range_precision_recall([0, 1], [0, 1, 1])


@pytest.mark.parametrize("alpha", [-1, 2, float("nan")])
def test_alpha_is_a_share(alpha):
    with pytest.raises(ValueError, match=r"alpha=.*; a share from 0 to 1"):
        range_precision_recall([0, 1], [0, 1], alpha=alpha)
