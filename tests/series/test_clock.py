"""Even time stamps, or an error that names the place; resampling and filling on request."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import CorrelatedVote, MovingEnergy, score_frame
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
    assert fitted.step_.startswith(freq)
    later = frame(pd.date_range("2031-07-01", periods=12, freq=freq))
    assert len(fitted.score_samples(later)) == 12
    with pytest.raises(ValueError, match=rf"600 s apart, those of the training series were calendar steps \({freq}"):
        fitted.score_samples(frame(EVEN))
    with pytest.raises(ValueError, match=rf"calendar steps \({freq}.* training series were 600 s apart"):
        MovingEnergy(window=5).fit(frame(EVEN)).score_samples(frame(pd.date_range("2024", periods=60, freq=freq)))


@pytest.mark.parametrize(
    "clock",
    [lambda stamps: stamps.to_period("10min"), lambda stamps: stamps - stamps[0]],
    ids=["periods", "durations"],
)
def test_periods_and_durations_are_clocks(clock):
    fitted = MovingEnergy(window=5).fit(frame(clock(EVEN)))
    assert fitted.step_ == 600.0
    for spoilt, message in ((EVEN.delete(30), "evenly spaced"), (EVEN[::-1], "must increase")):
        with pytest.raises(ValueError, match=message):
            fitted.score_samples(frame(clock(spoilt)))


@pytest.mark.parametrize("labels", [EVEN.astype(str), pd.Index(EVEN.date, dtype=object)])
def test_stamps_in_disguise_are_refused(labels):
    with pytest.raises(TypeError, match=r"time stamps of type (str|date) \(2024-03-01.*pandas.to_datetime"):
        MovingEnergy(window=5).fit(frame(EVEN).set_axis(labels))
    assert MovingEnergy(window=5).fit(frame([f"row {i}" for i in range(60)])).step_ is None


def test_a_frame_before_a_pipeline_keeps_its_clock():
    rows = frame(EVEN)
    for detector in (make_pipeline(StandardScaler(), MovingEnergy(window=5)), MovingEnergy(window=5)):
        detector.fit(rows)
        assert len(score_frame(detector, rows)) == 60
        for spoilt, message in ((rows.drop(EVEN[30]), "evenly spaced"), (rows[::-1], "must increase")):
            with pytest.raises(ValueError, match=message):
                score_frame(detector, spoilt)
    kept = make_pipeline(StandardScaler().set_output(transform="pandas"), MovingEnergy(window=5)).fit(rows)
    with pytest.raises(ValueError, match="must increase"):
        kept.predict(rows[::-1])


def test_a_vote_learns_only_what_follows():
    rows = frame(EVEN)
    detector = CorrelatedVote(memory=5, corr_window=5, order=2).fit(rows[:30])
    for wrong in (rows[:20], rows[35:]):
        before = detector.score_samples(rows[30:])
        with pytest.raises(ValueError, match=r"the rows begin at .* after the last one learnt"):
            detector.partial_fit(wrong)
        np.testing.assert_array_equal(detector.score_samples(rows[30:]), before)
    detector.partial_fit(rows[30:40]).partial_fit(rows[40:50])
    whole = CorrelatedVote(memory=5, corr_window=5, order=2).fit(rows[:30]).partial_fit(rows[30:50])
    np.testing.assert_array_equal(detector.score_samples(rows[50:]), whole.score_samples(rows[50:]))


def test_days_are_days_where_the_clocks_change():
    winter = pd.date_range("2024-01-01", periods=60, freq="D", tz="Europe/Berlin")
    fitted = MovingEnergy(window=5).fit(frame(winter))
    spring = pd.date_range("2024-03-01", periods=60, freq="D", tz="Europe/Berlin")
    assert len(fitted.score_samples(frame(spring))) == 60


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


@pytest.mark.parametrize(("how", "value"), [("sum", 50.0), ("count", 1.0), ("max", 50.0)])
def test_a_sum_of_nothing_is_missing(how, value):
    stamps = pd.date_range("2024", periods=10, freq="10min").delete([4, 5])
    for X in (pd.Series(50.0, index=stamps), pd.DataFrame({"a": 50.0}, index=stamps)):
        even, missing = resample(X, "10min", how=how)
        assert np.flatnonzero(missing).tolist() == [4, 5]
        assert (even.to_numpy() == value).all()


def test_resample_refuses_what_has_no_clock():
    with pytest.raises(TypeError, match="DatetimeIndex, given ndarray"):
        resample(np.zeros(4), every="1h")
    with pytest.raises(TypeError, match="given DataFrame with a PeriodIndex; put time stamps there"):
        resample(frame(EVEN.to_period("10min")), every="1h")
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


def test_masks_of_numpy_are_read_or_refused():
    x = np.ma.masked_array([1, 99, 3, 4, 5, 6], mask=[0, 1, 0, 0, 0, 0])
    filled, missing = fill_missing(x)
    assert filled[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert missing.tolist() == [False, True, False, False, False, False]
    with pytest.raises(ValueError, match=r"masked array with 1 masked cells.*missing=mask"):
        MovingEnergy(window=3).fit(x)
    assert len(MovingEnergy(window=3).fit(x.data).score_samples(x[2:])) == 4
