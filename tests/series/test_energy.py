"""MovingEnergy: golden numbers, placement, clipping, speed's price in memory."""

import numpy as np
import pytest

from odkit import MovingEnergy, anomaly_score
from tests.devices import TWINS


def test_golden():
    train, test = np.tile([-1.0, 1.0], 50), np.zeros(20)
    test[10] = 3.0
    expected = np.zeros(20)
    expected[9:13] = 1.5
    np.testing.assert_allclose(anomaly_score(MovingEnergy(window=4).fit(train), test), expected, atol=1e-7)


def test_causal_looks_back_only():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    fitted = MovingEnergy(window=20, placement="causal").fit(x)
    changed = x.copy()
    changed[120:] = 50
    np.testing.assert_array_equal(fitted.score_samples(changed)[:120], fitted.score_samples(x)[:120])
    centred = MovingEnergy(window=20).fit(x)
    np.testing.assert_array_equal(fitted.score_samples(x)[19:], centred.score_samples(x)[10:191])


def test_a_channel_constant_in_training_cannot_drown_the_others():
    rng = np.random.default_rng(0)
    train = np.column_stack([rng.normal(size=300), np.zeros(300)])
    test = np.column_stack([rng.normal(size=300), np.full(300, 0.1)])
    test[100:110, 0] = 8
    assert anomaly_score(MovingEnergy(window=10).fit(train), test).max() < 10.1
    assert np.argmax(anomaly_score(MovingEnergy(window=10).fit(train), test)) in range(95, 110)
    assert anomaly_score(MovingEnergy(window=10, clip=None).fit(train), test).max() > 1e6
    assert anomaly_score(MovingEnergy(window=10).fit(train[:, 1]), test[:, 1]).max() > 1e6  # alone: intended


def test_the_window_can_be_the_period():
    x = np.sin(2 * np.pi * np.arange(1000) / 25)
    fitted = MovingEnergy(window="auto").fit(x)
    assert fitted.window_ == 25
    np.testing.assert_allclose(anomaly_score(fitted, x), 1.0, atol=1e-6)  # whole periods have equal energy
    with pytest.raises(ValueError, match="n_samples = 60 time steps; window = 125"):
        MovingEnergy(window="auto").fit(np.ones(60))


@pytest.mark.parametrize("device", TWINS)
def test_the_device_is_named_where_it_is_missing(device):
    with pytest.raises(RuntimeError, match="cuda:97"):
        MovingEnergy(window=5, device="cuda:97").fit(np.arange(20.0))
    x = np.random.default_rng(0).normal(size=(50, 2))
    twin = MovingEnergy(window=5, device=device).fit(x)
    np.testing.assert_allclose(twin.score_samples(x), MovingEnergy(window=5).fit(x).score_samples(x), rtol=1e-12)


def test_a_score_that_leaves_float64_is_refused():
    quiet = 1e-130 * np.sin(np.arange(60))
    with pytest.raises(ValueError, match=r"the score of step \d+ is -inf: measured by the training series"):
        MovingEnergy(window=5).fit(quiet).score_samples(1e260 * quiet)
