"""The passes of a Gaussian mixture against the loops of tests/naive.py: numpy, numba and torch."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit import kernels
from odkit.kernels.cpu import em, mixture, mixture_search
from odkit.kernels.cpu.mixture_clusters import clusters, seeds, standardised
from odkit.kernels.cpu.mixture_criteria import collapsed
from tests import naive
from tests.devices import TWINS

KINDS = ["full", "tied", "diag", "spherical"]


@pytest.fixture(params=["numpy", "numba", *TWINS])
def backend(request, monkeypatch):
    if request.param not in ("numpy", "numba"):
        return kernels.on(request.param)
    monkeypatch.setattr(mixture, "EM_WORK", 0 if request.param == "numba" else np.inf)
    return kernels.on("cpu")


def make(kind, d=3, n_components=2, n=150, seed=0):
    """Rows with correlated columns, and a mixture of the kind near them with its full covariances."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d))) + 4
    means = X[rng.choice(n, n_components, replace=False)]
    halves = rng.normal(size=(n_components, d, d + 2))
    full = halves @ halves.transpose(0, 2, 1) / d + 0.1 * np.eye(d)
    given_form = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, axis1=1, axis2=2).copy(),
        "spherical": np.diagonal(full, axis1=1, axis2=2).mean(axis=1),
    }[kind]
    weights = np.arange(1.0, n_components + 1) / np.arange(1, n_components + 1).sum()
    return X, em.from_covariances(kind, weights, means, given_form)


def as_full(mix):
    n_components, d = mix.means.shape
    if mix.covariance_type == "full":
        return mix.covariances
    if mix.covariance_type == "tied":
        return np.broadcast_to(mix.covariances, (n_components, d, d))
    flat = np.broadcast_to(mix.covariances.reshape(n_components, -1), (n_components, d))
    return np.array([np.diag(row) for row in flat])


def on_rows(backend, quantity, X, mix, **more):
    arguments = [backend.array(part) for part in em.kernel_arguments(mix)]
    return getattr(backend.mixture, quantity)(backend.array(X), *arguments, **more)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "n_components"), [(1, 1), (2, 3), (3, 2), (4, 1), (5, 2), (9, 4)])
def test_densities_equal_the_loops(backend, kind, d, n_components):
    X, mix = make(kind, d, n_components)
    expected = naive.mixture_log_densities(X, mix.weights, mix.means, as_full(mix))
    np.testing.assert_allclose(backend.numpy(on_rows(backend, "log_densities", X, mix)), expected, rtol=1e-11)
    log_p = backend.numpy(on_rows(backend, "log_prob", X, mix))
    np.testing.assert_allclose(log_p, np.logaddexp.reduce(expected, axis=1), rtol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "n_components"), [(1, 2), (3, 2), (6, 3)])
def test_one_iteration_equals_the_loops(backend, kind, d, n_components):
    X, mix = make(kind, d, n_components)
    sums = on_rows(backend, "em_sums", X, mix)
    after = em.m_step(sums, mix, 1e-3)
    log_p, weights, means, covariances = naive.em_step(X, mix.weights, mix.means, as_full(mix), 1e-3, kind)
    assert sums["n"] == len(X)
    assert sums["log_likelihood"] / len(X) == pytest.approx(log_p, rel=1e-12)
    np.testing.assert_allclose(after.weights, weights, rtol=1e-10)
    np.testing.assert_allclose(after.means, means, rtol=1e-10)
    np.testing.assert_allclose(as_full(after), covariances, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128])
@pytest.mark.parametrize("kind", ["full", "diag"])
def test_partial_blocks_of_lanes(backend, kind, n):
    X, mix = make(kind, n=200)
    sums = on_rows(backend, "em_sums", X[:n], mix)
    mixture_sums = mixture.em_sums(X[:n], *em.kernel_arguments(mix))
    for key in ("mass", "first", "second"):
        np.testing.assert_allclose(sums[key], mixture_sums[key], rtol=1e-10, atol=1e-12)
    assert sums["mass"].sum() == pytest.approx(n)


@pytest.mark.parametrize("form", ["float32", "read-only", "strided"])
def test_forms_of_rows(backend, form):
    X, mix = make("full")
    X = X.astype(np.float32)
    given_form = {"float32": X, "read-only": X.astype(float), "strided": np.repeat(X.astype(float), 2, axis=0)[::2]}[
        form
    ]
    if form == "read-only":
        given_form.flags.writeable = False
    expected = naive.mixture_log_densities(X, mix.weights, mix.means, as_full(mix))
    result = backend.numpy(on_rows(backend, "log_densities", np.ascontiguousarray(given_form), mix))
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=1e-11)


def test_rows_out_of_reach_have_density_zero(backend):
    X, mix = make("full")
    X[3] = 1e200
    log_p = backend.numpy(on_rows(backend, "log_prob", X, mix))
    assert log_p[3] == -np.inf
    assert np.isfinite(np.delete(log_p, 3)).all()
    sums = on_rows(backend, "em_sums", X, mix)
    assert sums["log_likelihood"] == -np.inf
    with pytest.raises(ValueError, match="further from every component"):
        em.run(lambda *arguments: sums, mix, len(X), 1e-6, 1e-3, 10)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_reasons_sum_to_half_the_distance(backend, kind):
    X, mix = make(kind)
    component = np.arange(len(X)) % 2
    arguments = [backend.array(part) for part in em.kernel_arguments(mix)[:2]]
    parts = backend.numpy(backend.mixture.distance_parts(backend.array(X), *arguments, backend.array(component)))
    for x, part, k in zip(X[:20], parts, component, strict=False):
        z, precision = x - mix.means[k], np.linalg.inv(as_full(mix)[k])
        np.testing.assert_allclose(part, z * (precision @ z) / 2, rtol=1e-9, atol=1e-12)


