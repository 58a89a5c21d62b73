"""Intervals and their algebra."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.series import (
    Interval,
    above,
    drop_shorter,
    from_mask,
    from_timestamps,
    merge,
    pad,
    tidy,
    to_frame,
    to_mask,
    to_timestamps,
)

masks = arrays(bool, st.integers(0, 30))


def spans(intervals):
    return [(each.start, each.stop) for each in intervals]


@settings(max_examples=50, deadline=None)
@given(masks)
def test_masks_and_back(mask):
    found = from_mask(mask)
    np.testing.assert_array_equal(to_mask(found, len(mask)), mask)
    assert all(a.stop < b.start for a, b in pairwise(found))


@settings(max_examples=50, deadline=None)
@given(masks, st.integers(0, 4))
def test_merging_closes_exactly_the_gaps(mask, gap):
    merged = merge(from_mask(mask), gap)
    inside = to_mask(merged, len(mask))
    assert (inside >= mask).all()
    for hole in from_mask(~inside):
        assert hole.start == 0 or hole.stop == len(mask) or len(hole) > gap
    assert merge(merged, gap) == merged


@settings(max_examples=50, deadline=None)
@given(masks, st.integers(0, 4), st.integers(0, 4))
def test_padding_is_dilation(mask, before, after):
    n = len(mask)
    expected = [any(mask[max(t - after, 0) : t + before + 1]) for t in range(n)]
    np.testing.assert_array_equal(to_mask(pad(from_mask(mask), before, after, n), n), np.array(expected, bool))


def test_severity_of_merged_intervals():
    a, b = Interval(0, 3, 1.0, 1), Interval(3, 8, 4.0, 5)
    [both] = merge([b, a])
    assert (both.start, both.stop, both.peak) == (0, 8, 5)
    assert both.severity == pytest.approx((2 * 1 + 4 * 4) / 6)
    [points] = merge([Interval(0, 1, 1.0), Interval(1, 2, 2.0)])
    assert points.severity == 1.5  # the weights are all 0: plain mean
    [inner] = merge([Interval(0, 9, 1.0), Interval(2, 3, 5.0)])
    assert (inner.start, inner.stop) == (0, 9)


def test_order_of_the_cleaning_up():
    mask = np.zeros(40, bool)
    mask[[5, 7, 20, 30, 31, 33]] = True
    assert spans(tidy(from_mask(mask), 40, gap=1, shortest=2, before=1, after=12)) == [(4, 20), (29, 40)]
    assert spans(drop_shorter(from_mask(mask), 2)) == [(30, 32)]


def test_above_a_fixed_threshold():
    score = np.array([0.0, 5.0, 3.0, 0.0, 4.0])
    first, second = above(score, 2.0)
    assert (first.start, first.stop, first.peak, second.peak) == (1, 3, 1, 4)
    unit = score.mean() + score.std()
    assert first.severity == pytest.approx(3 / unit)
    assert above(score, 5.0) == []
    assert above([], 1.0) == []


def test_stamps_and_back():
    index = pd.date_range("2024-01-01", periods=10, freq="1h")
    found = [Interval(2, 5), Interval(9, 10)]
    stamps = to_timestamps(found, index)
    assert stamps[0] == (index[2], index[4])
    assert stamps[1] == (index[9], index[9])
    assert spans(from_timestamps(stamps, index)) == spans(found)
    with pytest.raises(ValueError, match="no step of the index lies between 2023"):
        from_timestamps([("2023-01-01", "2023-02-01")], index)


def test_frames():
    index = pd.date_range("2024-01-01", periods=10, freq="1h")
    frame = to_frame([Interval(2, 5, 1.5, 3, ("a",)), Interval(7, 8)], index)
    assert frame["start"].tolist() == [index[2], index[7]]
    assert frame["end"].tolist() == [index[4], index[7]]
    assert frame["peak"].iloc[0] == index[3]
    assert pd.isna(frame["peak"].iloc[1])
    assert frame["channels"].tolist() == [("a",), ()]
    empty = to_frame([], index)
    assert empty.columns.tolist() == frame.columns.tolist()
    assert empty["start"].dtype == index.dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Interval(3, 3), "start 3 must lie before stop 3"),
        (lambda: to_mask([Interval(3, 9)], 5), "steps 3 to 9 lie outside the 5 steps"),
        (lambda: from_mask(np.zeros((2, 2))), r"shape \(2, 2\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_empty_frame_has_the_dtypes_of_a_filled_one():
    stamps = pd.date_range("2024", periods=10, freq="1h")
    filled, empty = (to_frame(found, stamps) for found in ([Interval(1, 3, 1.0, peak=2)], []))
    assert empty.dtypes.tolist() == filled.dtypes.tolist()
