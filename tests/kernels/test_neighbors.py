"""The neighbour kernels against the loops of tests/naive.py, on both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit import kernels
from tests import naive


def _knn(X, rows, k, device):
    backend = kernels.on(device)
    queries, stored = backend.array(X), backend.array(rows)
    index = backend.neighbors.nearest(queries, stored, k + 1)
    found = backend.neighbors.neighbor_distances(queries, stored, index)
    distance, index = backend.neighbors.without_copy(queries, stored, *found)
    parts = backend.neighbors.distance_parts(queries, stored, distance, index)
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


@pytest.fixture(params=["cpu", "torch"])
def device(request):
    if request.param == "torch":
        pytest.importorskip("torch")
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


def test_float32_rows_keep_exact_distances():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(20, 3)).astype(np.float32)
    distance, _, _ = _knn(X, X, 3, "cpu")
    assert distance.dtype == np.float64
    np.testing.assert_allclose(distance, naive.neighbor_distances(X.astype(float), X.astype(float), 3)[0], rtol=1e-12)
