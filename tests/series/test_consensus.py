"""SeriesConsensus: the mean of members in units of their usual score, or of ranks."""

import numpy as np
import pytest
from scipy.stats import rankdata

from odkit import (
    ECOD,
    KNN,
    Autoregression,
    Discord,
    MovingEnergy,
    PolynomialResidual,
    SeriesConsensus,
    Windowed,
    anomaly_score,
)


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    t = np.arange(300)
    train, test = (np.sin(t / 4) + rng.normal(size=300) / 10 for _ in range(2))
    test[150:160] = 3
    return train, test


MEMBERS = [MovingEnergy(window=20), Autoregression(order=10), PolynomialResidual(window=20), Discord(window=20)]


def test_mean_of_ratios(series):
    train, test = series
    fitted = SeriesConsensus(detectors=MEMBERS).fit(train)
    parts = [anomaly_score(each.fit(train), test) / anomaly_score(each, train).mean() for each in MEMBERS]
    np.testing.assert_allclose(anomaly_score(fitted, test), np.mean(parts, axis=0), rtol=1e-6)
    assert fitted.window_ == 20
    assert 145 <= np.argmax(anomaly_score(fitted, test)) < 165


def test_mean_of_ranks(series):
    train, test = series
    fitted = SeriesConsensus(detectors=MEMBERS, how="rank", contamination=0.05).fit(train)
    parts = [rankdata(anomaly_score(each.fit(train), test)) / 300 for each in MEMBERS]
    np.testing.assert_allclose(anomaly_score(fitted, test), np.mean(parts, axis=0), rtol=1e-12)
    assert not hasattr(fitted, "explain")


def test_the_default_members_are_the_four_baselines(series):
    fitted = SeriesConsensus(window=30).fit(series[0])
    assert [type(each) for each in fitted.detectors_] == [MovingEnergy, Autoregression, PolynomialResidual, Discord]
    assert [each.window_ for each in fitted.detectors_] == [30, 51, 30, 30]


def test_a_member_that_compares_with_the_training_series_has_a_usual_score(series):
    train, test = series
    fitted = SeriesConsensus(detectors=[Discord(window=20, reference="train")]).fit(train)
    assert fitted.usual_[0] > 0.1
    assert anomaly_score(fitted, test).max() < 50


def test_errors(series):
    train, _ = series
    with pytest.raises(ValueError, match="detectors is empty"):
        SeriesConsensus(detectors=[]).fit(train)
    with pytest.raises(ValueError, match="ranks never reach"):
        SeriesConsensus(how="rank").fit(train)
    with pytest.raises(ValueError, match="order"):
        SeriesConsensus(detectors=[Autoregression(order=-1)]).fit(train)
    from sklearn.mixture import GaussianMixture

    with pytest.raises(ValueError, match=r"Windowed has negative anomaly scores .* how='rank'"):
        SeriesConsensus(detectors=[MovingEnergy(window=5), Windowed(GaussianMixture(), window=2)]).fit(train / 100)
    with pytest.raises(TypeError, match=r"KNN\(\) in detectors is no series detector.*Windowed"):
        SeriesConsensus(detectors=[KNN(), MovingEnergy(window=5)]).fit(train)
    assert SeriesConsensus(detectors=[Windowed(ECOD(), window=5)]).fit(train).usual_[0] > 0
