"""The forward pass and the error terms against neuron-by-neuron loops, closed forms and scipy, on both backends."""

import numpy as np
import pytest
from scipy.stats import norm

from odkit import kernels
from tests import naive
from tests.devices import DEVICES

x, mean, variance = (np.array([row]) for row in ([1.0, 2.0], [0.0, 2.0], [4.0, 1.0]))


@pytest.fixture(params=DEVICES)
def k(request):
    return kernels.on(request.param)


def apre(k, target, mean, variance, alpha, beta, min_variance):
    target, mean, variance = (k.array(part) for part in (target, mean, variance))
    terms = k.reconstruction.apre_terms(target, mean, variance, alpha, beta, min_variance)
    return sum(k.numpy(term) for term in terms).sum(axis=-1)


def test_closed_forms(k):
    shifted = np.array([[0.5, 1.0]])
    assert k.numpy(k.reconstruction.mse_terms(k.array(x), k.array(mean))).sum() == 1
    assert k.numpy(k.reconstruction.mse_terms(k.array(shifted), k.array(mean))).sum() == 1.25
    np.testing.assert_allclose(apre(k, x, mean, variance, 1, 1, 1e-5), [1.636294], atol=1e-6)
    np.testing.assert_allclose(apre(k, x, mean, variance, 0.5, 2, 1e-5), [2.897589], atol=1e-6)
    np.testing.assert_allclose(apre(k, shifted, mean, variance, 0.5, 2, 1e-5), [3.303839], atol=1e-6)


def test_pre_is_twice_the_negative_log_density(k):
    rng = np.random.default_rng(0)
    rows, means, variances = rng.normal(size=(9, 4)), rng.normal(size=(9, 4)), rng.uniform(0.1, 3, size=(9, 4))
    log_density = norm.logpdf(rows, means, np.sqrt(variances)).sum(axis=1)
    expected = -2 * log_density - 4 * np.log(2 * np.pi)
    np.testing.assert_allclose(apre(k, rows, means, variances, 1, 1, 1e-5), expected, rtol=1e-10)
    ones = apre(k, rows, means, np.ones((9, 4)), 1, 1, 1e-5)
    np.testing.assert_allclose(ones, ((rows - means) ** 2).sum(axis=1), rtol=1e-12)


def test_the_variance_floor_and_the_loops(k):
    rng = np.random.default_rng(1)
    rows, means, variances = rng.normal(size=(3, 6, 5)), rng.normal(size=(3, 6, 5)), rng.uniform(0, 2, size=(3, 6, 5))
    got = apre(k, rows, means, variances, 0.7, 1.3, 1.0)
    expected = [
        [naive.apre(rows[e, i], means[e, i], variances[e, i], 0.7, 1.3, 1.0) for i in range(6)] for e in range(3)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("two_heads", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_forward_pass_equals_the_loops(k, two_heads, dtype):
    rng = np.random.default_rng(2)
    shapes = [(3, 2), (2, 3)] + [(3, 3)] * (1 + two_heads)
    weights = [rng.normal(size=(2, *shape)).astype(dtype) for shape in shapes]
    biases = [rng.normal(size=(2, 1, shape[1])).astype(dtype) for shape in shapes]
    rows = np.vstack([rng.normal(size=(4, 3)), [[1e9, -1e9, 0.0], [0.0, 0.0, 0.0]]])
    state = ([k.array(a) for a in part] for part in (weights, biases))
    got = k.reconstruction.reconstruct(k.array(rows), *state, two_heads)
    for e in range(2):
        for i, row in enumerate(rows):
            expected = naive.reconstruct(
                row, [w[e].astype(float) for w in weights], [b[e].astype(float) for b in biases], two_heads
            )
            np.testing.assert_allclose(k.numpy(got[0])[e, i], expected[0], rtol=1e-9, atol=1e-9)
            if two_heads:
                np.testing.assert_allclose(k.numpy(got[1])[e, i], expected[1], rtol=1e-9)
    assert two_heads or got[1] is None


def test_mean_terms_average_the_members(k):
    rng = np.random.default_rng(3)
    target, mean, variance = rng.normal(size=(6, 4)), rng.normal(size=(3, 6, 4)), rng.uniform(0, 2, size=(3, 6, 4))
    given = [k.array(part) for part in (target, mean, variance)]
    parts = [k.numpy(part) for part in k.reconstruction.mean_terms(*given, 0.7, 1.3, 0.5)]
    expected = [
        np.mean([naive.apre(target[i], mean[e, i], variance[e, i], 0.7, 1.3, 0.5) for e in range(3)]) for i in range(6)
    ]
    np.testing.assert_allclose((parts[0] + parts[1]).sum(axis=1), expected, rtol=1e-12)
    assert (parts[0] >= 0).all()
    deviation, log_variance = k.reconstruction.mean_terms(*given[:2], None, 0.7, 1.3, 0.5)
    np.testing.assert_allclose(k.numpy(deviation), ((target - mean) ** 2).mean(axis=0), rtol=1e-12)
    assert not k.numpy(log_variance).any()


@pytest.mark.parametrize("two_heads", [False, True])
def test_errors_in_chunks_are_those_of_all_rows_at_once(k, two_heads, monkeypatch):
    rng = np.random.default_rng(4)
    shapes = [(3, 2), (2, 3)] + [(2, 3)] * two_heads
    state = [
        [k.array(rng.normal(size=(2, *s))) for s in shapes],
        [k.array(rng.normal(size=(2, 1, s[1]))) for s in shapes],
    ]
    rows = k.array(rng.normal(size=(150, 3)))
    whole = k.reconstruction.mean_terms(rows, *k.reconstruction.reconstruct(rows, *state, two_heads), 0.5, 2.0, 0.1)
    monkeypatch.setattr("odkit.kernels.cpu.reconstruction.CELLS", 1)  # 64 rows
    pytest.importorskip("torch")
    monkeypatch.setattr("odkit.kernels.gpu.reconstruction.ROWS", 64)
    pieces = k.reconstruction.errors(rows, *state, two_heads, 0.5, 2.0, 0.1)
    for piece, part in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(k.numpy(piece), k.numpy(part), rtol=1e-12, atol=1e-14)
