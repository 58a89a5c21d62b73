"""Discord: closed forms, both references, what it cannot see."""

import numpy as np
import pytest

from odkit import Discord, anomaly_score
from tests.devices import TWINS

WAVE = np.sin(2 * np.pi * np.arange(1000) / 50)


def test_golden():
    x = WAVE.copy()
    x[500:520] += np.linspace(0, 1, 20)
    scores = anomaly_score(Discord(window=50).fit(WAVE), x)
    assert np.argmax(scores) == 515 + 25
    assert scores.max() == pytest.approx(2.0323, abs=1e-3)


def test_constant_and_noise():
    x = np.concatenate([np.ones(300), np.random.default_rng(0).normal(size=300)])
    scores = anomaly_score(Discord(window=50).fit(x), x)
    np.testing.assert_allclose(scores[25:276], 0, atol=1e-9)
    assert scores[400] == pytest.approx(np.sqrt(50))  # a constant window is nearer than any noise


def test_twins_hide_from_each_other_but_not_from_the_training_series():
    x = WAVE.copy()
    for start in (300, 700):
        x[start : start + 20] += np.linspace(0, 1, 20)
    assert anomaly_score(Discord(window=50).fit(WAVE), x)[315:350].max() < 1e-3
    against = anomaly_score(Discord(window=50, reference="train").fit(WAVE), x)
    assert against[315:350].max() > 1.5
    assert against[720:750].max() > 1.5
    assert against[450:650].max() < 1e-3


def test_level_and_amplitude_do_not_count():
    fitted = Discord(window=50).fit(WAVE)
    np.testing.assert_allclose(fitted.score_samples(7 * WAVE + 3), fitted.score_samples(WAVE), atol=1e-4)


def test_channels_are_averaged():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    both = anomaly_score(Discord(window=20).fit(x), x)
    single = [anomaly_score(Discord(window=20).fit(x[:, c]), x[:, c]) for c in range(2)]
    np.testing.assert_allclose(both, np.mean(single, axis=0), rtol=1e-12)


def test_the_offset_against_the_training_series_comes_from_its_self_join():
    x = WAVE + np.random.default_rng(0).normal(size=1000) / 20
    self_join, train = (Discord(window=50, reference=r).fit(x) for r in ("self", "train"))
    assert train.offset_ == self_join.offset_
    assert anomaly_score(train, x).max() < 1e-3


@pytest.mark.parametrize("device", TWINS)
def test_the_twin_on_torch(device):
    x = np.random.default_rng(0).normal(size=(300, 2))
    ours, twin = (Discord(window=20, device=d).fit(x).score_samples(x) for d in (None, device))
    np.testing.assert_allclose(twin, ours, rtol=1e-9)


@pytest.mark.parametrize("wrong", [{"window": 2}, {"reference": "both"}, {"n_jobs": "all"}])
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Discord(**wrong).fit(np.arange(300.0))
