"""What is set after a fit waits for the next one; what `detect` is given as a threshold."""

import numpy as np
import pytest

from odkit import Autoregression, CorrelatedVote, Discord, DynamicThreshold, MovingEnergy
from odkit.series import above


@pytest.fixture(scope="module")
def x():
    return np.sin(np.arange(600) / 7) + np.random.default_rng(0).normal(size=600) / 10


@pytest.mark.parametrize("order", [3, 7])
def test_a_new_order_waits_for_the_next_fit(x, order):
    fitted = Autoregression(order=5).fit(x)
    before = fitted.score_samples(x)
    np.testing.assert_array_equal(fitted.set_params(order=order).score_samples(x), before)
    assert fitted.fit(x).window_ == order + 1


def test_a_new_reference_waits_for_the_next_fit(x):
    fitted = Discord(window=20).fit(x)
    before = fitted.score_samples(x)
    np.testing.assert_array_equal(fitted.set_params(reference="train").score_samples(x), before)
    assert fitted.fit(x).score_samples(x).max() == pytest.approx(0, abs=1e-6)
    assert fitted.set_params(reference="self").fit(x).reference_ is None


@pytest.mark.parametrize("changed", [{"task": "forecast"}, {"backbone": "mlp"}, {"latent": 3}, {"published": True}])
def test_a_new_network_waits_for_the_next_fit(x, changed):
    pytest.importorskip("torch")
    from odkit import HypAD

    fitted = HypAD(window=20, epochs=1, max_train_windows=128, random_state=0).fit(x)
    before = fitted.score_samples(x)
    np.testing.assert_array_equal(fitted.set_params(**changed).score_samples(x), before)


@pytest.mark.parametrize("changed", [{"order": 3}, {"memory": 60}, {"smooth": 5}, {"corr_window": 40}])
def test_a_vote_of_other_sizes_is_refused(x, changed):
    X = np.column_stack([x, -x])
    fitted = CorrelatedVote(memory=50, corr_window=50).fit(X).set_params(**changed)
    for call in (fitted.score_samples, fitted.partial_fit, fitted.stream):
        with pytest.raises(ValueError, match=r"were \(10, 50, 3, 50\) in fit; set them back, or fit again"):
            call(X)
    with pytest.raises(ValueError, match="set them back"):
        fitted.stream()


def test_a_number_is_a_threshold(x):
    test = x.copy()
    test[300:310] = 4
    fitted = MovingEnergy(window=20).fit(x)
    assert fitted.detect(test, threshold=1.5) == [
        each.__class__(each.start, each.stop, each.severity, each.peak, (0,))
        for each in above(-fitted.score_samples(test), 1.5)
    ]
    assert fitted.detect(test, threshold=np.float64(-fitted.offset_)) == fitted.detect(test)
    for wrong in ("auto", True, np.nan, DynamicThreshold, [0.5]):
        with pytest.raises(TypeError, match="a finite number, an object with find"):
            fitted.detect(test, threshold=wrong)
