"""The series metrics against slow loops and tabulated golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit.metrics.series import (
    affiliation,
    alarmed_fraction,
    delay,
    nab_score,
    overlap_confusion,
    pooled_f1,
    range_precision_recall,
    shift_null,
    vus,
)
from odkit.series import Interval, from_mask
from tests import naive

masks = arrays(bool, 20)
pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1])), max_size=5)
TRUTH = np.isin(np.arange(20), [5, 6, 7, 14])
ALARM = np.isin(np.arange(20), [6, 7, 8, 11, 14, 15])
SCORE = np.array([1, 2, 1, 3, 2, 9, 8, 4, 6, 1, 2, 1, 3, 5, 7, 10, 2, 1, 4, 1]) + 0.001 * np.arange(20)


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
        (lambda: overlap_confusion([(5, 5)], []), "true must hold .* start < stop"),
        (lambda: overlap_confusion([(1, 2, 3)], []), "true must hold"),
        (lambda: vus([0, 0, 0], [1.0, 2.0, 3.0]), "all 3 labels are False; both classes"),
        (lambda: vus([1, 1, 1], [1.0, 2.0, 3.0]), "all 3 labels are True; both classes"),
        (lambda: vus([0, 1], [1.0, np.nan]), "2 finite numbers"),
        (lambda: vus([0, 1, 2], [1.0, 2.0, 3.0]), "is_outlier must be .* only True and False"),
        (lambda: range_precision_recall([0, 1], [0, 1, 1]), "2 labels and 3 alarms"),
        (lambda: affiliation([], [(1, 2)], (0, 9)), "at least one"),
        (lambda: affiliation([(1, 4), (3, 6)], [], (0, 9)), "disjoint"),
        (lambda: affiliation([(1, 14)], [], (0, 9)), "must lie in span"),
        (lambda: nab_score([], [1], 100), "no window"),
        (lambda: nab_score([(1, 2)], [100], 100), "rows 0..99; given 100"),
        (lambda: nab_score([(1, 2)], [1], 100, profile="fast"), "profile='fast' is unknown"),
    ],
)
def test_errors_name_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
