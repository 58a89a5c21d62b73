"""Tail counts of single features: numpy and numba give the same bits, and both the plain formula."""

import inspect
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit import kernels
from odkit.kernels.cpu import ecdf, sorting, staircase, tail_memory, tail_table
from tests import naive
from tests.devices import TWINS

CAP = 50.0


@pytest.fixture(params=["numpy", "numba"])
def path(request, monkeypatch):
    """Both implementations; small work in a fresh process goes to numpy, all else to numba."""
    jit = None
    if request.param == "numba":
        import odkit.kernels.cpu.ecdf_jit as jit
    for module in (ecdf, sorting):
        monkeypatch.setattr(module, "compiled", lambda module, cells: jit)
    return request.param


def columns(kind, n, rng):
    return {
        "normal": lambda: rng.normal(size=n),
        "heavy": lambda: rng.standard_cauchy(n),
        "tied": lambda: rng.integers(0, 4, n).astype(float),
        "constant": lambda: np.full(n, 2.5),
        "mostly zero": lambda: np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
        "signed zero": lambda: np.where(rng.random(n) < 0.5, -0.0, 0.0),
        "huge": lambda: rng.normal(size=n) * 1e300,
        "tiny": lambda: rng.normal(size=n) * 1e-300,
    }[kind]()


KINDS = ["normal", "heavy", "tied", "constant", "mostly zero", "signed zero", "huge", "tiny"]


@pytest.mark.parametrize("n", [1, 2, 5, 63, 64, 65, 130])
def test_sums_are_the_plain_formula(path, n):
    rng = np.random.default_rng(n)
    X = np.column_stack([columns(kind, n, rng) for kind in KINDS])
    Q = np.vstack([X[: min(n, 20)], X[: min(n, 20)] * 1.7 + 1, X[:3] - 2])
    table, signs, sums = sorting.sorted_columns(X)
    none = np.zeros((3, X.shape[1]))
    np.testing.assert_allclose(ecdf.tail_max(Q, table, CAP, none), naive.ecod_anomaly(X, Q), rtol=1e-12)
    np.testing.assert_allclose(sums[0], naive.ecod_anomaly(X, X), rtol=1e-12)
    three = ecdf.tail_sums(Q, table, signs, 0.0, none).max(axis=0)
    np.testing.assert_allclose(three, naive.ecod_anomaly(X, Q, "paper", 0.0), rtol=1e-12)


def test_training_sums_equal_scoring_bit_for_bit(path):
    rng = np.random.default_rng(0)
    X = np.column_stack([columns(kind, 300, rng) for kind in KINDS])
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 3] = np.nan
    table, signs, sums = sorting.sorted_columns(X)
    missing = tail_table.feature_means(table)
    np.testing.assert_array_equal(ecdf.tail_max(X, table, CAP, missing), sums[0])
    table, signs, sums = sorting.sorted_columns(X, split=True)
    np.testing.assert_array_equal(ecdf.tail_sums(X, table, signs, CAP, missing), sums)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_numpy_and_numba_give_the_same_bits(dtype, n, monkeypatch):
    import odkit.kernels.cpu.ecdf_jit as jit

    rng = np.random.default_rng(1)
    X = np.column_stack([columns(kind, n, rng) for kind in KINDS[:6]]).astype(dtype)
    Q = np.vstack([X, X * 3, X - 1])[: 2 * n + 1]
    Q.flags.writeable = False
    results = []
    for module in (None, jit):
        for caller in (ecdf, sorting):
            monkeypatch.setattr(caller, "compiled", lambda *_, module=module: module)
        table, signs, sums = sorting.sorted_columns(X, split=True)
        missing = tail_table.feature_means(table)
        results.append(
            [
                *table,
                signs,
                sums,
                sorting.sorted_columns(X)[2],
                missing,
                ecdf.tail_max(Q, table, CAP, missing),
                ecdf.tail_sums(Q, table, signs, CAP, missing),
                *ecdf.tail_terms(Q, table, CAP),
            ]
        )
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_threads_and_chunks_do_not_change_a_bit(monkeypatch):
    import odkit.kernels.cpu.chunks as chunks

    rng = np.random.default_rng(2)
    X, Q = rng.normal(size=(500, 11)), rng.normal(size=(1000, 11))
    X[:, 3] = X[:, 3].round()
    whole = sorting.sorted_columns(X)
    missing = np.zeros((3, 11))
    expected = ecdf.tail_max(Q, whole[0], CAP, missing)
    monkeypatch.setattr(chunks, "LEAST_ROWS", 70)
    for jobs in (2, 3, 8):
        table, signs, sums = sorting.sorted_columns(X, n_jobs=jobs)
        for a, b in zip((*table, signs, sums), (*whole[0], *whole[1:]), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ecdf.tail_max(Q, table, CAP, missing, n_jobs=jobs), expected)


def test_distinct_values_are_kept_where_they_take_less_room():
    table, _, _ = sorting.sorted_columns(np.array([[1.0, 2, 2, 3, 2, 1], [1.0, 2, 3, 4, 5, 6]]).T.copy())
    assert table.count_offsets.tolist() == [0, -1]
    assert table.counts.tolist() == [0, 2, 5, 6]
    assert table.values.tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 6]
    assert not any(array.flags.writeable for array in table)


