"""Index work of sparse images: neighbours and pooled cells against plain loops, both backends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odkit import kernels
from odkit.kernels.cpu.sparse_conv import pool_rules, submanifold_rules
from tests.devices import TWINS


def sites(seed, n, size, n_images=3):
    rng = np.random.default_rng(seed)
    return np.unique(np.column_stack([rng.integers(0, n_images, n), *rng.integers(0, size, (2, n))]), axis=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 9), st.integers(1, 4))
def test_rules_are_the_plain_search(seed, n, size, stride):
    active = sites(seed, n, size)
    where = {tuple(site): i for i, site in enumerate(active.tolist())}
    expected = [
        [
            where.get((b, y + dy, x + dx), len(active)) if 0 <= y + dy < size and 0 <= x + dx < size else len(active)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ]
        for b, y, x in active.tolist()
    ]
    found = submanifold_rules(active, size)
    np.testing.assert_array_equal(found, np.array(expected, dtype=int).reshape(-1, 9))
    cells, parent = pool_rules(active, size, stride)
    expected_cells = sorted({(b, y // stride, x // stride) for b, y, x in active.tolist()})
    assert [tuple(cell) for cell in cells.tolist()] == expected_cells
    for site, number in zip(active.tolist(), parent.tolist(), strict=True):
        assert expected_cells[number] == (site[0], site[1] // stride, site[2] // stride)


def test_rows_do_not_wrap():
    active = np.array([[0, 0, 4], [0, 1, 0], [1, 0, 0]])  # the end of a row, the start of the next, the next image
    assert (submanifold_rules(active, 5) == 3).sum() == 3 * 9 - 3


@pytest.mark.parametrize("device", TWINS)
def test_the_torch_twins_agree(device):
    k = kernels.on(device)
    active = sites(0, 200, 12)
    np.testing.assert_array_equal(
        k.numpy(k.sparse_conv.submanifold_rules(k.array(active), 12)), submanifold_rules(active, 12)
    )
    for one, other in zip(k.sparse_conv.pool_rules(k.array(active), 12, 5), pool_rules(active, 12, 5), strict=True):
        np.testing.assert_array_equal(k.numpy(one), other)
