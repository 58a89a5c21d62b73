"""The sequential kernels against the loops of tests/naive.py."""

import numpy as np
import pytest

from odkit.kernels.cpu.streams import Vote, correlated_vote, vote_state
from tests import naive

SIZES = {"order": 3, "memory": 20, "smooth": 3, "window": 15}


def run(x, vote, sizes=SIZES, split=()):
    state = vote_state(x.shape[1], sizes["order"], sizes["memory"], sizes["smooth"], sizes["window"])
    outs = [correlated_vote(part, state, vote) for part in np.split(x, split)]
    return tuple(np.concatenate(part) for part in zip(*outs, strict=True))


def table(kind):
    rng = np.random.default_rng(1)
    base = np.sin(np.arange(200) / 5)
    x = np.column_stack([base, -2 * base, base + 5, rng.normal(size=200)]) + rng.normal(size=(200, 4)) / 30
    x[120] += [1, 1, 0, 0]
    x[150] += 3
    return {
        "waves": x,
        "ties": np.round(x),
        "constant channel": np.column_stack([x, np.full(200, 3.0)]),
        "zeros": np.zeros((200, 3)),
        "one channel": x[:, :1],
        "far from 0": x + 1e5,
        "read-only": np.frombuffer(np.ascontiguousarray(x).tobytes()).reshape(x.shape),
    }[kind]


@pytest.mark.parametrize("kind", ["waves", "ties", "constant channel", "zeros", "one channel", "read-only"])
@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_correlated_vote(kind, rho):
    x, vote = table(kind), Vote(0.99, 3, rho, 0.5, 2.0)
    parts, alarms = run(x, vote)
    expected, expected_alarms = naive.correlated_vote(x, 3, 0.99, 20, 3, 15, rho, 0.5, 2.0)
    np.testing.assert_allclose(parts, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(alarms, expected_alarms)
    if kind == "waves":
        assert alarms[150]
        assert not alarms[30:120].all()


def test_far_from_zero_stays_finite_and_finds_the_jump():
    parts, alarms = run(table("far from 0"), Vote(0.99, 3, 0.7, 0.5, 2.0))
    assert np.isfinite(parts).all()
    assert alarms.shape == (200,)


def test_steps_one_by_one_equal_the_whole():
    x, vote = table("waves"), Vote(0.99, 3, 0.5, 0.5, 2.0)
    whole, single = run(x, vote), run(x, vote, split=np.arange(1, 200))
    np.testing.assert_array_equal(single[0], whole[0])
    np.testing.assert_array_equal(single[1], whole[1])


def test_a_long_silence_does_not_blow_up():
    x = np.zeros((200_000, 2))
    x[:50] = np.random.default_rng(0).normal(size=(50, 2))
    x[-1] = 1.0
    parts, _ = run(x, Vote(0.9, 3, 0.0, 0.5, 3.0), {**SIZES, "order": 1})
    assert np.isfinite(parts).all()