def test_threads_change_no_bit(backend):
    X, mix = make("full", n=20_000)
    one, three = (on_rows(backend, "em_sums", X, mix, n_jobs=n_jobs) for n_jobs in (1, 3))
    np.testing.assert_array_equal(one["second"], three["second"])
    assert one["log_likelihood"] == three["log_likelihood"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=0, max_size=5), st.sampled_from(KINDS), st.randoms())
def test_sums_of_parts_are_the_sums_of_all(cuts, kind, random):
    X, mix = make(kind, n=60)
    arguments = em.kernel_arguments(mix)
    parts = [part for part in np.split(X, sorted(cuts)) if len(part)]
    random.shuffle(parts)
    merged = reduce(em.merge_sums, [mixture.em_sums(part, *arguments) for part in parts], em.empty_sums(*arguments))
    whole = mixture.em_sums(X, *arguments)
    for key in ("n", "log_likelihood", "mass", "first", "second"):
        np.testing.assert_allclose(merged[key], whole[key], rtol=1e-10, atol=1e-10)


def test_sums_of_other_parameters_are_refused():
    X, mix = make("full")
    other = mix._replace(means=mix.means + 1e-9)
    mine, theirs = (mixture.em_sums(X, *em.kernel_arguments(which)) for which in (mix, other))
    with pytest.raises(ValueError, match=r"merge_sums: statistics of different parameters, digests [0-9a-f]{32} and"):
        em.merge_sums(mine, theirs)
    with pytest.raises(ValueError, match="m_step: statistics of different parameters"):
        em.m_step(theirs, mix, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_precisions_and_covariances_are_two_roads_to_one_mixture(kind):
    _, mix = make(kind)
    inverse = np.linalg.inv if kind in ("full", "tied") else np.reciprocal
    again = em.from_precisions(kind, mix.weights, mix.means, inverse(mix.covariances))
    np.testing.assert_allclose(again.covariances, mix.covariances, rtol=1e-10)
    np.testing.assert_allclose(again.precisions_cholesky, mix.precisions_cholesky, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_singular_component_is_named(kind):
    _, mix = make(kind)
    broken = mix.covariances.copy()
    broken[-1] = 0
    match = "shared covariance" if kind == "tied" else "covariance of component 1 is singular"
    with pytest.raises(em.SingularError, match=match):
        em.from_covariances(kind, mix.weights, mix.means, broken)
    with pytest.raises(em.SingularError, match="not finite"):
        em.from_covariances(kind, mix.weights, mix.means, np.full_like(broken, np.inf))


def test_empty_components_stay_and_stay_finite():
    X, mix = make("full")
    sums = mixture.em_sums(X, *em.kernel_arguments(mix))
    for key in ("mass", "first", "second"):
        sums[key][1] = 0
    after = em.m_step(sums, mix, 1e-6)
    np.testing.assert_array_equal(after.means[1], mix.means[1])
    assert np.isfinite(after.precisions_cholesky).all()
    assert collapsed(after, len(X), 1e-6).tolist() == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_mixture_lies_along_the_longest_axes(kind):
    _, mix = make(kind)
    halves = mixture_search.split(mix)
    np.testing.assert_allclose(halves.weights.sum(), 1)
    np.testing.assert_allclose((halves.means[:2] + halves.means[2:]) / 2, mix.means)
    for k, covariance in enumerate(as_full(mix)):
        longest = np.linalg.eigvalsh(covariance)[-1]
        assert ((halves.means[k] - halves.means[2 + k]) ** 2).sum() == pytest.approx(longest)


def test_a_sample_does_not_depend_on_the_blocks():
    X = np.arange(500.0)[:, None]
    whole, n = mixture_search.sample_rows([X], 50, np.random.default_rng(1))
    cut, m = mixture_search.sample_rows([X[:3], X[3:200], X[200:]], 50, np.random.default_rng(1))
    assert n == m == 500
    np.testing.assert_array_equal(whole, cut)
    assert (np.diff(whole[:, 0]) > 0).all()
    np.testing.assert_array_equal(mixture_search.sample_rows([X], 500, np.random.default_rng(1))[0], X)


def k_means(rows, n_clusters, rng):
    scaled = standardised(rows)
    return clusters(scaled, seeds(scaled.rows, n_clusters, rng))


def test_k_means_finds_clusters_in_any_units():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    X = (np.array([[0, 0], [9, 0], [0, 9]])[truth] + rng.normal(size=(300, 2))) * [1, 1e-4] + [1e6, 0]
    labels, means = k_means(X, 3, rng)
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 3
    np.testing.assert_allclose(means, [X[labels == k].mean(axis=0) for k in range(3)], rtol=1e-9)


def test_k_means_lives_with_too_few_distinct_rows():
    labels, means = k_means(np.repeat([[1.0, 2.0], [3.0, 4.0]], 5, axis=0), 4, np.random.default_rng(0))
    assert np.isfinite(means).all()
    assert (means[labels] == np.repeat([[1.0, 2.0], [3.0, 4.0]], 5, axis=0)).all()


def test_the_twins_have_the_same_names_and_signatures():
    pytest.importorskip("torch")
    import inspect

    for name in ("mixture", "neighbors"):
        cpu, gpu = (getattr(kernels.on(device), name) for device in ("cpu", "torch"))
        assert cpu.__all__ == gpu.__all__
        for function in [name for name in cpu.__all__ if inspect.isfunction(getattr(cpu, name))]:
            ours, twin = (inspect.signature(getattr(module, function)).parameters for module in (cpu, gpu))
            assert list(ours) == list(twin)
