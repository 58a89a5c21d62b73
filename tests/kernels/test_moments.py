"""Mergeable moments against the loops of tests/naive.py, on both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit import kernels
from odkit.kernels.cpu.moments import column_moments, merge_moments, moments
from tests import naive
from tests.devices import DEVICES


@pytest.fixture(params=DEVICES)
def k(request):
    return kernels.on(request.param)


def _tables():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(40, 3)) * [1, 5, 0.1]
    return {
        "plain": plain,
        "float32": plain.astype(np.float32),
        "one row": plain[:1],
        "one column": plain[:, :1],
        "wide": rng.normal(size=(4, 9)),
        "constant columns": np.column_stack([plain, np.full(40, 0.1)]),
        "far from 0": plain + 1e6,
        "Fortran": np.asfortranarray(plain),
        "strided": np.repeat(plain, 2, axis=1)[:, ::2],
        "read-only": np.frombuffer(plain.tobytes()).reshape(40, 3),
    }


def assert_close(state, expected, rtol=1e-12):
    sizes = {"third": expected["n"] ** 0.25 * expected["fourth"] ** 0.75} if "fourth" in expected else {}
    for name, value in expected.items():
        scale = sizes.get(name, np.abs(value).max())  # third moments cancel; by Hoelder they are no larger than this
        np.testing.assert_allclose(state[name], value, rtol=rtol, atol=rtol * scale, err_msg=name)


def as_state(X):
    mean, scatter, third, fourth = naive.moment_sums(X)
    return {"n": len(X), "mean": mean, "scatter": scatter, "third": third, "fourth": fourth}


@pytest.mark.parametrize("case", _tables())
def test_equals_the_loops(case, k):
    X = _tables()[case]
    state = {name: value if name == "n" else k.numpy(value) for name, value in k.moments.moments(k.array(X)).items()}
    expected = as_state(X)
    if case == "far from 0":  # the mean itself is known to 1e-10 only
        assert_close(state, expected, rtol=1e-9)
    elif case == "one row":
        np.testing.assert_array_equal(state["mean"], X[0])
        assert state["fourth"] == pytest.approx(0, abs=1e-60)
    else:
        assert_close(state, expected)


@pytest.mark.parametrize("case", _tables())
def test_column_moments_are_the_diagonal(case):
    X = _tables()[case]
    whole, columns = moments(X), column_moments(X)
    np.testing.assert_allclose(columns["mean"], whole["mean"], rtol=1e-12)
    np.testing.assert_allclose(columns["scatter"], whole["scatter"].diagonal(), rtol=1e-9, atol=1e-25)


def test_many_rows_pass_through_several_blocks():
    X = np.random.default_rng(1).normal(size=(50_000, 3)) + np.arange(50_000)[:, None] / 1e4  # a drift of 5 deviations
    expected = np.cov(X.T, bias=True)
    np.testing.assert_allclose(moments(X)["scatter"] / 50_000, expected, rtol=1e-11)
    np.testing.assert_allclose(column_moments(X)["scatter"] / 50_000, expected.diagonal(), rtol=1e-11)


def test_merge_by_hand():
    a, b = np.array([[0.0, 0.0], [2.0, 2.0]]), np.array([[4.0, 0.0], [6.0, 2.0], [8.0, 4.0]])
    merged = merge_moments(moments(a), moments(b))
    np.testing.assert_allclose(merged["mean"], [4, 1.6], rtol=1e-14)
    np.testing.assert_allclose(merged["scatter"], [[40, 16], [16, 11.2]], rtol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 20), min_size=2, max_size=6),
    st.integers(1, 4),
    st.sampled_from([0.0, 10.0, 1e5]),
)
def test_any_split_and_any_order_of_merging_give_the_sums_of_all_rows(seed, sizes, d, drift):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(size, d)) + drift * rng.normal(size=d) for size in sizes]
    for fit in (moments, column_moments):
        whole, states = fit(np.concatenate(parts)), [fit(part) for part in parts]
        while len(states) > 1:
            i, j = rng.choice(len(states), 2, replace=False)
            before = {name: np.copy(value) for name, value in states[i].items()}
            merged = merge_moments(states[i], states[j])
            for name, value in states[i].items():
                np.testing.assert_array_equal(value, before[name])
            states = [state for m, state in enumerate(states) if m not in (i, j)] + [merged]
        assert states[0]["n"] == sum(sizes)
        assert_close(states[0], whole, rtol=1e-10 if drift > 10 else 1e-12)


def test_a_drifting_stream_keeps_its_digits():
    rng = np.random.default_rng(2)
    blocks = [rng.normal(size=(50, 2)) + 1e4 * i for i in range(200)]
    state = moments(blocks[0])
    for block in blocks[1:]:
        state = merge_moments(state, moments(block))
    assert_close(state, moments(np.concatenate(blocks)), rtol=1e-12)