cells = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, width=32))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=cells), st.data())
def test_any_small_table(X, data):
    Q = data.draw(arrays(np.float64, (4, X.shape[1]), elements=cells))
    table, signs, _ = sorting.sorted_columns(X)
    np.testing.assert_allclose(
        ecdf.tail_max(Q, table, CAP, np.zeros((3, X.shape[1]))), naive.ecod_anomaly(X, Q), rtol=1e-10
    )
    cut = data.draw(st.integers(1, len(X)))
    if cut < len(X):
        merged, merged_signs = sorting.merge_columns(
            sorting.sorted_columns(X[:cut])[0], sorting.sorted_columns(X[cut:])[0]
        )
        for a, b in zip((*merged, merged_signs), (*table, signs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_constants_that_numba_compiles_in_are_those_of_the_table():
    from odkit.kernels.cpu import ecdf_jit, sizes

    assert (ecdf_jit.BLOCK, ecdf_jit.GROUP) == (sizes.LOCKSTEP_ROWS, sizes.LOCKSTEP_FEATURES)
    assert all(f"`{name}`" in sizes.__doc__ for name in sizes.__all__)


def test_small_work_does_not_load_numba(monkeypatch):
    from odkit.kernels.cpu import jit

    monkeypatch.delitem(sys.modules, "numba", raising=False)
    assert jit.compiled("odkit.kernels.cpu.ecdf_jit", jit.NUMPY_CELLS - 1) is None
    assert jit.compiled("odkit.kernels.cpu.ecdf_jit", jit.NUMPY_CELLS).__name__ == "odkit.kernels.cpu.ecdf_jit"


@pytest.mark.parametrize(
    ("field", "spoil", "message"),
    [
        ("values", lambda a: a[::-1].copy(), "do not ascend"),
        ("offsets", lambda a: a + 1, "offsets miss"),
        ("counts", lambda a: a * 1000, "counts of feature 1"),
        ("cost_offsets", lambda a: a + 10**6, "costs of feature 0"),
        ("sizes", lambda a: a * 2, "costs of feature 0"),
        ("scales", lambda a: -a - 1, "scales"),
        ("values", lambda a: a.astype(np.int64), "float vector"),
    ],
)
def test_a_damaged_table_is_refused(field, spoil, message):
    rng = np.random.default_rng(3)
    table, _, _ = sorting.sorted_columns(np.column_stack([rng.normal(size=50), rng.integers(0, 4, 50)]))
    tail_table.check_table(table, 2)
    with pytest.raises(ValueError, match=message):
        tail_table.check_table(table._replace(**{field: spoil(getattr(table, field))}), 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", ["as fitted", "tabled"])
@pytest.mark.parametrize("cap", [0.0, CAP])
@pytest.mark.parametrize("device", TWINS)
def test_the_torch_twins_agree(dtype, form, cap, device, monkeypatch):
    rng = np.random.default_rng(4)
    X = np.column_stack([columns(kind, 400, rng) for kind in KINDS[:6]]).astype(dtype)
    X = np.column_stack([X, np.full(400, np.nan, dtype), np.where(rng.random(400) < 0.3, np.nan, X[:, 0])])
    Q = np.vstack([X, X * 3, X - 1])
    Q[rng.random(Q.shape) < 0.1] = np.nan
    table, signs, _ = sorting.sorted_columns(X)
    missing = tail_table.feature_means(table)
    if form == "tabled":
        steps, signs, missing, _ = tail_memory.staircase_of(tail_memory.remember(X, 0.1), 0.1)
        table = staircase.tail_table(steps)
    there = np.where(np.isnan(Q), dtype(0), Q)
    k = kernels.on(device)
    monkeypatch.setattr(k.ecdf, "BLOCK_CELLS", 1000)  # several blocks of rows
    twin = table._make(map(k.array, table))
    found = [
        k.ecdf.tail_max(k.array(Q), twin, cap, k.array(missing)),
        k.ecdf.tail_sums(k.array(Q), twin, k.array(signs), cap, k.array(missing)),
        *k.ecdf.tail_terms(k.array(there), twin, cap),
    ]
    expected = [
        ecdf.tail_max(Q, table, cap, missing),
        ecdf.tail_sums(Q, table, signs, cap, missing),
        *ecdf.tail_terms(there, table, cap),
    ]
    for tensor, array in zip(found, expected, strict=True):
        np.testing.assert_allclose(k.numpy(tensor), array, rtol=1e-12)


def test_the_torch_twins_take_the_same_arguments():
    pytest.importorskip("torch")
    twin = kernels.on("torch").ecdf
    for name in twin.__all__:
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (ecdf, twin))
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]


@pytest.mark.parametrize("device", TWINS)
def test_torch_takes_a_table_without_any_value(device):
    k = kernels.on(device)
    empty = np.full((3, 2), np.nan)
    steps = tail_memory.staircase_of(tail_memory.remember(empty, 0.1), 0.1)[0]
    for table in (sorting.sorted_columns(empty)[0], staircase.tail_table(steps)):
        twin = table._make(map(k.array, table))
        scores = k.ecdf.tail_max(k.array(np.ones((4, 2))), twin, CAP, k.array(np.zeros((3, 2))))
        assert k.numpy(scores).tolist() == [0.0] * 4
