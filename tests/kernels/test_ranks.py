"""Rank summaries: the plain rules, both paths alike, and true counts inside every bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit.kernels.cpu import ranks
from tests import naive


@pytest.fixture(params=["numpy", "numba"])
def path(request, monkeypatch):
    """Both implementations of the thinning walk."""
    jit = None
    if request.param == "numba":
        import odkit.kernels.cpu.ranks_jit as jit
    monkeypatch.setattr(ranks, "compiled", lambda module, cells: jit)
    return request.param


def columns(n, rng):
    """Sorted, reversed, tied, heavy-tailed, constant, mostly zero, with gaps, empty."""
    gaps = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    return np.column_stack(
        [
            np.sort(rng.normal(size=n)),
            np.sort(rng.normal(size=n))[::-1],
            rng.poisson(3, n),
            rng.standard_cauchy(n),
            np.full(n, 0.1),
            np.where(rng.random(n) < 0.9, 0.0, rng.normal(size=n)),
            gaps,
            np.full(n, np.nan),
        ]
    )


def unpacked(summary, j):
    mine = slice(summary.offsets[j], summary.offsets[j + 1])
    return list(zip(summary.values[mine].tolist(), *summary.bounds[:, mine].tolist(), strict=True)), summary.sizes[j]


def true_counts(column, x):
    ordered = np.sort(column[~np.isnan(column)])
    return np.searchsorted(ordered, x, side="left"), np.searchsorted(ordered, x, side="right"), ordered.size


def largest_error(summary, X, queries):
    """Largest error of a log count from below or above, and proof that every count lies inside its bounds."""
    worst = 0.0
    for j in range(X.shape[1]):
        a, b, c, e = ranks.counts_at(summary, j, queries)
        below, upto, n = true_counts(X[:, j], queries)
        assert ((a <= below) & (below <= b) & (c <= upto) & (upto <= e)).all()
        for low, high, true in ((c, e, upto), (n - b, n - a, n - below)):
            low, high, true = (np.maximum(count, 1) for count in (low, high, true))
            worst = max(worst, np.abs(np.log(np.sqrt(low * high) / true)).max())
    return worst


@pytest.mark.parametrize("n", [1, 2, 3, 40, 150])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_summaries_follow_the_plain_rules(path, n, dtype):
    rng = np.random.default_rng(n)
    parts = [columns(n, rng).astype(dtype), columns(2 * n, rng).astype(dtype), columns(3, rng).astype(dtype)]
    parts[0].flags.writeable = False
    whole = [ranks.summarise(np.asfortranarray(part)) for part in parts]
    thinned = [ranks.summarise(part, 0.2) for part in parts]
    merged = ranks.thin(ranks.merge_summaries(thinned, n_jobs=2), 0.3, n_jobs=2)
    for j in range(parts[0].shape[1]):
        plain = [naive.rank_summary(part[:, j]) for part in parts]
        assert [unpacked(summary, j) for summary in whole] == plain
        plain = [naive.thinned_ranks(summary, 0.2) for summary in plain]
        assert [unpacked(summary, j) for summary in thinned] == plain
        plain = naive.merged_ranks(plain)
        assert unpacked(ranks.merge_summaries(thinned), j) == plain
        plain = naive.thinned_ranks(plain, 0.3)
        assert unpacked(merged, j) == plain
        for x in np.concatenate([parts[1][:, j], [-9.0, 0.05, 9.0]]):
            if x == x:
                assert ranks.counts_at(merged, j, np.array([x]))[:, 0].tolist() == list(naive.rank_bounds(plain, x))
    for summary in (*whole, *thinned, merged):
        ranks.check_summary(summary, 8)
        assert summary.values.dtype == dtype


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.2]), st.integers(1, 6))
def test_no_count_leaves_its_bounds(seed, eps, n_parts):
    rng = np.random.default_rng(seed)
    X = columns(int(rng.integers(n_parts, 3000)), rng)
    X = X if seed % 2 else rng.permutation(X)
    queries = np.unique(np.concatenate([X[~np.isnan(X)][::7], rng.normal(size=50) * 3]))
    parts = [ranks.summarise(part, eps / 2) for part in np.array_split(X, n_parts)]
    for part in parts:
        assert ranks.error(part) <= eps / 2 + 1e-12
    merged = ranks.merge_summaries(parts)
    assert ranks.error(merged) <= eps / 2 + 1e-12  # the error of a sum is not larger than that of its terms
    thinned = ranks.thin(merged, eps)
    assert thinned.values.size <= merged.values.size
    for summary in (merged, thinned):
        ranks.check_summary(summary, X.shape[1])
        assert largest_error(summary, X, queries) <= ranks.error(summary) + 1e-12
    assert ranks.error(thinned) <= eps + 1e-12
    backwards = ranks.merge_summaries(parts[::-1])
    for a, b in zip(merged, backwards, strict=True):
        np.testing.assert_array_equal(a, b)


def test_few_values_stay_exact_and_many_shrink():
    rng = np.random.default_rng(0)
    n = 100_000
    X = np.column_stack([rng.poisson(4, n), rng.lognormal(size=n)]).astype(float)
    summary = ranks.summarise(X, 0.01)
    kept = np.diff(summary.offsets)
    assert kept[0] == np.unique(X[:, 0]).size
    # 1 / g values at either end one by one, then one per step of exp(g) up to the middle, g = 2 budget
    assert 650 < kept[1] < 2 * (50 + np.log(n / 2 * 0.02) / 0.02)
    assert ranks.error(ranks.summarise(X[:, :1], 0.01)) == 0.0
    assert summary.bounds.dtype == np.int32


def test_two_thousand_million_rows_are_counted():
    one = ranks.summarise(np.array([[0.0], [1.0]]))
    for _ in range(31):
        one = ranks.merge_summaries([one, one])
    assert one.bounds.dtype == np.int64
    assert one.bounds.tolist() == [[0, 2**31], [0, 2**31], [2**31, 2**32], [2**31, 2**32]]


SPOIL = {
    "reversed": lambda a: a[..., ::-1].copy(),
    "shifted": lambda a: a + 1,
    "cut": lambda a: a[..., :-1],
    "narrowed": lambda a: a.astype(np.int8),
}


@pytest.mark.parametrize("field", ["values", "offsets", "bounds", "sizes"])
@pytest.mark.parametrize("how", SPOIL)
def test_a_damaged_summary_is_refused(field, how):
    if (field, how) == ("values", "shifted"):
        pytest.skip("a shifted column is another column, not a damaged one")
    rng = np.random.default_rng(1)
    gaps = np.where(rng.random(300) < 0.5, np.nan, 1.0)
    summary = ranks.summarise(np.column_stack([rng.normal(size=300), gaps]), 0.1)
    ranks.check_summary(summary, 2)
    with pytest.raises(ValueError, match="rank summary is damaged"):
        ranks.check_summary(summary._replace(**{field: SPOIL[how](getattr(summary, field))}), 2)
