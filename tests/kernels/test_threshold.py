"""The exact threshold against a search over all cuts, on both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.kernels.cpu.threshold import exact_threshold
from tests import naive


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 25), elements=st.integers(0, 6).map(float)), st.sampled_from([0.5, 1.0, 2.5]))
def test_exact_threshold_has_the_lowest_cost(values, z_min):
    cut = exact_threshold(values, z_min)
    best = naive.exact_threshold_cost(values, z_min) if values.std() > 0 else np.inf
    if np.isnan(cut):
        assert best == np.inf
    else:
        assert cut >= values.mean() + z_min * values.std() - 1e-12
        assert naive.threshold_cost(values, cut) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [0.0, 0.0, 0.0], [0.1] * 30])
def test_exact_threshold_of_nothing_to_find(call, values):
    assert np.isnan(call("threshold.exact_threshold", np.array(values), 2.5))


def test_exact_threshold_twins_agree(call):
    for seed in range(10):
        values = np.random.default_rng(seed).exponential(size=200).round(1)
        assert call("threshold.exact_threshold", values, 1.5) == pytest.approx(exact_threshold(values, 1.5), rel=1e-12)
