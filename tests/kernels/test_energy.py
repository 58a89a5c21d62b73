"""Energies of windows against a loop, on both backends."""

import numpy as np
import pytest

from tests import naive

FORMS = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "float32": lambda x: x.astype(np.float32),
    "integers": lambda x: np.round(3 * x),
    "constant": lambda x: np.ones_like(x),
}


def _series(n=60, width=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("window", "clip"), [(1, None), (7, None), (20, 0.5), (60, None), (59, None)])
def test_moving_energy(call, form, window, clip):
    x = FORMS[form](_series())
    mean, scale = np.array([0.1, -0.2]), np.array([1.0, 2.0])
    found = call("energy.moving_energy", x, mean, scale, window, clip)
    np.testing.assert_allclose(found, naive.moving_energy(x.astype(float), mean, scale, window, clip), rtol=1e-12)


def test_a_spike_leaves_no_rounding_error_in_other_windows(call):
    x = _series(200, 1)
    spiked = x.copy()
    spiked[50] = 1e9
    one = np.ones(1)
    plain, after = (call("energy.moving_energy", v, 0 * one, one, 10) for v in (x, spiked))
    np.testing.assert_allclose(after[51:], plain[51:], rtol=1e-12)
