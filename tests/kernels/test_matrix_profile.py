"""The matrix profile against all pairs of windows, on both backends."""

import numpy as np
import pytest

from tests import naive

PROFILES = {
    "noise": np.random.default_rng(1).normal(size=80),
    "season": np.sin(np.arange(80) / 3) + np.random.default_rng(2).normal(size=80) / 10,
    "half constant": np.concatenate([np.full(40, 2.0), np.random.default_rng(3).normal(size=40)]),
    "constant": np.ones(60),
    "steps": np.repeat([0.0, 1.0, 0.0, 5.0], 15),
    "far from 0": np.random.default_rng(4).normal(size=60) + 1e6,
    "too short for a partner": np.random.default_rng(5).normal(size=13),
}


@pytest.mark.parametrize("case", PROFILES)
@pytest.mark.parametrize("window", [4, 12])
def test_matrix_profile(call, case, window):
    x = PROFILES[case]
    expected = naive.matrix_profile(x, window)
    np.testing.assert_allclose(call("matrix_profile.matrix_profile", x, window), expected, atol=2e-6)
    np.testing.assert_allclose(call("matrix_profile.matrix_profile", x, window, n_jobs=2), expected, atol=2e-6)
    for reference in (PROFILES["noise"], PROFILES["half constant"][:15]):
        expected = naive.matrix_profile(x, window, reference)
        np.testing.assert_allclose(call("matrix_profile.matrix_profile", x, window, reference), expected, atol=2e-6)


def test_matrix_profile_of_the_wave_with_a_ramp(call):
    x = np.sin(2 * np.pi * np.arange(1000) / 50)
    x[500:520] += np.linspace(0, 1, 20)
    profile = call("matrix_profile.matrix_profile", x, 50)
    assert np.argmax(profile) == 515
    assert profile[515] == pytest.approx(2.0323, abs=1e-3)


@pytest.mark.parametrize("size", [1e4, 1e8, 1e12])
def test_matrix_profile_forgets_a_spike(call, size):
    x = np.concatenate([PROFILES["season"], PROFILES["noise"], PROFILES["half constant"]])
    x[[50, 130]] = size, -size
    np.testing.assert_allclose(call("matrix_profile.matrix_profile", x, 8), naive.matrix_profile(x, 8), atol=1e-5)
