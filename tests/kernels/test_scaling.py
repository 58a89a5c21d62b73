"""Column scales against the plain formulas, and where plain formulas break."""

import numpy as np
import pytest

from odkit.kernels.cpu.scaling import column_scales
from tests import naive


@pytest.mark.parametrize("scaling", ["standard", "robust", None])
def test_equals_the_formulas(scaling, table):
    for X in (table, table[:2], table[:1], np.asfortranarray(table), table.astype(np.float32)):
        for ours, expected in zip(column_scales(X, scaling), naive.column_scales(X, scaling), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_a_column_of_rounding_noise_is_constant():
    noise = 1e6 * (1 + 1e-15 * np.arange(10))[:, None]
    location, scale, constant = column_scales(noise, "standard")
    assert (location[0], scale[0], constant[0]) == (noise[0, 0], 1.0, True)
    assert not column_scales(1e6 + 1e-3 * np.arange(10.0)[:, None], "standard")[2][0]


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_no_square_overflows_or_vanishes(size):
    x = np.array([1.0, 2.0, 4.0, 9.0])[:, None]
    location, scale, constant = column_scales(size * x, "standard")
    assert not constant[0]
    np.testing.assert_allclose([location[0], scale[0]], [4.0 * size, x.std(ddof=1) * size], rtol=1e-12)


def test_robust_falls_back_to_the_standard_deviation():
    x = np.r_[np.zeros(9), 10.0][:, None]
    np.testing.assert_allclose(column_scales(x, "robust")[1], x.std(ddof=1))
