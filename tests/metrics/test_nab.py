"""The NAB score against a slow loop and golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.metrics.nab import nab_score
from tests import naive


@pytest.mark.parametrize(
    ("detections", "profile", "expected"),
    [
        ([], "standard", 0.0),
        ([40], "standard", 100.0),
        ([45], "standard", 92.9896),
        ([49], "standard", 62.4121),
        ([45, 60], "standard", 87.514),
        ([45, 60], "low_fp", 82.0383),
        ([60], "low_fn", -3.6504),
        ([20], "standard", -5.5),
        ([60, 61], "standard", -10.9617),
        ([5], "standard", 0.0),
    ],
)
def test_nab_golden(detections, profile, expected):
    assert nab_score([(40, 50)], detections, 100, profile=profile) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 99), max_size=8), st.sampled_from([[(40, 50)], [(2, 9), (30, 31), (60, 80)]]))
def test_nab_equals_the_rows(detections, windows):
    expected = naive.nab_score(windows, detections, 100, 0.11, 1.0)
    assert nab_score(windows, detections, 100) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nab_score([], [1], 100), "no window"),
        (lambda: nab_score([(1, 2)], [100], 100), "rows 0..99; given 100"),
        (lambda: nab_score([(40, 50)], np.arange(100) == 40, 100), "dtype bool .* numpy.flatnonzero"),
        (lambda: nab_score([(40, 50)], [40.7], 100), "whole row numbers"),
        (lambda: nab_score([(40, 50)], [[40]], 100), r"shape \(1, 1\)"),
        (lambda: nab_score([(40, 50), (45, 60)], [47], 100), "windows must be disjoint"),
        (lambda: nab_score([(90, 150)], [], 100), "lie in rows 0 to 100"),
        (lambda: nab_score([(1, 2)], [1], 100, profile="fast"), "profile='fast' is unknown"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
