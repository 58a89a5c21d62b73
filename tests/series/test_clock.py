"""Even time stamps, or an error that names the place; resampling and filling on request."""

import numpy as np
import pandas as pd
import pytest

from odkit import MovingEnergy
from odkit.series import fill_missing, resample


def frame(stamps):
    return pd.DataFrame({"load": np.sin(np.arange(len(stamps))), "heat": np.cos(np.arange(len(stamps)))}, index=stamps)


EVEN = pd.date_range("2024-03-01", periods=60, freq="10min")


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (EVEN.delete(30), r"0 days 00:10:00 apart, but row 30 .* comes 0 days 00:20:00 after row 29.*resample"),
        (EVEN[[1, 0, *range(2, 60)]], "must increase; row 1 has 2024-03-01 00:00:00 after 2024-03-01 00:10:00"),
        (EVEN[[0, 0, *range(1, 59)]], "must increase; row 1"),
        (EVEN.insert(3, pd.NaT), "NaT at row 3"),
    ],
)
def test_uneven_stamps_are_errors(stamps, message):
    with pytest.raises(ValueError, match=message):
        MovingEnergy(window=5).fit(frame(stamps))
    fitted = MovingEnergy(window=5).fit(frame(EVEN))
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(frame(stamps))


@pytest.mark.parametrize("freq", ["MS", "B", "YS"])
def test_calendar_steps_are_even(freq):
    fitted = MovingEnergy(window=5).fit(frame(pd.date_range("2024-01-01", periods=60, freq=freq)))
    assert fitted.step_ is None


def test_the_step_is_that_of_the_fit():
    fitted = MovingEnergy(window=5).fit(frame(EVEN))
    assert fitted.step_ == 600.0
    with pytest.raises(ValueError, match=r"3600 s apart, those of the training series were 600 s apart.*every='600s'"):
        fitted.score_samples(frame(pd.date_range("2024-03-01", periods=60, freq="1h")))
    assert len(fitted.score_samples(frame(EVEN).set_axis(np.arange(60)))) == 60  # no stamps, no claim


def test_daylight_saving_and_time_zones_are_even():
    stamps = pd.date_range("2024-03-30", periods=80, freq="1h", tz="Europe/Berlin")
    assert MovingEnergy(window=5).fit(frame(stamps)).step_ == 3600.0


def test_resample_puts_any_order_on_an_even_clock():
    stamps = EVEN.delete([30, 31, 32])
    shuffled = frame(stamps).sample(frac=1, random_state=0)
    even, missing = resample(shuffled, every="10min")
    pd.testing.assert_index_equal(even.index, EVEN, check_names=False)
    assert np.flatnonzero(missing).tolist() == [30, 31, 32]
    assert np.allclose(np.diff(even["load"].to_numpy()[29:34], n=2), 0)  # a straight line over the gap
    assert MovingEnergy(window=5).fit(even).step_ == 600.0
    series, _ = resample(shuffled["heat"], every="20min", how="max", fill="previous")
    assert series.name == "heat"
    assert len(series) == 30


def test_resample_refuses_what_has_no_clock():
    with pytest.raises(TypeError, match="DatetimeIndex, given ndarray"):
        resample(np.zeros(4), every="1h")
    with pytest.raises(ValueError, match="no rows, or NaT"):
        resample(frame(EVEN)[:0], every="1h")


@pytest.mark.parametrize(
    ("fill", "expected"), [("linear", [2, 2, 4, 6, 6]), ("previous", [2, 2, 2, 6, 6]), ("mean", [4, 2, 4, 6, 4])]
)
def test_fill_missing(fill, expected):
    x = np.array([[np.nan, 1], [2, 1], [np.nan, 1], [6, 1], [np.nan, np.nan]])
    filled, missing = fill_missing(x, fill=fill)
    np.testing.assert_array_equal(filled[:, 0], expected)
    assert missing.tolist() == [True, False, True, False, True]
    assert np.isnan(x[0, 0])


def test_fill_missing_takes_a_mask():
    filled, missing = fill_missing([1.0, 99.0, 3.0], [False, True, False])
    assert filled[:, 0].tolist() == [1, 2, 3]
    assert missing.tolist() == [False, True, False]
    with pytest.raises(ValueError, match=r"dtype int64 and shape \(2,\); a bool array of shape \(3,\)"):
        fill_missing([1.0, 2.0, 3.0], np.array([0, 1]))
    with pytest.raises(ValueError, match="channel 0 has no measured value"):
        fill_missing([np.nan, np.nan])
    with pytest.raises(ValueError, match="fill='spline' is unknown"):
        fill_missing([1.0], fill="spline")
