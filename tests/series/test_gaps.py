"""Steps that `missing` marks are no evidence: no alarm beside them, whatever their length, and none lost elsewhere."""

import numpy as np
import pandas as pd
import pytest

from odkit import (
    KNN,
    Autoregression,
    CorrelatedVote,
    Discord,
    DynamicThreshold,
    HypAD,
    MovingEnergy,
    PolynomialResidual,
    SeriesConsensus,
    Windowed,
)
from odkit.series import Interval
from odkit.series.intervals import outside

DETECTORS = [
    MovingEnergy(window=40),
    MovingEnergy(window=40, placement="causal"),
    Autoregression(order=40),
    PolynomialResidual(window=40),
    Discord(window=40),
    SeriesConsensus(window=40),
    Windowed(KNN(), window=40),
    Windowed(KNN(), window=40, stride=7, how="max"),
]
detectors = pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: repr(each)[:40])


def clean(seed, n=1500):
    return np.sin(np.arange(n) / 7) + 0.1 * np.random.default_rng(seed).normal(size=n)


@detectors
@pytest.mark.parametrize("gap", [4, 20, 40, 60])  # .1 to 1.5 windows
@pytest.mark.parametrize("threshold", [None, DynamicThreshold()])
def test_no_alarm_comes_from_a_gap(detector, gap, threshold):
    for seed in range(3):
        x, missing = clean(seed + 10), np.zeros(1500, bool)
        detector.fit(clean(seed))
        missing[700 : 700 + gap] = True
        without = detector.detect(x, threshold=threshold)
        x[missing] = np.nan
        for each in detector.detect(x, threshold=threshold, missing=missing):
            assert not missing[each.start : each.stop].any()
            assert any(each.start < other.stop and other.start < each.stop for other in without)


@detectors
def test_an_anomaly_away_from_the_gap_is_found(detector):
    x, missing = clean(10), np.zeros(1500, bool)
    x[1000:1020] += 3 * np.random.default_rng(1).normal(size=20)
    missing[700:760] = True
    found = detector.fit(clean(0)).detect(np.where(missing, np.nan, x), missing=missing)
    assert any(each.start < 1020 and each.stop > 1000 for each in found)


@detectors
def test_what_stands_in_a_gap_does_not_matter(detector):
    """The scores that count are the same whatever the gap is filled with, to what an exponential forgets."""
    x, missing = clean(10), np.zeros(1500, bool)
    missing[700:760] = True
    fitted = detector.fit(clean(0))
    blind = fitted._looks_at(missing)
    assert blind[missing].all()
    assert blind.sum() < 300
    one, other = (fitted.score_samples(np.where(missing, value, x)) for value in (0.0, 0.7))
    # a curve goes through ten windows, and a window may have its twin in the gap
    if not isinstance(detector, PolynomialResidual | Discord | SeriesConsensus):
        assert np.abs(one - other)[~blind].max() < 0.01 * np.abs(one).mean()


@pytest.mark.parametrize("task", ["reconstruct", "forecast"])
def test_no_alarm_comes_from_a_gap_of_a_network(task):
    pytest.importorskip("torch")
    fitted = HypAD(window=40, n_critic=0, epochs=8, task=task, random_state=0).fit(clean(0))
    x, missing = clean(10), np.zeros(1500, bool)
    missing[700:740] = True
    without = fitted.detect(x)
    for each in fitted.detect(np.where(missing, np.nan, x), missing=missing):
        assert any(each.start < other.stop and other.start < each.stop for other in without)
    one, other = (fitted.score_samples(np.where(missing, value, x)) for value in (0.0, 0.7))
    np.testing.assert_allclose(one[~fitted._looks_at(missing)], other[~fitted._looks_at(missing)], rtol=1e-4)


def test_a_vote_remembers_a_gap_as_long_as_its_memory():
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(2000) / 7)[:, None] * [1, -1, 2] + rng.normal(size=(2000, 3)) / 20
    missing = np.zeros(1000, bool)
    missing[300:340] = True
    detector = CorrelatedVote(memory=50, corr_window=50).fit(X[:1000])
    assert not any(
        each.start < 450 and each.stop > 300
        for each in detector.detect(np.where(missing[:, None], np.nan, X[1000:]), missing=missing)
    )


def test_nothing_left_is_an_error():
    missing = np.arange(1500) % 30 == 0
    with pytest.raises(ValueError, match=r"every score looks at one of the 50 steps .* Fill short gaps"):
        MovingEnergy(window=40).fit(clean(0)).detect(clean(1), missing=missing)


def test_a_series_that_is_mostly_wrong_is_cut_at_the_gap():
    x, missing = clean(10) + 5, np.zeros(1500, bool)
    missing[700:720] = True
    found = MovingEnergy(window=40).fit(clean(0)).detect(pd.Series(x), missing=missing)
    assert (found["start"] <= found["end"]).all()
    assert found["start"].tolist() == [0, 740]
    assert found["end"].tolist() == [680, 1499]


def test_outside():
    steps = np.isin(np.arange(10), [4, 5])
    assert outside([Interval(2, 9, peak=3)], steps) == [Interval(2, 4, peak=3)]
    assert outside([Interval(2, 9)], steps)[0].stop == 4
    assert outside([Interval(4, 6)], steps) == []
    assert outside([Interval(6, 8, peak=6)], steps) == [Interval(6, 8, peak=6)]
