"""The neighbour kernels against the loops of tests/naive.py, on both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit import kernels
from tests import naive
from tests.devices import DEVICES


def _knn(X, rows, k, device):
    backend = kernels.on(device)
    near = backend.neighbors
    queries, stored = backend.array(X), backend.array(rows)
    place = near.place_of(stored)
    edge, index = near.candidates(queries, stored, min(k + 1 + near.SPARE, len(rows)), place)
    found = near.settle(queries, stored, edge, index, k + 1, place)
    distance, index = near.without_copy(queries, stored, *found)
    parts = near.distance_parts(queries, stored, distance, index)
    return tuple(backend.numpy(part) for part in (distance, index, parts))


def _tables():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(40, 3))
    return {
        "plain": (rng.normal(size=(15, 3)), plain),
        "training rows": (plain, plain),
        "duplicates": (np.repeat(plain[:4], 2, axis=0), np.repeat(plain[:8], 4, axis=0)),
        "constant": (np.ones((3, 2)), np.ones((9, 2))),
        "one column": (plain[:, :1], plain[::2, :1]),
        "far from 0": (plain + 1e7, plain[::-1] + 1e7),
        "Fortran": (np.asfortranarray(plain[:9]), np.asfortranarray(plain)),
        "read-only": tuple(np.frombuffer(plain.tobytes()).reshape(40, 3) for _ in range(2)),
    }


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.mark.parametrize("case", _tables())
def test_equals_the_loops(case, device):
    X, rows = _tables()[case]
    distance, index, parts = _knn(X, rows, 4, device)
    expected, _ = naive.neighbor_distances(X, rows, 4)
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    np.testing.assert_allclose(parts, naive.distance_parts(X, rows, 4), rtol=1e-9, atol=1e-12)
    named = np.linalg.norm(rows[index] - X[:, None], axis=2)
    np.testing.assert_allclose(named, distance, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(4, 12), st.integers(1, 3)), elements=st.integers(-2, 2).map(float)))
def test_equals_the_loops_on_small_grids(rows):
    distance, _, parts = _knn(rows, rows, 2, "cpu")
    np.testing.assert_allclose(distance, naive.neighbor_distances(rows, rows, 2)[0], rtol=1e-12)
    np.testing.assert_allclose(parts.sum(axis=1), distance.mean(axis=1), rtol=1e-12)


def test_blocks_change_nothing(device, monkeypatch):
    module = kernels.on(device).neighbors
    rng = np.random.default_rng(1)
    X, rows = rng.normal(size=(23, 4)), rng.normal(size=(31, 4))
    whole = _knn(X, rows, 3, device)
    monkeypatch.setattr(module, "BLOCK_CELLS", 50)
    for part, expected in zip(_knn(X, rows, 3, device), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)


def _hard_tables():
    rng = np.random.default_rng(2)
    plain = rng.normal(size=(120, 4))
    corrupt, apart, grid = plain.copy(), plain.copy(), rng.integers(0, 3, size=(120, 4)) + 1e7
    corrupt[17, 3] = 1e12
    apart[60:] += 1e8
    sentinel = plain.copy()
    sentinel[[3, 40, 41], [0, 1, 1]] = [1.7e308, -1.2e308, -1.2e308]
    return {
        "one corrupt cell": corrupt,
        "two clusters far apart": apart,
        "a grid far from 0": grid,
        "float32": apart.astype(np.float32),
        "float32, tiny": (plain * 1e-25).astype(np.float32),
        "float32, huge": (plain * 1e25).astype(np.float32),
        "most are equal": np.where(rng.random((120, 4)) < 0.9, 0.0, plain),
        "mostly zero, traces of 1e-200": np.where(np.arange(120)[:, None] < 60, plain, plain * 1e-200),
        "values that stand for missing": sentinel,
    }


@pytest.mark.parametrize("case", _hard_tables())
def test_neighbours_are_exact_where_products_are_not(case, device):
    rows = _hard_tables()[case]
    distance, _, parts = _knn(rows, rows, 4, device)
    X = rows.astype(np.longdouble)
    expected = np.sort(np.sqrt(((X[:, None] - X) ** 2).sum(axis=2)), axis=1)[:, 1:5]
    np.testing.assert_allclose(distance, expected.astype(float), rtol=1e-12)
    np.testing.assert_allclose(parts.sum(axis=1), (distance / 4).sum(axis=1), rtol=1e-9)
    assert distance.dtype == np.float64


@pytest.mark.parametrize("power", [-1000, -600, 600, 1010])
def test_a_power_of_two_scales_distances_and_nothing_else(power, device):
    X = np.random.default_rng(3).normal(size=(50, 3))
    distance, index, _ = _knn(X, X, 3, device)
    scaled, scaled_index, parts = _knn(np.ldexp(X, power), np.ldexp(X, power), 3, device)
    np.testing.assert_array_equal(scaled_index, index)
    np.testing.assert_allclose(np.ldexp(scaled, -power), distance, rtol=1e-14)
    assert np.isfinite(parts).all()


def test_products_that_resolve_are_not_searched_again(device, monkeypatch):
    module = kernels.on(device).neighbors
    X = np.random.default_rng(4).normal(size=(300, 20)) * 0.01 + [1e3] * 20
    X[5, 5] = 1e9
    seen = []
    search = module._by_differences
    monkeypatch.setattr(module, "_by_differences", lambda q, rows, n: seen.append(len(q)) or search(q, rows, n))
    _knn(X, X, 5, device)
    assert sum(seen) <= 1  # at most the corrupt row itself


def test_rows_that_products_hide_are_searched_again(device, monkeypatch):
    module = kernels.on(device).neighbors
    X = np.random.default_rng(4).normal(size=(300, 20))
    X[150:] += 1e8
    seen = []
    search = module._by_differences
    monkeypatch.setattr(module, "_by_differences", lambda q, rows, n: seen.append(len(q)) or search(q, rows, n))
    _knn(X, X, 5, device)
    assert sum(seen) >= 150
