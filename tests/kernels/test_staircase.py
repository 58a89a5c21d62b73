"""Staircases: within their error at every place, the same by numpy and numba, packed without loss, small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.kernels.cpu import ranks, staircase, staircase_keys, tail_table

DRAWS = {
    "lognormal": lambda n, rng: rng.lognormal(size=n),
    "far from 0": lambda n, rng: rng.normal(size=n) + 1e6,
    "wild": lambda n, rng: rng.standard_cauchy(size=n) ** 5,
    "rounded": lambda n, rng: rng.normal(size=n).round(2),
    "few": lambda n, rng: rng.poisson(1, n) - 1.0,
    "tiny": lambda n, rng: rng.normal(size=n) * 1e-310,
    "constant": lambda n, rng: np.full(n, -0.1),
    "missing": lambda n, rng: np.full(n, np.nan),
}


def stream(n_blocks, size, eps, rng):
    """Values, and the merge of their blocks' summaries, each with half of the error allowed."""
    blocks = [np.column_stack([draw(size, rng) for draw in DRAWS.values()]) for _ in range(n_blocks)]
    return np.vstack(blocks), ranks.merge_summaries([ranks.summarise(block, 0.45 * eps) for block in blocks])


def built(summary, eps, **options):
    return staircase.build(summary, eps, np.ones((2, summary.sizes.size)), **options)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3000), st.sampled_from([0.002, 0.01, 0.1, 0.5]))
def test_log_counts_are_within_the_error_at_every_place(seed, n_blocks, size, eps):
    rng = np.random.default_rng(seed)
    X, summary = stream(n_blocks, size, eps, rng)
    steps, _, error = built(summary, eps)
    table = staircase.tail_table(steps)
    tail_table.check_table(table, X.shape[1])
    assert error <= eps + 1e-12
    for j in range(X.shape[1]):
        keys, left, right = tail_table.place_costs(table, j)
        values = np.unique(X[~np.isnan(X[:, j]), j])
        n = int(summary.sizes[j])
        # kept keys, values, the neighbours of both, and what lies between
        x = np.concatenate([keys, values, (values[1:] / 2 + values[:-1] / 2)])
        x = np.unique(np.concatenate([x, np.nextafter(x, -np.inf), np.nextafter(x, np.inf)]))
        ordered = np.sort(X[:, j])[:n]
        place = np.searchsorted(keys, x, side="left") + np.searchsorted(keys, x, side="right")
        upto, above = np.searchsorted(ordered, x, side="right"), n - np.searchsorted(ordered, x, side="left")
        for costs, counts in ((left, upto), (right, above)):
            true = np.log(max(n, 1) / np.maximum(counts, 1))
            assert np.abs(costs[place] - true).max(initial=0.0) <= error + 1e-12
        if n:
            assert (keys[0], keys[-1]) == (values[0], values[-1])


def test_numpy_and_numba_give_the_same_bits(monkeypatch):
    import odkit.kernels.cpu.staircase_jit as jit

    _, summary = stream(5, 2000, 0.05, np.random.default_rng(1))
    found = []
    for module in (None, jit):
        monkeypatch.setattr(staircase, "compiled", lambda *_, module=module: module)
        found.append(built(summary, 0.05))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_packed_keys_come_back_to_the_bit(dtype):
    rng = np.random.default_rng(2)
    wild = np.sort(np.unique((rng.standard_cauchy(3000) ** 5).astype(dtype)))
    with np.errstate(over="ignore"):
        edges = np.array([-np.finfo(dtype).max, -1e-45, -0.0, np.finfo(dtype).max]).astype(dtype)
    near = (1 + np.arange(1000) * np.finfo(dtype).eps).astype(dtype)  # a run that one byte cannot count
    keys = np.concatenate([wild, edges, near])
    fields = staircase_keys.packed(keys)
    none = np.zeros(0)
    packed = staircase.Staircase(0.1, dtype == np.float32, none, none, none, **fields, rises=none, levels=none)
    back = staircase_keys.unpacked(packed)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.view(np.uint8), keys.view(np.uint8))
    assert 255 in fields["runs"]


def test_shorter_keys_are_found_where_they_cost_little():
    rng = np.random.default_rng(3)
    summaries = [ranks.summarise(rng.lognormal(size=(4000, 1)), 0.02) for _ in range(40)]
    steps, _, error = built(ranks.merge_summaries(summaries), 0.05)
    assert steps.lower.size < 0.5 * steps.middle.size
    assert error <= 0.05 + 1e-12
    bytes_a_step = sum(np.asarray(field).nbytes for field in steps) / steps.middle.size
    assert bytes_a_step < 8  # a key alone was 8, with its costs 24


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000, 10**6, 2**40])
@pytest.mark.parametrize("eps", [1e-9, 0.01, 0.5])
def test_a_ladder_has_small_steps_and_the_small_counts(n, eps):
    ladder = staircase._ladder(n, eps)
    assert (ladder[0], ladder[-1]) == (0, n)
    assert np.isin(np.arange(min(n, 20) + 1), ladder).all()
    assert np.isin(n - np.arange(min(n, 20) + 1), ladder).all()
    steps = np.diff(ladder)
    assert (steps > 0).all()
    widest = np.maximum(0.25, 2.02 * max(eps / 64, 2.0**-14) * np.minimum(ladder[1:], n - ladder[:-1]) + 0.25)
    assert (steps[1:-1] <= widest[1:-1]).all()
    assert len(ladder) < 10**6


def test_equal_levels_share_their_costs():
    X = np.random.default_rng(4).normal(size=(5000, 6))
    steps, _, _ = built(ranks.summarise(X, 0.01), 0.02)
    table = staircase.tail_table(steps)
    assert table.costs.size == 2 * (table.offsets[1] + 1)
