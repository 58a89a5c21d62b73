"""Windows, the way back, and the period."""

import numpy as np
import pytest
from sklearn.base import clone

from odkit import SlidingWindows
from odkit.series import causal, centre, estimate_period, unroll, window_starts


def test_goldens_of_unroll():
    values = [1, 2, 4, 8]
    np.testing.assert_allclose(unroll(values, 6, 3), [1, 1.5, 7 / 3, 14 / 3, 6, 8])
    np.testing.assert_array_equal(unroll(values, 6, 3, how="median"), [1, 1.5, 2, 4, 6, 8])
    np.testing.assert_array_equal(unroll(values, 6, 3, how="max"), [1, 2, 4, 8, 8, 8])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], 6, 3), r"shape \(2,\); 6 steps in windows of 3 with stride 1 need \(4,\) or \(4, 3\)"),
        (([1.0], 6, 7), "window of 7 steps does not fit into a series of n_samples = 6"),
        (([1.0, 2.0], 6, 2, 3), "stride 3 > window 2"),
        (([1.0, 2, 3, 4], 6, 3, 1, "sum"), "how='sum' is unknown"),
    ],
)
def test_unroll_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        unroll(*arguments)


def test_placements_keep_all_values():
    values = np.arange(5.0)
    for place, first in ((centre, 2), (causal, 3)):
        placed = place(values, 8, 4)
        np.testing.assert_array_equal(placed[first : first + 5], values)
        assert (placed[:first] == 0).all()
        assert (placed[first + 5 :] == 4).all()


def test_starts_with_and_without_a_tail():
    assert window_starts(10, 4, 3).tolist() == [0, 3, 6]
    assert window_starts(11, 4, 3).tolist() == [0, 3, 6, 7]
    assert window_starts(11, 4, 3, cover_tail=False).tolist() == [0, 3, 6]


@pytest.mark.parametrize("period", [7, 25, 180])
def test_period_of_a_noisy_wave(period):
    t = np.arange(3000)
    x = np.sin(2 * np.pi * t / period) + np.random.default_rng(0).normal(size=3000) / 10
    assert estimate_period(x) == period
    assert estimate_period(np.column_stack([x, np.ones(3000), 2 * x + 5])) == period


@pytest.mark.parametrize("x", [np.ones(1000), np.zeros(3), [1.0, 2.0], np.arange(50.0)])
def test_period_of_nothing_periodic_is_the_default(x):
    assert estimate_period(x) == 125


def test_windows_are_views():
    x = np.random.default_rng(0).normal(size=(1000, 3))
    windows = SlidingWindows(window=10).fit(x).transform(x)
    assert windows.shape == (991, 10, 3)
    assert np.shares_memory(windows, x)
    assert not windows.flags.writeable
    np.testing.assert_array_equal(windows[17], x[17:27])


@pytest.mark.parametrize("stride", [1, 3, 4, 10])
def test_windows_start_where_they_say(stride):
    x = np.arange(50.0).reshape(25, 2)
    transformer = SlidingWindows(window=4, stride=stride)
    windows = transformer.fit_transform(x)
    np.testing.assert_array_equal(windows[:, 0, 0] / 2, transformer.window_starts_)
    assert windows[-1, -1, 0] == 48  # the tail is covered
    short = clone(transformer).set_params(cover_tail=False).fit_transform(x)
    np.testing.assert_array_equal(short, windows[: len(short)])


def test_windows_guard_their_input():
    x = np.zeros((20, 2))
    with pytest.raises(ValueError, match="window of 21 steps does not fit into a series of n_samples = 20"):
        SlidingWindows(window=21).fit(x)
    with pytest.raises(ValueError, match="3 channels; it was fitted with 2"):
        SlidingWindows(window=5).fit(x).transform(np.zeros((20, 3)))
    with pytest.raises(ValueError, match="window"):
        SlidingWindows(window=0).fit(x)
    assert SlidingWindows(window=5).fit_transform(np.zeros(20)).shape == (16, 5, 1)


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (-3, 1), (3, 0), (2.5, 1)])
def test_nonsense_of_windows_is_named(window, stride):
    with pytest.raises(ValueError, match=rf"window={window}, stride={stride}; whole numbers"):
        window_starts(10, window, stride)


@pytest.mark.parametrize("x", [[], [1.0, np.nan] * 50, [1.0, np.inf] * 50])
def test_no_period_is_guessed_of_what_is_no_series(x):
    with pytest.raises(ValueError, match=r"estimate_period: X has shape \(\d+,\) and \d+ values that are NaN"):
        estimate_period(x)
