"""What ECOD remembers of a stream: errors within the bound, exact ends and signs, a size that hardly grows."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.kernels.cpu import ecdf, ranks, sorting, staircase, tail_memory, tail_table

STREAMS = {
    "normal": lambda n, rng: rng.normal(size=n),
    "sorted": lambda n, rng: np.sort(rng.standard_cauchy(n)),
    "reversed": lambda n, rng: np.sort(rng.lognormal(size=n))[::-1],
    "tied": lambda n, rng: rng.poisson(2, n).astype(float),
    "rounded": lambda n, rng: rng.normal(size=n).round(2),
    "heavy": lambda n, rng: rng.standard_t(1, size=n) ** 3,
    "mostly zero": lambda n, rng: np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
    "drifting": lambda n, rng: rng.normal(size=n) + np.linspace(0, 20, n),
    "gaps": lambda n, rng: np.where(rng.random(n) < 0.5, np.nan, rng.exponential(size=n)),
    "constant": lambda n, rng: np.full(n, 0.1),
    "missing": lambda n, rng: np.full(n, np.nan),
}


def columns(n, rng):
    return np.column_stack([make(n, rng) for make in STREAMS.values()])


def tabled(memory, eps, **options):
    """As `staircase_of`, but what scoring reads for the staircase."""
    steps, *rest = tail_memory.staircase_of(memory, eps, **options)
    return staircase.tail_table(steps), *rest


def tree(parts, eps, rng):
    """Blocks and merges in a random order until one memory is left."""
    memories = [tail_memory.remember(part, eps) for part in parts]
    while len(memories) > 1:
        a, b = (memories.pop(int(rng.integers(len(memories)))) for _ in range(2))
        memories.append(tail_memory.merge_memories(a, b, eps))
    return memories[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.2]), st.integers(2, 8), st.integers(2, 40))
def test_every_stream_and_tree_stays_within_its_error(seed, eps, fan, n_parts):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(n_parts, 6000))
    X = columns(n, rng)
    cuts = np.sort(rng.integers(1, n, n_parts - 1))
    parts = [part for part in np.split(X, cuts) if len(part)]
    exact, exact_signs, _ = sorting.sorted_columns(X)
    queries = np.where(np.isnan(X), 0.0, np.vstack([X[::2], (X[1::2] + X[:-1:2][: len(X[1::2])]) / 2 * 1.01]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail_memory, "BUFFER_ROWS", 256)
        patch.setattr(tail_memory, "FAN", fan)
        memory = tree(parts, eps, rng)
        tail_memory.check_memory(memory, X.shape[1])
        table, signs, means, error = tabled(memory, eps)
    tail_table.check_table(table, X.shape[1])
    true = [ecdf.tail_terms(queries, one, 0.0) for one in (exact, table)]
    worst = max(np.abs(a - b).max() for a, b in zip(*true, strict=True))
    assert worst <= error + 1e-12
    assert error <= eps + 1e-12
    np.testing.assert_array_equal(table.scales, exact.scales)
    np.testing.assert_array_equal(table.sizes, exact.sizes)
    np.testing.assert_array_equal(signs, exact_signs)
    np.testing.assert_allclose(means, tail_table.feature_means(exact), atol=eps)


def test_without_loss_the_costs_are_the_exact_ones_to_the_bit():
    rng = np.random.default_rng(0)
    X = columns(200, rng)
    Q = np.where(np.isnan(X), 0.0, X * 1.5)
    table, _, means, error = tabled(tree(np.array_split(X, 7), 1e-6, rng), 1e-6)
    exact, _, _ = sorting.sorted_columns(X)
    assert error == 0.0
    none = np.zeros((3, X.shape[1]))
    np.testing.assert_array_equal(ecdf.tail_max(Q, table, 50.0, none), ecdf.tail_max(Q, exact, 50.0, none))
    np.testing.assert_allclose(means, tail_table.feature_means(exact), rtol=1e-12)
    np.testing.assert_array_equal(tail_table.medians(table), tail_table.medians(exact))


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numpy_and_numba_give_the_same_bits(split, dtype, monkeypatch):
    import odkit.kernels.cpu.ecdf_jit as jit

    rng = np.random.default_rng(1)
    X = columns(500, rng).astype(dtype)
    Q = np.vstack([X, X * 2, X - 1])[:-3]
    table, signs, means, _ = tabled(tail_memory.remember(X, 0.2), 0.2)
    results = []
    for module in (None, jit):
        monkeypatch.setattr(ecdf, "compiled", lambda *_, module=module: module)
        if split:
            results.append([ecdf.tail_sums(Q, table, signs, 50.0, means)])
        else:
            there = np.where(np.isnan(Q), dtype(0), Q)
            results.append([ecdf.tail_max(Q, table, 50.0, means), *ecdf.tail_terms(there, table, 50.0)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_and_order_change_nothing():
    rng = np.random.default_rng(2)
    X = columns(40_000, rng)
    a, b = tail_memory.remember(X[:20_000], 0.05), tail_memory.remember(X[20_000:], 0.05, n_jobs=3)
    tables = [
        tabled(tail_memory.merge_memories(a, b, 0.05), 0.05),
        tabled(tail_memory.merge_memories(b, a, 0.05, n_jobs=3), 0.05, n_jobs=3),
    ]
    for one, other in zip(tables[0][0], tables[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(tables[0][1], tables[1][1])


def test_merging_changes_neither_side():
    rng = np.random.default_rng(3)
    a, b = (tail_memory.remember(rng.normal(size=(n, 2)), 0.05) for n in (300, 20_000))
    before = [[m["buffer"].copy(), m["extremes"].copy(), dict(m["moments"]), m["heights"]] for m in (a, b)]
    tail_memory.merge_memories(a, b, 0.05)
    for memory, (buffer, extremes, moments, heights) in zip((a, b), before, strict=True):
        np.testing.assert_array_equal(memory["buffer"], buffer)
        np.testing.assert_array_equal(memory["extremes"], extremes)
        assert memory["heights"] == heights
        for name, values in moments.items():
            np.testing.assert_array_equal(memory["moments"][name], values)


def test_the_size_hardly_grows(monkeypatch):
    monkeypatch.setattr(tail_memory, "BUFFER_ROWS", 1000)
    rng = np.random.default_rng(4)
    memory, entries, n_summaries = None, [], []
    for _ in range(512):
        block = tail_memory.remember(rng.lognormal(size=(1000, 1)), 0.1)
        memory = block if memory is None else tail_memory.merge_memories(memory, block, 0.1)
        entries.append(sum(summary.values.size for summary in memory["summaries"]))
        n_summaries.append(len(memory["summaries"]))
        assert len(memory["buffer"]) == 0
    assert n_summaries[:9] == [1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert max(n_summaries) == 21  # seven of each height
    assert entries[510] < 2.6 * entries[62]  # full trees of three and of two heights: eight times the rows
    assert entries[511] < 1000  # one summary of height 4 for half a million rows


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_of_parts_are_those_of_all(offset):
    rng = np.random.default_rng(5)
    X = rng.lognormal(size=(10_000, 1)) + offset
    memory = tree(np.array_split(X, 13), 0.05, rng)
    m = {name: values[0] for name, values in memory["moments"].items()}
    scale, z = 2.0 ** m["exponent"], X[:, 0] - X.mean()
    assert m["n"] == 10_000
    assert m["mean"] * scale == pytest.approx(X.mean(), rel=1e-12)
    assert m["m2"] * scale**2 == pytest.approx((z**2).sum(), rel=1e-9)
    assert m["m3"] * scale**3 == pytest.approx((z**3).sum(), rel=1e-9)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_huge_and_tiny_values_have_a_skewness(size):
    X = size * np.random.default_rng(6).exponential(size=(600, 1))
    for sign in (1, -1):
        memory = tree([sign * part for part in np.split(X, 6)], 0.05, np.random.default_rng(0))
        assert tabled(memory, 0.05)[1].tolist() == [sign]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("buffer", lambda m: np.zeros((3, 1))),
        ("extremes", lambda m: m["extremes"][:1]),
        ("moments", lambda m: {"n": np.zeros(5)}),
        ("heights", lambda m: (1, 1)),
        ("heights", lambda m: (10**9,)),
        ("summaries", lambda m: (m["summaries"][0]._replace(bounds=m["summaries"][0].bounds[::-1]),)),
    ],
)
def test_a_damaged_memory_is_refused(name, spoil):
    memory = tail_memory.remember(np.random.default_rng(7).normal(size=(20_000, 2)), 0.1)
    tail_memory.check_memory(memory, 2)
    with pytest.raises(ValueError, match="damaged"):
        tail_memory.check_memory({**memory, name: spoil(memory)}, 2)


def test_a_damaged_tabled_feature_is_refused():
    table, _, _, _ = tabled(tail_memory.remember(np.random.default_rng(8).normal(size=(500, 2)), 0.1), 0.1)
    tail_table.check_table(table, 2)
    for damaged in (
        table._replace(costs=table.costs[:-1]),
        table._replace(cost_offsets=table.cost_offsets + 1),
        table._replace(values=np.repeat(table.values[::2], 2)[: table.values.size]),
        table._replace(sizes=table.sizes // 100),
    ):
        with pytest.raises(ValueError, match="damaged"):
            tail_table.check_table(damaged, 2)


def test_a_budget_grows_with_the_height_and_stays_below_eps():
    budgets = [tail_memory._budget(height, 0.1) for height in range(1, 50)]
    assert all(a < b < 0.1 for a, b in itertools.pairwise(budgets))
    table = tabled(tail_memory.remember(np.random.default_rng(9).lognormal(size=(100_000, 1)), 0.01), 0.01)[0]
    direct = ranks.summarise(np.random.default_rng(9).lognormal(size=(100_000, 1)), 0.01)
    assert table.values.size < 1.12 * direct.values.size  # a second thinning gives nearly what one would have given
