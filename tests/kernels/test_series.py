"""The series kernels against the loops of tests/naive.py, on both backends."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit import kernels
from odkit.kernels.cpu import series as cpu
from odkit.series.windows import window_starts
from tests import naive


@pytest.fixture(params=["cpu", "torch"])
def device(request):
    if request.param == "torch":
        pytest.importorskip("torch")
    return request.param


@pytest.fixture
def call(device):
    """A kernel by name: numpy in, numpy out, on either backend."""
    k = kernels.on(device)

    def run(name, *args, **kwargs):
        args = [k.array(a) if isinstance(a, np.ndarray) else a for a in args]
        out = getattr(k.series, name)(*args, **kwargs)
        if isinstance(out, tuple):
            return tuple(k.numpy(part) for part in out)
        return out if isinstance(out, float) else k.numpy(out)

    return run


def test_the_twins_have_the_same_names_and_signatures():
    gpu = pytest.importorskip("odkit.kernels.gpu.series")
    assert cpu.__all__ == gpu.__all__
    for name in cpu.__all__:
        ours, twin = (inspect.signature(getattr(module, name)).parameters for module in (cpu, gpu))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in twin.values()], name


def _series(n=60, width=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width))


FORMS = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "float32": lambda x: x.astype(np.float32),
    "integers": lambda x: np.round(3 * x),
    "constant": lambda x: np.ones_like(x),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("window", "clip"), [(1, None), (7, None), (20, 0.5), (60, None), (59, None)])
def test_moving_energy(call, form, window, clip):
    x = FORMS[form](_series())
    mean, scale = np.array([0.1, -0.2]), np.array([1.0, 2.0])
    found = call("moving_energy", x, mean, scale, window, clip)
    np.testing.assert_allclose(found, naive.moving_energy(x.astype(float), mean, scale, window, clip), rtol=1e-12)


def test_a_spike_leaves_no_rounding_error_in_other_windows(call):
    x = _series(200, 1)
    spiked = x.copy()
    spiked[50] = 1e9
    one = np.ones(1)
    plain, after = (call("moving_energy", v, 0 * one, one, 10) for v in (x, spiked))
    np.testing.assert_allclose(after[51:], plain[51:], rtol=1e-12)


@pytest.mark.parametrize("how", ["mean", "median", "max"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize(
    ("n", "window", "stride"), [(6, 3, 1), (30, 7, 1), (30, 7, 3), (31, 4, 4), (9, 9, 1), (5, 1, 1)]
)
def test_unroll(call, how, per_step, n, window, stride):
    starts = window_starts(n, window, stride)
    values = np.random.default_rng(n).integers(0, 9, (len(starts), window) if per_step else len(starts)).astype(float)
    found = call("unroll", values, starts, n, window, how)
    np.testing.assert_allclose(found, naive.unroll(values, starts, n, window, how), rtol=1e-12)


def test_unroll_median_in_numpy_and_numba_and_in_chunks(monkeypatch):
    values = np.random.default_rng(0).normal(size=300).round(1)
    starts = np.arange(300)
    expected = naive.unroll(values, starts, 320, 21, "median")
    np.testing.assert_array_equal(cpu.unroll(values, starts, 320, 21, "median"), expected)
    monkeypatch.setattr(cpu, "compiled", lambda module, cells: None)
    monkeypatch.setattr(cpu, "_CELLS", 100)
    np.testing.assert_array_equal(cpu.unroll(values, starts, 320, 21, "median"), expected)


@pytest.mark.parametrize("order", [1, 4, 30])
def test_autoregression(call, order):
    x = _series(70, 1)[:, 0] + 3
    gram, cross = call("autoregression_moments", x, order)
    phi = np.array([[1.0, *x[t - order : t]] for t in range(order, len(x))])
    np.testing.assert_allclose(gram, phi.T @ phi, rtol=1e-11)
    np.testing.assert_allclose(cross, phi.T @ x[order:], rtol=1e-11)
    coef, residual = naive.autoregression(x, order, 1e-2)
    both = np.column_stack([x, x[::-1]])
    found = call("autoregression_residual", both, np.stack([coef, coef]))
    np.testing.assert_allclose(found[:, 0], residual, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "window", "degree", "neighbourhood"),
    [(200, 10, 4, 4), (205, 10, 4, 10), (61, 7, 2, 3), (40, 20, 1, 10), (300, 11, 3, 5), (30, 9, 0, 2)],
)
def test_polynomial_residual(call, n, window, degree, neighbourhood):
    x = np.cumsum(_series(n), axis=0)
    found = call("polynomial_residual", x, window, degree, neighbourhood)
    for c in range(2):
        expected = naive.polynomial_residual(x[:, c], window, degree, neighbourhood)
        np.testing.assert_allclose(found[:, c], expected, rtol=1e-8, atol=1e-10)


def test_polynomial_residual_without_surroundings_is_the_size_of_the_block(call):
    x = _series(12, 1)
    found = call("polynomial_residual", x, 12, 4, 10)
    np.testing.assert_allclose(found, np.sqrt((x**2).mean()), rtol=1e-12)


def test_polynomial_residual_in_chunks(monkeypatch):
    x = _series(500, 3)
    whole = cpu.polynomial_residual(x, 10, 4, 5)
    monkeypatch.setattr(cpu, "_CELLS", 1)
    np.testing.assert_allclose(cpu.polynomial_residual(x, 10, 4, 5), whole, rtol=1e-12)


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
    np.testing.assert_allclose(call("matrix_profile", x, window), expected, atol=2e-6)
    np.testing.assert_allclose(call("matrix_profile", x, window, n_jobs=2), expected, atol=2e-6)
    for reference in (PROFILES["noise"], PROFILES["half constant"][:15]):
        expected = naive.matrix_profile(x, window, reference)
        np.testing.assert_allclose(call("matrix_profile", x, window, reference), expected, atol=2e-6)


def test_matrix_profile_of_the_wave_with_a_ramp(call):
    x = np.sin(2 * np.pi * np.arange(1000) / 50)
    x[500:520] += np.linspace(0, 1, 20)
    profile = call("matrix_profile", x, 50)
    assert np.argmax(profile) == 515
    assert profile[515] == pytest.approx(2.0323, abs=1e-3)


@pytest.mark.parametrize("size", [1e4, 1e8, 1e12])
def test_matrix_profile_forgets_a_spike(call, size):
    x = np.concatenate([PROFILES["season"], PROFILES["noise"], PROFILES["half constant"]])
    x[[50, 130]] = size, -size
    np.testing.assert_allclose(call("matrix_profile", x, 8), naive.matrix_profile(x, 8), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 25), elements=st.integers(0, 6).map(float)), st.sampled_from([0.5, 1.0, 2.5]))
def test_exact_threshold_has_the_lowest_cost(values, z_min):
    cut = cpu.exact_threshold(values, z_min)
    best = naive.exact_threshold_cost(values, z_min) if values.std() > 0 else np.inf
    if np.isnan(cut):
        assert best == np.inf
    else:
        assert cut >= values.mean() + z_min * values.std() - 1e-12
        assert naive.threshold_cost(values, cut) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [0.0, 0.0, 0.0], [0.1] * 30])
def test_exact_threshold_of_nothing_to_find(call, values):
    assert np.isnan(call("exact_threshold", np.array(values), 2.5))


def test_exact_threshold_twins_agree(call):
    for seed in range(10):
        values = np.random.default_rng(seed).exponential(size=200).round(1)
        assert call("exact_threshold", values, 1.5) == pytest.approx(cpu.exact_threshold(values, 1.5), rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_vus_counts_twins_agree(call, seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(80) < [0.05, 0.3, 0.9][seed % 3]
    truth[:2] = [True, False]
    score = rng.integers(0, 20, 80).astype(float)
    for found, expected in zip(
        call("vus_counts", truth, score, 9, 30), cpu.vus_counts(truth, score, 9, 30), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
