"""Affiliation against midpoint sums and golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.metrics.affiliation import affiliation
from odkit.series import from_mask
from tests import naive

masks = arrays(bool, 20)
pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=5)
TRUTH = np.isin(np.arange(20), [5, 6, 7, 14])
ALARM = np.isin(np.arange(20), [6, 7, 8, 11, 14, 15])


@pytest.mark.parametrize(
    ("true", "found", "span", "expected"),
    [
        ([(40, 60)], [(30, 40)], (0, 100), (0.7, 0.8)),
        ([(40, 60)], [(45, 55)], (0, 100), (1.0, 0.975)),
        ([(40, 60)], [(0, 100)], (0, 100), (0.52, 1.0)),
        ([(40, 60)], [], (0, 100), (np.nan, 0.0)),
        ([(40, 60), (100, 110)], [(30, 35), (70, 90)], (0, 200), (0.552083, 0.722656)),
        (from_mask(TRUTH), from_mask(ALARM), (0, 20), (0.791246, 0.984848)),
    ],
)
def test_affiliation_golden(true, found, span, expected):
    np.testing.assert_allclose(affiliation(true, found, span), expected, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(masks.filter(lambda m: m.any()), pairs)
def test_affiliation_equals_midpoint_sums(truth, found):
    true = [(i.start, i.stop) for i in from_mask(truth)]
    expected = naive.affiliation(true, found, (0, 20))
    np.testing.assert_allclose(affiliation(true, found, (0, 20)), expected, atol=4e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: affiliation([], [(1, 2)], (0, 9)), "at least one"),
        (lambda: affiliation([(1, 4), (3, 6)], [], (0, 9)), "disjoint"),
        (lambda: affiliation([(1, 14)], [], (0, 9)), "must lie in span"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
