"""Spectra and distances against the plain formulas of tests/naive.py, on both backends, and the golden numbers."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit import kernels
from odkit.kernels import level
from odkit.kernels.cpu import quantiles, shrinkage
from tests import naive
from tests.devices import DEVICES

SHRINKAGES = ["ledoit_wolf", "oas", 0.3, 1.0, ("ridge", 0.05)]


@pytest.fixture(params=DEVICES)
def k(request):
    return kernels.on(request.param)


def golden(n, d):
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, d + 1)
    return np.sin(i * j) + np.cos(0.7 * i + j**2)


def tables():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) + 3
    return {
        "plain": plain,
        "wide": rng.normal(size=(6, 9)),
        "square": rng.normal(size=(8, 4)),
        "one column": plain[:, :1],
        "constant column": np.column_stack([plain, np.full(40, 0.1)]),
        "duplicated column": plain[:, [0, 1, 1, 2]],
        "duplicated rows": np.repeat(rng.normal(size=(3, 5)), 2, axis=0),
        "two rows": plain[:2],
        "float32": plain.astype(np.float32),
        "Fortran": np.asfortranarray(plain),
        "read-only": np.frombuffer(plain.tobytes()).reshape(plain.shape),
    }


def covariance(X, rule, delta=None, mean_variance=None):
    """Shrunken covariance by its definition; the share and the mean variance may be prescribed."""
    X = np.asarray(X, dtype=float)
    n, d = X.shape
    Z = X - X.mean(axis=0)
    S = Z.T @ Z / n
    if isinstance(rule, tuple):
        return S + rule[1] * np.eye(d), 0.0
    m = np.trace(S) / d if mean_variance is None else mean_variance
    if delta is None:
        if isinstance(rule, str) and d == 1:
            delta = 0.0
        elif rule == "ledoit_wolf":
            delta = naive.ledoit_wolf_share(Z)
        elif rule == "oas":
            square = (S**2).mean()
            bottom = (n + 1) * (square - m**2 / d)
            delta = 1.0 if bottom <= 0 else min(1.0, (square + m**2) / bottom)
        else:
            delta = rule
    return (1 - delta) * S + delta * m * np.eye(d), delta


def pairs(cases):
    """Without what is singular by definition: for two rows Ledoit-Wolf finds no noise and does not shrink."""
    return [pair for pair in itertools.product(cases, SHRINKAGES) if pair != ("two rows", "ledoit_wolf")]


@pytest.mark.parametrize(("case", "rule"), pairs(tables()), ids=str)
def test_a_level_equals_the_definition(case, rule, k):
    X = tables()[case]
    fitted = level.fit(k, level.gather(k, X), shrinkage=rule)
    sigma, delta = covariance(X, rule)
    rng = np.random.default_rng(1)
    queries = np.vstack([np.asarray(X[:3], dtype=float), 5 * rng.normal(size=(5, X.shape[1]))])
    mean = np.asarray(X, dtype=float).mean(axis=0)
    assert fitted.shrinkage == pytest.approx(delta, abs=1e-10)
    np.testing.assert_allclose(
        level.distance_sq(k, fitted, queries), naive.mahalanobis_sq(queries, mean, sigma), rtol=1e-8
    )
    assert fitted.logdet == pytest.approx(np.linalg.slogdet(sigma)[1], rel=1e-9, abs=1e-9)
    share = level.contributions(k, fitted, queries, "share")
    np.testing.assert_allclose(share.sum(axis=1), level.distance_sq(k, fitted, queries), rtol=1e-8)
    conditional = level.contributions(k, fitted, queries, "conditional")
    expected = naive.conditional_parts(queries, mean, sigma)
    np.testing.assert_allclose(conditional, expected, rtol=1e-6, atol=1e-8 * expected.max())


LEFT_OUT = ["plain", "wide", "square", "one column", "duplicated column", "two rows"]


@pytest.mark.parametrize(("case", "rule"), pairs(LEFT_OUT), ids=str)
def test_leave_one_out_equals_refitting_with_the_same_shrinkage(case, rule, k):
    X = tables()[case]
    fitted = level.fit(k, level.gather(k, X), shrinkage=rule)
    m = np.trace(np.cov(X.T, bias=True).reshape(X.shape[1], -1)) / X.shape[1]
    if case == "one column" and not isinstance(rule, tuple):
        m = np.var(X)
    expected = naive.left_out_sq(X, lambda rest: covariance(rest, rule, fitted.shrinkage, m)[0])
    np.testing.assert_allclose(level.left_out_sq(k, fitted, X, len(X)), expected, rtol=1e-9)


def test_diagonal_level(k):
    X = tables()["constant column"]
    fitted = level.fit(k, level.gather(k, X, diagonal=True), shrinkage="diag")
    variances = X[:, :-1].var(axis=0)
    expected = ((X - X.mean(axis=0))[:, :-1] ** 2 / variances).sum(axis=1)
    np.testing.assert_allclose(level.distance_sq(k, fitted, X), expected, rtol=1e-10)
    assert fitted.n_directions == 4
    assert fitted.logdet == pytest.approx(np.log(variances).sum())
    for kind in ("share", "conditional"):
        np.testing.assert_allclose(level.contributions(k, fitted, X, kind).sum(axis=1), expected, rtol=1e-10)
    left_out = naive.left_out_sq(X[:, :-1], lambda rest: np.diag(rest.var(axis=0)))
    np.testing.assert_allclose(level.left_out_sq(k, fitted, X, len(X)), left_out, rtol=1e-9)


def test_a_column_that_only_one_row_moves_drops_out_without_that_row():
    k, X = kernels.on(), np.zeros((9, 2))
    X[:, 0], X[4, 1] = np.arange(9), 1.0
    fitted = level.fit(k, level.gather(k, X, diagonal=True), shrinkage="diag")
    alone = level.fit(k, level.gather(k, X[:, :1], diagonal=True), shrinkage="diag")
    left_out = level.left_out_sq(k, fitted, X, 9)
    assert left_out[4] == pytest.approx(level.left_out_sq(k, alone, X[:, :1], 9)[4])


def test_a_row_alone_in_its_direction_is_far_but_finite_without_shrinkage():
    k, X = kernels.on(), np.random.default_rng(0).normal(size=(5, 8))
    fitted = level.fit(k, level.gather(k, X), shrinkage="empirical")
    left_out = level.left_out_sq(k, fitted, X, 5)
    assert np.isfinite(left_out).all()
    assert (left_out > 1e9).all()
    assert (level.distance_sq(k, fitted, X) < 5).all()  # in-sample every row looks alike: useless as a threshold


@pytest.mark.parametrize("rule", ["ledoit_wolf", "oas", 0.2])
def test_few_rows_and_their_sums_give_one_model(rule, k):
    X = np.random.default_rng(3).normal(size=(8, 4)) * [1, 2, 3, 0.1]
    rows = level.fit(k, {"rows": X}, shrinkage=rule)
    sums = level.fit(k, k_state(k, X), shrinkage=rule)
    queries = np.random.default_rng(4).normal(size=(5, 4))
    np.testing.assert_allclose(level.distance_sq(k, sums, queries), level.distance_sq(k, rows, queries), rtol=1e-9)
    merged = level.merge(k, level.gather(k, X[:5]), level.gather(k, X[5:]))
    np.testing.assert_array_equal(merged["rows"], X)
    more = level.merge(k, merged, level.gather(k, X[:1]))
    assert more["n"] == 9
    assert "rows" not in more


def k_state(k, X):
    return {name: value if name == "n" else k.numpy(value) for name, value in k.moments.moments(k.array(X)).items()}


@pytest.mark.parametrize("n", [1, 511, 512, 513, 30_000])
def test_blocks_do_not_show(n):
    k, d = kernels.on(), 5
    rng = np.random.default_rng(n)
    V, _ = np.linalg.qr(rng.normal(size=(d, d)))
    w, location, X = rng.uniform(0.1, 3, d), rng.normal(size=d), rng.normal(size=(n, d))
    expected = (((X - location) @ V.T) ** 2 / w).sum(axis=1)
    triangle = shrinkage.whitener(V, w)
    assert np.array_equal(triangle, np.triu(triangle))
    np.testing.assert_allclose(k.gaussian.mahalanobis_sq(X, location, triangle), expected, rtol=1e-12)
    np.testing.assert_allclose(k.gaussian.lowrank_distance(X, location, V, w, np.inf), expected, rtol=1e-12)
    low = (((X - location) @ V[:2].T) ** 2 / w[:2]).sum(axis=1) + (((X - location) @ V[2:].T) ** 2).sum(axis=1) / 0.3
    np.testing.assert_allclose(k.gaussian.lowrank_distance(X, location, V[:2], w[:2], 0.3), low, rtol=1e-11)


def test_a_tiny_floor_keeps_its_digits(k):
    V, w = np.array([[0.6, 0.8, 0.0]]), np.array([4.0])
    X = np.array([[3e3, 4e3, 1e-6], [0.6, 0.8, 0.0]])  # the first lies 1e-6 off the line, at 5e3 along it
    arrays = [k.array(a) for a in (X, np.zeros(3), V, w)]
    squares = k.numpy(k.gaussian.lowrank_distance(*arrays, 1e-12))
    np.testing.assert_allclose(squares, [25e6 / 4 + 1, 0.25], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.integers(1, 8), st.booleans())
def test_ledoit_wolf_equals_scikit_learn(seed, n, d, coarse):
    from sklearn.covariance import OAS, LedoitWolf

    X = np.random.default_rng(seed).normal(size=(n, d))
    X = X.round() if coarse else X
    if np.ptp(X, axis=0).max() == 0:
        return
    k = kernels.on()
    for rule, peer in (("ledoit_wolf", LedoitWolf()), ("oas", OAS())):
        peer.fit(X)
        fitted = level.fit(k, level.gather(k, X), shrinkage=rule)
        assert fitted.shrinkage == pytest.approx(peer.shrinkage_, abs=1e-10)
        if np.linalg.cond(peer.covariance_) < 1e8:
            np.testing.assert_allclose(level.distance_sq(k, fitted, X), peer.mahalanobis(X), rtol=1e-9, atol=1e-10)


# Specification of the method (gaussian_images, section 5): rows sin(i j) + cos(0.7 i + j^2), queries 0, 1, first row
GOLDEN = [
    (12, 5, "ledoit_wolf", 0.595073292953, [0.065529096273, 7.072877532035, 3.589676091324], -0.112384791126),
    (12, 5, "oas", 0.740821540209, [0.065660957958, 6.424718152314, 3.427190505695], None),
    (6, 9, "ledoit_wolf", 0.560221400133, [1.640498168012, 14.359435731745, 6.514197217045], -1.750098119118),
    (6, 9, "oas", 0.847047822141, [1.233777354844, 11.849611568703, 8.41242262212], None),
]


@pytest.mark.parametrize(("n", "d", "rule", "delta", "squares", "logdet"), GOLDEN)
def test_golden_levels(n, d, rule, delta, squares, logdet, k):
    X = golden(n, d)
    assert X[0, 0] == pytest.approx(0.7126264905123718, rel=1e-15)
    for state in ({"rows": X}, k_state(k, X)):
        fitted = level.fit(k, state, shrinkage=rule)
        assert fitted.shrinkage == pytest.approx(delta, abs=1e-12)
        queries = np.vstack([np.zeros(d), np.ones(d), X[0]])
        np.testing.assert_allclose(level.distance_sq(k, fitted, queries), squares, rtol=1e-11)
        if logdet is not None:
            assert fitted.logdet == pytest.approx(logdet, abs=1e-11)


def test_golden_leave_one_out_thresholds_and_contributions(k):
    X, one = golden(12, 5), np.ones((1, 5))
    fitted = level.fit(k, level.gather(k, X))
    squares = level.left_out_sq(k, fitted, X, 12)
    np.testing.assert_allclose(
        squares[:4], [4.833265475218, 3.103371783841, 1.627728285043, 5.868850920063], rtol=1e-11
    )
    assert quantiles.conformal_quantile(np.sqrt(squares), 0.2) == pytest.approx(3.231136394743, rel=1e-11)
    assert quantiles.gamma_quantile(squares, 0.2) ** 0.5 == pytest.approx(2.965788800966, rel=1e-11)
    assert quantiles.chi2_quantile(5, 0.2) ** 0.5 == pytest.approx(2.699865946052, rel=1e-11)
    share = [1.61710598386, 1.107670319666, 1.546147733736, 1.383020725615, 1.418932769158]
    conditional = [2.029584335157, 1.385827226475, 1.748425166419, 1.603576923771, 1.61615110255]
    np.testing.assert_allclose(level.contributions(k, fitted, one, "share")[0], share, rtol=1e-10)
    np.testing.assert_allclose(level.contributions(k, fitted, one, "conditional")[0], conditional, rtol=1e-10)


@pytest.mark.parametrize(
    ("n", "d", "keep_null", "kept", "square"),
    [(12, 5, True, 3, 11.69404461), (6, 9, False, 3, 5.6252819), (6, 9, True, 7, 31.22897422)],
)
def test_golden_low_variance_subspaces(n, d, keep_null, kept, square, k):
    fitted = level.fit(k, {"rows": golden(n, d)}, subspace=("npca", 0.9), keep_null=keep_null)
    assert fitted.n_directions == kept
    assert level.distance_sq(k, fitted, np.ones((1, d)))[0] == pytest.approx(square, abs=1e-8)


def test_subspaces_by_projecting_the_rows():
    k, X = kernels.on(), golden(30, 6)
    Z = X - X.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(Z.T @ Z / 30)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    i = np.flatnonzero(np.cumsum(eigenvalues) / eigenvalues.sum() > 0.8)[0]
    for rule, kept in (("pca", slice(0, i + 1)), ("npca", slice(i - 1, 6))):
        projected = Z @ vectors[:, kept]
        for how in ("ledoit_wolf", "oas", 0.2, ("ridge", 0.1)):
            fitted = level.fit(k, {"rows": X}, shrinkage=how, subspace=(rule, 0.8))
            sigma, _ = covariance(projected, how)
            expected = naive.mahalanobis_sq(projected, np.zeros(projected.shape[1]), sigma)
            np.testing.assert_allclose(level.distance_sq(k, fitted, X), expected, rtol=1e-9)
            assert fitted.logdet == pytest.approx(np.linalg.slogdet(sigma)[1], abs=1e-9)


@pytest.mark.parametrize(
    ("share", "rule", "keep_null", "used", "complement"),
    [
        (0.5, "pca", True, [0], False),  # 0.6 > 0.5 at once
        (0.8, "pca", True, [0, 1], False),
        (1.0, "pca", True, [0, 1, 2], False),  # no cumulative share exceeds 1: the last one
        (0.5, "npca", True, [0, 1, 2], True),  # i - 1 is never below 0
        (0.95, "npca", True, [1, 2], True),
        (1.0, "npca", False, [1, 2], False),
    ],
)
def test_which_components_a_subspace_keeps(share, rule, keep_null, used, complement):
    flags, null = shrinkage.subspace(np.array([6.0, 3.0, 1.0]), 4, (rule, share), keep_null)
    np.testing.assert_array_equal(np.flatnonzero(flags == 1), used)
    assert np.isinf(flags).sum() == 3 - len(used)
    assert null == (1.0 if complement else np.inf)


def test_what_cannot_be_fitted_is_named():
    k = kernels.on()
    X = np.random.default_rng(0).normal(size=(9, 3))
    for rows, message in [
        (np.ones((1, 3)), "n_samples=1"),
        (np.full((5, 3), 0.1), "all rows are equal"),
        (np.full((50, 3), 1e9 / 3), "all rows are equal"),
        (X * 1e-90, "rescale"),
        (X * 1e-170, "equal, or their spread is below 1e-154.*rescale"),
        (np.zeros((5, 3)), "all rows are equal"),
        (X * 1e90, "rescale"),
        (X * 1e200, "rescale"),
        (X[:6] * 1e200, "rescale"),
    ]:
        for diagonal in (False, True):
            with pytest.raises(ValueError, match=message):
                level.fit(k, level.gather(k, rows, diagonal=diagonal), shrinkage="diag" if diagonal else "oas")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=120), st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5, 0.97]))
def test_conformal_quantile(values, fpr):
    assert quantiles.conformal_quantile(np.array(values, float), fpr) == naive.conformal_threshold(values, fpr)


def test_quantiles_of_laws():
    values = np.array([1.0, 2.0, 4.0])
    law = scipy.stats.gamma(values.mean() ** 2 / values.var(), scale=values.var() / values.mean())
    assert quantiles.gamma_quantile(values, 0.03) == pytest.approx(law.isf(0.03))
    assert quantiles.gamma_quantile(np.ones(3), 0.03) == 1
    assert quantiles.chi2_quantile(7, 0.01) == pytest.approx(scipy.stats.chi2(7).isf(0.01))


def test_fitted_arrays_are_read_only_and_inputs_are_left_alone(k):
    X = tables()["plain"]
    before = X.copy()
    fitted = level.fit(k, level.gather(k, X))
    level.distance_sq(k, fitted, X)
    level.contributions(k, fitted, X, "share")
    np.testing.assert_array_equal(X, before)
    for array in (fitted.location, fitted.components, fitted.eigenvalues, fitted.weights, fitted.whitener):
        assert not array.flags.writeable
