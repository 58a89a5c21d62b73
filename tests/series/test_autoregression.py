"""Autoregression: closed forms and the definition."""

import numpy as np
import pandas as pd
import pytest

from odkit import Autoregression, anomaly_score
from odkit.metrics.vus import vus
from odkit.series.autoregression import smoothed
from tests import naive
from tests.devices import TWINS


def test_equals_the_regression_matrix():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=400))
    fitted = Autoregression(order=7, span=2).fit(x)
    scaled = x / np.abs(x).max()
    coef, residual = naive.autoregression(scaled, 7, 1e-2)
    np.testing.assert_allclose(fitted.coef_[0], coef, rtol=1e-8)
    filled = np.append(np.full(7, fitted.error_[0]), residual)
    assert fitted.error_[0] == pytest.approx(residual.mean())
    expected = pd.Series(filled).ewm(span=4).mean()  # 1 % of 400 steps
    np.testing.assert_allclose(anomaly_score(fitted.set_params(span=0.01), x), expected, rtol=1e-8)


def test_golden_smoothing():
    found = smoothed(np.array([0.0, 0, 4, 0, 0]), 3)
    np.testing.assert_allclose(found, [0, 0, 2.285714, 1.066667, 0.516129], atol=1e-6)


def test_residual_of_its_own_model_is_the_noise():
    rng = np.random.default_rng(0)
    x = np.zeros(5000)
    for t in range(1, 5000):
        x[t] = 0.8 * x[t - 1] + rng.normal()
    fitted = Autoregression(ridge=1e-9).fit(x)
    assert fitted.error_[0] * fitted.scale_[0] == pytest.approx(np.sqrt(2 / np.pi), rel=0.02)


def test_a_channel_constant_in_training_gets_a_moving_average():
    fitted = Autoregression(order=5).fit(np.full(200, -3.0))
    assert (fitted.coef_ < 0).any() or (fitted.coef_ > 0).all()
    np.testing.assert_allclose(fitted.coef_[0, 1:], fitted.coef_[0, 1], rtol=1e-6)


def test_channels_weigh_alike_whatever_their_error():
    rng = np.random.default_rng(0)
    train = np.column_stack([rng.normal(size=500), np.sin(np.arange(500) / 9)])
    test = train.copy()
    test[250, 1] += 0.5  # small beside the noise of channel 0, huge beside the error of channel 1
    fitted = Autoregression(order=10, span=2).fit(train)
    assert np.argmax(anomaly_score(fitted, test)) == 250


@pytest.mark.parametrize("device", TWINS)
def test_the_twin_on_torch(device):
    x = np.random.default_rng(0).normal(size=(200, 2))
    twin, ours = Autoregression(order=5, device=device).fit(x), Autoregression(order=5).fit(x)
    np.testing.assert_allclose(twin.coef_, ours.coef_, rtol=1e-9)
    np.testing.assert_allclose(twin.score_samples(x), ours.score_samples(x), rtol=1e-9)


@pytest.mark.parametrize("wrong", [{"order": 0}, {"ridge": 0.0}, {"span": 1.5}, {"span": 1}, {"contamination": "none"}])
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Autoregression(**wrong).fit(np.arange(200.0))


@pytest.mark.parametrize(("level", "pr"), [(0, 0.98), (10, 0.77), (1e4, 0.02)])
def test_a_level_far_from_0_blinds_it_as_the_docstring_says(level, pr):
    rng, wave = np.random.default_rng(0), np.sin(np.arange(3000) / 15)
    train, test = (wave + rng.normal(size=3000) / 20 for _ in range(2))
    truth = np.arange(3000) // 100 == 15
    test[truth] = test[1500]  # the sensor sticks
    found = vus(truth, anomaly_score(Autoregression().fit(train + level), test + level))[1]
    assert found == pytest.approx(pr, abs=0.01)
