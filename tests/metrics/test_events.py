"""Counts of events against slow loops and tabulated golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.metrics.events import alarmed_fraction, delay, overlap_confusion, pooled_f1, shift_null
from odkit.series import Interval
from tests import naive

pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=5)


def inclusive(*ranges):
    return [(a, b + 1) for a, b in ranges]


@pytest.mark.parametrize(
    ("true", "found", "expected"),
    [
        (inclusive((10, 20)), inclusive((20, 25)), (1, 0, 0)),
        (inclusive((10, 20)), inclusive((21, 25)), (0, 1, 1)),
        (inclusive((10, 20), (40, 50)), inclusive((0, 100)), (2, 0, 0)),
        (inclusive((10, 20)), inclusive((5, 12), (18, 30)), (1, 0, 0)),
        (inclusive((10, 20), (40, 50)), [], (0, 0, 2)),
        ([], inclusive((3, 4)), (0, 1, 0)),
        (inclusive((10, 20), (40, 50)), inclusive((15, 16), (30, 31), (60, 61)), (1, 2, 1)),
        (inclusive((5, 5)), inclusive((5, 5)), (1, 0, 0)),
        (inclusive((5, 5)), inclusive((4, 4)), (0, 1, 1)),
        ([Interval(10, 21)], [Interval(20, 26)], (1, 0, 0)),
    ],
)
def test_overlap_golden(true, found, expected):
    assert overlap_confusion(true, found) == expected


@settings(max_examples=60, deadline=None)
@given(pairs, pairs)
def test_overlap_equals_the_loops(true, found):
    assert overlap_confusion(true, found) == naive.overlap_confusion(true, found)


def test_pooling_leaves_no_series_out():
    assert pooled_f1([(1, 2, 1)]) == pytest.approx(0.4)
    assert pooled_f1([(1, 0, 0), (0, 3, 1)]) == pytest.approx(2 / 6)
    assert pooled_f1([(0, 3, 1)]) == 0.0
    assert pooled_f1([]) == 0.0


def test_alarmed_fraction_counts_steps_once():
    assert alarmed_fraction([(0, 5), (3, 10)], 20) == 0.5
    assert alarmed_fraction([], 20) == 0.0
    with pytest.raises(ValueError, match="outside the 20 steps"):
        alarmed_fraction([(15, 25)], 20)


def test_shift_null_is_the_chance_of_a_hit():
    counts = shift_null([(100, 150)], [(10, 20)], 1000, repeats=4000)
    assert counts.shape == (4000, 3)
    assert counts[:, 0].mean() == pytest.approx(59 / 1000, abs=0.012)  # offsets at which 10 steps meet 50
    np.testing.assert_array_equal(shift_null([(1, 2)], [(3, 4)], 9), shift_null([(1, 2)], [(3, 4)], 9))
    everything = shift_null([(1, 2)], [(0, 9)], 9, repeats=3)
    np.testing.assert_array_equal(everything, [[1, 0, 0]] * 3)


def test_delay():
    np.testing.assert_array_equal(delay([(10, 20), (30, 40), (50, 60)], [(5, 12), (33, 34), (36, 38)]), [0, 3, np.nan])
    assert delay([], [(1, 2)]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlap_confusion([(5, 5)], []), "true must hold .* start < stop"),
        (lambda: overlap_confusion([(1, 2, 3)], []), "true must hold"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_steps_that_the_series_lacks_are_refused():
    with pytest.raises(ValueError, match="alarmed_fraction: n=0"):
        alarmed_fraction([], 0)
    for true, n in (([(100, 200)], 10), ([(-5, 3)], 10), ([], 0)):
        with pytest.raises(ValueError, match=f"shift_null: n={n} and true intervals"):
            shift_null(true, [], n)
