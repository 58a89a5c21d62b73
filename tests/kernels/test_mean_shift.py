"""The shift against loops: four searches, one answer, to the bit; the torch twin to rounding."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odkit import kernels
from odkit.kernels.cpu import mean_shift
from odkit.kernels.cpu import mean_shift_jit as jit
from tests import naive
from tests.devices import DEVICES

SEARCHES = {
    "sorting": mean_shift._by_sorting,
    "measuring": lambda q, x, out: mean_shift._by_measuring(jit, q, x, out, 1),
    "leaves": lambda q, x, out: mean_shift._by_leaves(jit, q, x, out, 1),
    "products": lambda q, x, out: mean_shift._by_products(jit, q, x, out, 1),
    "leaves, 2 threads": lambda q, x, out: mean_shift._by_leaves(jit, q, x, out, 2),
    "products, 2 threads": lambda q, x, out: mean_shift._by_products(jit, q, x, out, 2),
}


def found(search, queries, rows, k):
    index = np.full((len(queries), k), -1)
    SEARCHES[search](queries, rows, index)
    return index


def tables():
    rng = np.random.default_rng(0)
    plain, grid = rng.normal(size=(300, 3)), rng.integers(0, 3, size=(300, 4)).astype(float)
    wide = rng.normal(size=(280, 17))
    return {
        "plain": (rng.normal(size=(30, 3)), plain, 20),
        "ties and duplicates": (np.vstack([grid[:30], grid[:30] + 0.5]), grid, 7),
        "one column": (plain[:20, :1], plain[:, :1], 5),
        "two columns": (plain[:20, :2], plain[:, :2], 5),
        "many columns": (np.vstack([wide[:9], rng.normal(size=(9, 17))]), wide, 4),
        "many columns, ties": (np.tile(grid[:20], 5)[:, :16], np.tile(grid, 5)[:, :16], 6),
        "far from 0": (grid[:25] + 1e12, grid + 1e12, 5),
        "outlier in the rows": (plain[:25], np.vstack([plain, [[1e30, -1e30, 0.0]]]), 5),
        "outlier in the queries": (np.array([[1e30, 0.0, 0.0], [0.0, 0.0, 0.0]]), plain, 5),
        "bounds underflow": (np.vstack([np.eye(17)[:1] * 1e22, wide[:20] + 0.1]), wide, 7),
        "no bounds, tiny": (wide[:20] * 1e-200, wide * 1e-200, 5),
        "no bounds, subnormal": (wide[:20] * 1e-310, wide * 1e-310, 5),
        "no bounds, infinite": (np.vstack([np.full((1, 17), np.inf), wide[:20]]), wide, 5),
        "all equal": (np.ones((5, 2)), np.ones((200, 2)), 3),
        "every row": (plain[:20], plain[:150], 150),
        "one row": (plain[:5], plain[:1], 1),
    }


@pytest.mark.parametrize("case", tables())
def test_the_searches_agree_with_the_loops(case):
    queries, rows, k = tables()[case]
    expected = naive.nearest(queries, rows, k)
    for search in SEARCHES:
        np.testing.assert_array_equal(found(search, queries, rows, k), expected, err_msg=search)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(-2, 2).map(float)),
    st.integers(1, 40),
)
def test_the_searches_agree_on_small_grids(rows, k):
    k = min(k, len(rows))
    expected = naive.nearest(rows, rows, k)
    for search in SEARCHES:
        np.testing.assert_array_equal(found(search, rows, rows, k), expected, err_msg=search)


@pytest.mark.parametrize("d", [5, 40])
def test_large_searches_agree(d):
    """Several leaves, blocks and tiles; the loops would take minutes, so the sorting search stands for them."""
    rng = np.random.default_rng(1)
    rows = np.vstack([rng.normal(size=(2500, d)), np.repeat(rng.normal(size=(10, d)), 30, axis=0)])
    expected = found("sorting", rows[::7], rows, 25)
    for search in ("leaves", "products", "products, 2 threads"):
        np.testing.assert_array_equal(found(search, np.ascontiguousarray(rows[::7]), rows, 25), expected)


@pytest.mark.parametrize("statistic", ["mean", "medoid"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", tables())
def test_the_shift_equals_the_loops(case, device, statistic):
    queries, rows, k = tables()[case]
    queries, rows, k = queries[:12], rows[:120], min(k, 8, len(rows))
    backend = kernels.on(device)
    got = backend.numpy(backend.mean_shift.shift(backend.array(queries), backend.array(rows), k, statistic))
    expected = naive.shift(queries, rows, k, statistic)
    if device == "cpu":
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_hand_worked_example():
    rows, moved = np.array([[0.0], [1.0], [3.0], [10.0]]), np.array([[5.0], [10.0], [20.0]])
    passes = []
    for _ in range(3):
        moved = mean_shift.shift(moved, rows, 2)
        rows = mean_shift.shift(rows, rows, 2)
        passes.append(rows.ravel().tolist())
    assert passes == [[0.5, 0.5, 2.0, 6.5], [0.5, 0.5, 1.25, 4.25], [0.5, 0.5, 0.875, 2.75]]
    assert moved.ravel().tolist() == [0.875, 2.75, 2.75]


@pytest.mark.parametrize(
    "form",
    [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], lambda a: np.frombuffer(a.tobytes()).reshape(a.shape)],
    ids=["Fortran", "strided", "read-only"],
)
def test_any_layout(form):
    rows = np.random.default_rng(3).normal(size=(200, 4))
    expected = mean_shift.shift(rows, rows, 6)
    np.testing.assert_array_equal(mean_shift.shift(form(rows), form(rows), 6, n_jobs=2), expected)


def test_small_work_runs_without_numba_and_gives_the_same_bits(tmp_path):
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 5, size=(60, 3)) / 3
    np.save(tmp_path / "rows.npy", rows)
    code = (
        "import sys, numpy as np; from odkit.kernels.cpu.mean_shift import shift;"
        "rows = np.load(sys.argv[1] + '/rows.npy');"
        "np.save(sys.argv[1] + '/out.npy', [shift(rows, rows, 7, s) for s in ('mean', 'medoid')]);"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    expected = [mean_shift.shift(rows, rows, 7, statistic) for statistic in ("mean", "medoid")]
    assert "numba" in sys.modules
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_blocks_change_nothing_on_torch(monkeypatch):
    torch = pytest.importorskip("torch")
    module = kernels.on("torch").mean_shift
    rows = torch.tensor(np.random.default_rng(5).integers(0, 4, size=(90, 3)).astype(float))
    whole = [module.shift(rows, rows, 9, statistic) for statistic in ("mean", "medoid")]
    monkeypatch.setattr(module, "BLOCK_CELLS", 500)
    for expected, statistic in zip(whole, ("mean", "medoid"), strict=True):
        torch.testing.assert_close(module.shift(rows, rows, 9, statistic), expected, rtol=0, atol=0)
