"""Streams give, step by step, what score_samples gives for the whole series."""

import pickle

import numpy as np
import pandas as pd
import pytest

from odkit import Autoregression, MovingEnergy

ENERGY = MovingEnergy(window=20, placement="causal")


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    return np.cumsum(rng.normal(size=(400, 2)), axis=0), np.cumsum(rng.normal(size=(203, 2)), axis=0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("clip", ["auto", 0.5])
def test_energy(series, channels, clip):
    train, test = (X[:, :channels] for X in series)
    fitted = MovingEnergy(window=20, placement="causal", clip=clip).fit(train)
    stream = fitted.stream()
    live = np.array([stream.update(x) for x in test])
    np.testing.assert_allclose(live[19:], fitted.score_samples(test)[19:], rtol=1e-12)
    assert live[0] == pytest.approx(fitted.set_params(window=1).fit(train).score_samples(test)[0])
    assert stream.n_steps == 203


def test_energy_forgets_a_spike(series):
    train, _ = series
    stream = MovingEnergy(window=20, clip=None).fit(train).stream()
    calm = [stream.update(x) for x in np.zeros((60, 2))][-1]
    stream.update([1e12, 0])
    assert [stream.update(x) for x in np.zeros((45, 2))][-1] == pytest.approx(calm, rel=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
def test_autoregression(series, channels):
    train, test = (X[:, :channels] for X in series)
    fitted = Autoregression(order=7, span=5).fit(train)
    stream = fitted.stream()
    np.testing.assert_allclose([stream.update(x) for x in test], fitted.score_samples(test), rtol=1e-9)
    assert Autoregression(order=7, span=0.02).fit(train).span_ == 8


@pytest.mark.parametrize("detector", [ENERGY, Autoregression(order=7, span=5)])
def test_history_is_steps_seen(series, detector):
    train, test = series
    fitted = detector.fit(train)
    primed, slow = fitted.stream(history=test[:150]), fitted.stream()
    for x in test[:150]:
        slow.update(x)
    assert [primed.update(x) for x in test[150:]] == [slow.update(x) for x in test[150:]]


@pytest.mark.parametrize("detector", [ENERGY, Autoregression(order=7, span=5)])
def test_streams_leave_the_detector_alone(series, detector):
    train, test = series
    fitted = detector.fit(train)
    before = pickle.dumps(fitted.__dict__)
    one, other = fitted.stream(), fitted.stream()
    for x in test[:50]:
        one.update(10 * x)
    alone = fitted.stream()
    assert [other.update(x) for x in test] == [alone.update(x) for x in test]
    assert pickle.dumps(fitted.__dict__) == before
    twin = pickle.loads(pickle.dumps(one))
    assert twin.update(test[0]) == one.update(test[0])


def test_bad_steps_are_named(series):
    train, _ = series
    stream = ENERGY.fit(train).stream()
    with pytest.raises(ValueError, match="a step of 3 channels; the detector was fitted with 2"):
        stream.update([1.0, 2.0, 3.0])
    stream.update([1.0, 2.0])
    with pytest.raises(ValueError, match="step 1 holds nan in channel 1"):
        stream.update([1.0, np.nan])
    with pytest.raises(ValueError, match=r"step 1 holds 1e\+200 in channel 0"):
        stream.update([1e200, 1.0])
    assert stream.n_steps == 1
    assert MovingEnergy(window=3).fit(train[:, 0]).stream().update(1.0) < 0


def test_a_history_of_other_columns_is_refused():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    detector = MovingEnergy(window=5, placement="causal").fit(frame)
    assert detector.stream(frame[:10]).n_steps == 10
    with pytest.raises(ValueError, match="'b' stands where 'a' was"):
        detector.stream(frame[["b", "a"]])


def test_a_row_of_a_frame_has_its_channels_in_order():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=100), "b": 100 + rng.normal(size=100)})
    stream = MovingEnergy(window=20).fit(frame).stream()
    assert stream.update(pd.Series({"a": 0.5, "b": 109.0})) == stream.__class__.update(
        MovingEnergy(window=20).fit(frame).stream(), [0.5, 109.0]
    )
    for wrong in (pd.Series({"b": 109.0, "a": 0.5}), frame[["b", "a"]].iloc[:1]):
        with pytest.raises(ValueError, match=r"channels \['b', 'a'\]; the detector was fitted with \['a', 'b'\]"):
            stream.update(wrong)
    assert stream.n_steps == 1
