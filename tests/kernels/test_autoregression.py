"""Linear prediction against the regression matrix, on both backends."""

import numpy as np
import pytest

from tests import naive


def _series(n=60, width=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width))


@pytest.mark.parametrize("order", [1, 4, 30])
def test_autoregression(call, order):
    x = _series(70, 1)[:, 0] + 3
    gram, cross = call("autoregression.autoregression_moments", x, order)
    phi = np.array([[1.0, *x[t - order : t]] for t in range(order, len(x))])
    np.testing.assert_allclose(gram, phi.T @ phi, rtol=1e-11)
    np.testing.assert_allclose(cross, phi.T @ x[order:], rtol=1e-11)
    coef, residual = naive.autoregression(x, order, 1e-2)
    both = np.column_stack([x, x[::-1]])
    found = call("autoregression.autoregression_residual", both, np.stack([coef, coef]))
    np.testing.assert_allclose(found[:, 0], residual, atol=1e-12)
