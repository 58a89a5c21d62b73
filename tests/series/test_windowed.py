"""Windowed: a row detector over windows equals what one does by hand."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from odkit import ECOD, GMM, KNN, DynamicThreshold, SlidingWindows, Windowed
from odkit.series import unroll, windowed


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(size=(200, 2))


@pytest.mark.parametrize("how", ["mean", "median", "max"])
@pytest.mark.parametrize("stride", [1, 4])
def test_equals_the_steps_by_hand(series, how, stride, monkeypatch):
    monkeypatch.setattr(windowed, "CHUNK_CELLS", 300)  # several chunks
    rows = SlidingWindows(window=10, stride=stride).fit_transform(series).reshape(-1, 20)
    by_hand = -unroll(-ECOD().fit(rows).score_samples(rows), 200, 10, stride, how)
    fitted = Windowed(ECOD(), window=10, stride=stride, how=how).fit(series)
    np.testing.assert_allclose(fitted.score_samples(series), by_hand, rtol=1e-12)


def test_takes_detectors_of_scikit_learn_and_pipelines(series):
    test = series.copy()
    test[100:110] *= 6
    for estimator in (IsolationForest(n_estimators=20), make_pipeline(StandardScaler(), KNN())):
        fitted = Windowed(estimator, window=5, random_state=0).fit(series)
        assert 95 <= np.argmin(fitted.score_samples(test)) < 115
        again = Windowed(estimator, window=5, random_state=0).fit(series)
        np.testing.assert_array_equal(fitted.score_samples(test), again.score_samples(test))


def test_training_windows_can_be_drawn(series):
    some = [Windowed(KNN(), window=10, max_windows=50, random_state=seed).fit(series) for seed in (0, 0, 1)]
    scores = [each.score_samples(series) for each in some]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_bad_parameters_are_named(series):
    with pytest.raises(ValueError, match="stride = 11 > window = 10"):
        Windowed(ECOD(), window=10, stride=11).fit(series)
    with pytest.raises(ValueError, match="estimator"):
        Windowed(StandardScaler()).fit(series)


@pytest.mark.parametrize("stride", [1, 4])
def test_the_estimator_names_the_channel(series, stride, monkeypatch):
    monkeypatch.setattr(windowed, "CHUNK_CELLS", 300)
    test = series.copy()
    test[100:110, 1] *= 8
    fitted = Windowed(KNN(), window=10, stride=stride).fit(series)
    parts = fitted.explain(test)
    np.testing.assert_allclose(parts.sum(axis=1), -fitted.score_samples(test), rtol=1e-9)
    assert fitted.detect(test)[0].channels[0] == 1
    for mute in (Windowed(KNN(), how="max"), Windowed(make_pipeline(StandardScaler(), KNN())), Windowed(GMM())):
        assert hasattr(mute, "explain") == isinstance(mute.estimator, GMM)


def test_scores_below_zero_are_cut_at_a_number(series):
    test = series / 100
    test[100:110] *= 8
    fitted = Windowed(GMM(), window=3).fit(series / 100)
    assert any(each.start < 110 and each.stop > 100 for each in fitted.detect(test, threshold=-5))
    with pytest.raises(ValueError, match=r"must be finite and >= 0.*detect\(X, threshold=number\)"):
        fitted.detect(test, threshold=DynamicThreshold())
