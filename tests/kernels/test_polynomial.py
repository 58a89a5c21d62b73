"""Polynomial residuals against a loop, on both backends."""

import numpy as np
import pytest

from odkit.kernels.cpu import polynomial
from tests import naive


def _series(n=60, width=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width))


@pytest.mark.parametrize(
    ("n", "window", "degree", "neighbourhood"),
    [(200, 10, 4, 4), (205, 10, 4, 10), (61, 7, 2, 3), (40, 20, 1, 10), (300, 11, 3, 5), (30, 9, 0, 2)],
)
def test_polynomial_residual(call, n, window, degree, neighbourhood):
    x = np.cumsum(_series(n), axis=0)
    found = call("polynomial.polynomial_residual", x, window, degree, neighbourhood)
    for c in range(2):
        expected = naive.polynomial_residual(x[:, c], window, degree, neighbourhood)
        np.testing.assert_allclose(found[:, c], expected, rtol=1e-8, atol=1e-10)


def test_polynomial_residual_without_surroundings_is_the_size_of_the_block(call):
    x = _series(12, 1)
    found = call("polynomial.polynomial_residual", x, 12, 4, 10)
    np.testing.assert_allclose(found, np.sqrt((x**2).mean()), rtol=1e-12)


def test_polynomial_residual_in_chunks(monkeypatch):
    x = _series(500, 3)
    whole = polynomial.polynomial_residual(x, 10, 4, 5)
    monkeypatch.setattr(polynomial, "_CELLS", 1)
    np.testing.assert_allclose(polynomial.polynomial_residual(x, 10, 4, 5), whole, rtol=1e-12)
