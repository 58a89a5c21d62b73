"""CorrelatedVote: a vote of channels that move together; scores go on where the training rows ended."""

import pickle

import numpy as np
import pytest

from odkit import CorrelatedVote, anomaly_score
from tests import naive

SMALL = {"order": 3, "memory": 30, "corr_window": 40}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    pulse = np.sin(np.arange(500) / 7)
    X = np.column_stack([pulse, -pulse, 2 * pulse, rng.normal(size=500)]) + rng.normal(size=(500, 4)) / 50
    X[400, :3] += 1.0
    X[450, 3] += 9.0
    return X


def test_equals_the_definition(rows):
    fitted = CorrelatedVote(**SMALL).fit(rows[:300])
    scaled = rows / np.abs(rows[:300]).max(axis=0)
    parts, alarms = naive.correlated_vote(scaled, 3, 0.999, 30, 3, 40, 0.7, 0.5, 3.0)
    np.testing.assert_allclose(fitted.explain(rows[300:]), parts[300:], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(anomaly_score(fitted, rows[300:]), parts[300:].sum(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(fitted.alarms(rows[300:]), alarms[300:])
    training = parts[:300].sum(axis=1)
    assert fitted.offset_ == pytest.approx(-(training.mean() + 4 * training.std()))


def test_a_group_is_heard_and_a_single_channel_is_not(rows):
    fitted = CorrelatedVote(**SMALL).fit(rows[:300])
    scores = anomaly_score(fitted, rows[300:])
    assert np.argmax(scores) + 300 in (400, 401, 402)
    assert scores[145:155].max() < scores.max() / 4
    assert fitted.predict(rows[300:])[100] == -1
    [worst] = [each for each in fitted.detect(rows[300:]) if each.start <= 100 < each.stop]
    assert 3 not in worst.channels


def test_uncorrelated_channels_have_no_vote():
    X = np.random.default_rng(0).normal(size=(400, 3))
    X[350] += 50
    fitted = CorrelatedVote(**SMALL).fit(X[:200])
    assert anomaly_score(fitted, X[200:340]).max() == 0


def test_partial_fit_continues(rows):
    first, parts = CorrelatedVote(**SMALL).fit(rows[:300]), CorrelatedVote(**SMALL).partial_fit(rows[:300])
    offset, expected = first.offset_, first.score_samples(rows[300:])
    first.partial_fit(rows[300:400])
    for begin, end in ((300, 301), (301, 302), (302, 400)):
        parts.partial_fit(rows[begin:end])
    for name, array in first.state_.items():
        np.testing.assert_array_equal(parts.state_[name], array)
    assert first.offset_ == parts.offset_ == offset
    np.testing.assert_array_equal(first.score_samples(rows[400:]), expected[100:])
    assert first.fit(rows[:300]).state_["step"][0] == 300  # fit starts anew


def test_the_stream_equals_the_batch(rows):
    fitted = CorrelatedVote(**SMALL).fit(rows[:300])
    before = pickle.dumps(fitted.__dict__)
    stream = fitted.stream()
    live = [stream.update(row) for row in rows[300:]]
    np.testing.assert_array_equal(live, fitted.score_samples(rows[300:]))
    primed = fitted.stream(history=rows[300:400])
    assert [primed.update(row) for row in rows[400:]] == live[100:]
    assert pickle.dumps(fitted.__dict__) == before


def test_scaling_a_channel_changes_nothing(rows):
    factors = np.array([1e-6, 1.0, 1e6, 3.0])
    plain = CorrelatedVote(**SMALL).fit(rows[:300]).score_samples(rows[300:])
    scaled = CorrelatedVote(**SMALL).fit(rows[:300] * factors).score_samples(rows[300:] * factors)
    np.testing.assert_allclose(scaled, plain, rtol=1e-6)


def test_errors(rows):
    with pytest.raises(ValueError, match="n_features = 1 channels; a vote needs at least 2"):
        CorrelatedVote(**SMALL).fit(rows[:, :1])
    with pytest.raises(
        ValueError, match="n_samples = 40 time steps; memory = 30 with corr_window = 40 needs at least 41"
    ):
        CorrelatedVote(**SMALL).fit(rows[:40])
    with pytest.raises(ValueError, match="rho"):
        CorrelatedVote(rho=1.5).fit(rows)
    with pytest.raises(ValueError, match="3 features"):
        CorrelatedVote(**SMALL).fit(rows).partial_fit(rows[:, :3])
