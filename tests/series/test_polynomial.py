"""PolynomialResidual: closed forms."""

import numpy as np
import pytest

from odkit import PolynomialResidual, anomaly_score
from tests.devices import TWINS


def test_golden():
    t = np.linspace(-1, 1, 1000)
    quartic = 3 * t**4 - t + 2
    fitted = PolynomialResidual().fit(quartic)
    assert anomaly_score(fitted, quartic).max() < 1e-12
    bumped = quartic.copy()
    bumped[550] += np.ptp(quartic)
    scores = anomaly_score(fitted, bumped)
    np.testing.assert_allclose(scores[500:600], 0.1, atol=1e-9)
    np.testing.assert_allclose(scores[[400, 499]], 0.004442, atol=1e-6)
    np.testing.assert_allclose(scores[[600, 699]], 0.003649, atol=1e-6)


def test_a_lower_degree_does_not_follow():
    t = np.linspace(-1, 1, 1000)
    assert anomaly_score(PolynomialResidual(degree=3).fit(t**4), t**4).max() > 1e-4


def test_scale_comes_from_training():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=400), rng.normal(size=400)
    fitted = PolynomialResidual(window=20).fit(train)
    np.testing.assert_allclose(anomaly_score(fitted, test * 3 + 5), 3 * anomaly_score(fitted, test), rtol=1e-8)


@pytest.mark.parametrize("device", TWINS)
def test_the_twin_on_torch(device):
    x = np.random.default_rng(0).normal(size=(205, 2))
    ours, twin = (PolynomialResidual(window=10, device=d).fit(x).score_samples(x) for d in (None, device))
    np.testing.assert_allclose(twin, ours, rtol=1e-9)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"degree": -1}, {"neighbourhood": 1}])
def test_bad_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PolynomialResidual(**wrong).fit(np.arange(300.0))
